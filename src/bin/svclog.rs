//! The program svclog: see [`daemontools_rs::cmd::svclog`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::svclog::main);
