//! The program svcstart: see [`daemontools_rs::cmd::svcstart`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::svcstart::main);
