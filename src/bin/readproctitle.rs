//! The program readproctitle: see [`daemontools_rs::cmd::readproctitle`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::readproctitle::main);
