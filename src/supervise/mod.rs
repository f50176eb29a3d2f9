//! supervise: keep one service running.
//!
//! It starts `./run` in the service directory, starts it again when it ends,
//! obeys the bytes that come through `supervise/control` and says in
//! `supervise/status` what the service does now.
//!
//! `machine` decides, `shell` acts, `dir` knows the files, `state_file` writes the
//! record, `observer` notes how the service starts.
//! Source of the rules: <https://cr.yp.to/daemontools/supervise.html>, and
//! Debian's package where that page is silent.

pub mod dir;
pub mod machine;
mod observer;
pub mod shell;
pub mod state_file;

pub use shell::{run, run_in_child};
pub use state_file::StartedBy;
