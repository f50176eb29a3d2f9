//! The program setlock: see [`daemontools_rs::cmd::setlock`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::setlock::main);
