//! The program svclog: see [`daemontools_rs::cmd::svclog`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::svclog::main);
