//! The program setuidgid: see [`daemontools_rs::cmd::setuidgid`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::setuidgid::main);
