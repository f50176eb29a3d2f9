//! The program svcstart: see [`daemontools_rs::cmd::svcstart`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::svcstart::main);
