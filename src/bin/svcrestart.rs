//! The program svcrestart: see [`daemontools_rs::cmd::svcrestart`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::svcrestart::main);
