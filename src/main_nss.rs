//! The dynamic program beside it: see [`daemontools_rs::cmd::multicall::dynamic_main`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::multicall::dynamic_main);
