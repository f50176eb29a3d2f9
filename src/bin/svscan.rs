//! The program svscan: see [`daemontools_rs::cmd::svscan`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::svscan::main);
