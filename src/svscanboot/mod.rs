//! svscanboot: starts svscan and readproctitle and keeps them running; at TERM, stops the
//! whole tree in order.
//!
//! `machine` decides, `shell` acts. Source of the rules: the script svscanboot of
//! 0.76, and what an init, systemd and a container expect of their child.

pub mod machine;
pub mod shell;

pub use shell::{ScannerOptions, run};
