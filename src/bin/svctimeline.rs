//! The program svctimeline: see [`daemontools_rs::cmd::svctimeline`].
#![cfg_attr(not(test), no_main)]

daemontools_rs::program!(daemontools_rs::cmd::svctimeline::main);
