//! The program multilog: see [`daemontools_rs::cmd::multilog`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::multilog::main);
