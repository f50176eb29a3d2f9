//! The program svscanboot: see [`daemontools_rs::cmd::svscanboot`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::svscanboot::main);
