//! The program readproctitle: see [`daemontools_rs::cmd::readproctitle`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::readproctitle::main);
