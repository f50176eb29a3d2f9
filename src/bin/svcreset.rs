//! The program svcreset: see [`daemontools_rs::cmd::svcreset`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::svcreset::main);
