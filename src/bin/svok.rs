//! The program svok: see [`daemontools_rs::cmd::svok`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::svok::main);
