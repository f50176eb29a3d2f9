//! Running a script of a service's: with a limit on its time, as the leader of a process
//! group, which is ended with it, and under the lock of the service.
//!
//! Nothing here waits. Whoever runs a script has a loop of its own: it waits for the
//! descriptors and the deadline of a [`crate::checks::script::Running`] or
//! [`crate::checks::lock::LockWait`], says what happened, and is given output and an
//! outcome. `machine` decides how a script is ended, `circle` whether commands wait for
//! each other.

pub mod circle;
pub mod lock;
mod machine;
pub mod script;

pub use machine::Over;
