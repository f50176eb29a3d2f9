//! The program svcstop: see [`daemontools_rs::cmd::svcstop`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::svcstop::main);
