//! The program supervise: see [`daemontools_rs::cmd::supervise`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::supervise::main);
