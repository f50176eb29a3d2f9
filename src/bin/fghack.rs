//! The program fghack: see [`daemontools_rs::cmd::fghack`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::fghack::main);
