//! The program supervise: see [`daemontools_rs::cmd::supervise`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::supervise::main);
