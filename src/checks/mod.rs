//! Running a script of a service: with a timeout, as a process group leader, whose group ends
//! with it, and under the lock of the service.
//!
//! Nothing here blocks. The caller has a loop of its own: it waits for the descriptors and the
//! deadline of a [`crate::checks::script::Running`] or [`crate::checks::lock::LockWait`], calls
//! its `advance` with what happened, and gets output and an outcome. `machine` decides how a
//! script is ended, `circle` detects deadlocks of commands.

pub mod circle;
pub mod lock;
mod machine;
pub mod script;

pub use machine::Over;
