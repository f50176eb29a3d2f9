//! The program svc: see [`daemontools_rs::cmd::svc`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::svc::main);
