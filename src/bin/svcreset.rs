//! The program svcreset: see [`daemontools_rs::cmd::svcreset`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::svcreset::main);
