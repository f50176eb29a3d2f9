//! The program softlimit: see [`daemontools_rs::cmd::softlimit`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::softlimit::main);
