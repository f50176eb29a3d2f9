//! The program svscanboot: see [`daemontools_rs::cmd::svscanboot`].
#![no_main]

daemontools_rs::program!(daemontools_rs::cmd::svscanboot::main);
