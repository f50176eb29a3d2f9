//! svclog: the log of a service, as one would read it.
//!
//! `run_script`, `files` and `tail` decide and do no I/O.

pub mod files;
pub mod run_script;
pub mod tail;
