//! The program envuidgid: see [`daemontools_rs::cmd::envuidgid`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::envuidgid::main);
