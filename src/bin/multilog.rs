//! The program multilog: see [`daemontools_rs::cmd::multilog`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::multilog::main);
