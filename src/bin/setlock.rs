//! The program setlock: see [`daemontools_rs::cmd::setlock`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::setlock::main);
