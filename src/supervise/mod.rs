//! supervise: keep one service running.
//!
//! It starts `./run` in the service directory, restarts it when it ends, executes the commands
//! from `supervise/control`, and publishes the state of the service in `supervise/status` and
//! `supervise/state`.
//!
//! `machine` decides, `shell` acts, `dir` has the files, `state_file` writes the record,
//! `observer` records how the service starts. After an earlier supervise was killed, `takeover`
//! decides what to do with its service, and `adoption` watches the process. `upgrade` has it
//! become another program, to which `handover` gives the state of the machine.

mod adoption;
pub mod dir;
pub mod machine;
mod observer;
pub mod shell;
pub mod state_file;
pub mod takeover;

pub use shell::{resume, run, run_in_child};
pub use state_file::{StartedBy, note_svscan};
