//! The program svc: see [`daemontools_rs::cmd::svc`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::svc::main);
