//! The program tai64n: see [`daemontools_rs::cmd::tai64n`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::tai64n::main);
