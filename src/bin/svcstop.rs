//! The program svcstop: see [`daemontools_rs::cmd::svcstop`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::svcstop::main);
