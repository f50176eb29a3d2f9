//! The program envdir: see [`daemontools_rs::cmd::envdir`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::envdir::main);
