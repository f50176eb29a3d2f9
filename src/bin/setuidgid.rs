//! The program setuidgid: see [`daemontools_rs::cmd::setuidgid`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::setuidgid::main);
