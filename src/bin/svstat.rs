//! The program svstat: see [`daemontools_rs::cmd::svstat`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::svstat::main);
