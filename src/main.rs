//! The program that is all programs: see [`daemontools_rs::cmd::multicall`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::multicall::main);
