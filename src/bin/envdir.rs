//! The program envdir: see [`daemontools_rs::cmd::envdir`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::envdir::main);
