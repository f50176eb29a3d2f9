//! The program tai64nlocal: see [`daemontools_rs::cmd::tai64nlocal`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::tai64nlocal::main);
