//! The program fghack: see [`daemontools_rs::cmd::fghack`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::fghack::main);
