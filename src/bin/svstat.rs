//! The program svstat: see [`daemontools_rs::cmd::svstat`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::svstat::main);
