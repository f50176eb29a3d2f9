//! The program svok: see [`daemontools_rs::cmd::svok`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::svok::main);
