//! The program softlimit: see [`daemontools_rs::cmd::softlimit`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::softlimit::main);
