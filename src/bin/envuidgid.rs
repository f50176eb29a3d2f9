//! The program envuidgid: see [`daemontools_rs::cmd::envuidgid`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::envuidgid::main);
