//! The program pgrphack: see [`daemontools_rs::cmd::pgrphack`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::pgrphack::main);
