//! The program svscan: see [`daemontools_rs::cmd::svscan`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::svscan::main);
