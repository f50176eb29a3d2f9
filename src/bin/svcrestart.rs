//! The program svcrestart: see [`daemontools_rs::cmd::svcrestart`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::svcrestart::main);
