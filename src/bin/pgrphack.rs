//! The program pgrphack: see [`daemontools_rs::cmd::pgrphack`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::pgrphack::main);
