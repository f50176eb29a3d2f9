//! The formats of files and pipes, and the types they encode. No files, no clock, no system
//! calls; `docs/formats.md` has the tables.

pub(crate) mod control;
pub(crate) mod handover;
pub mod journal;
mod key_values;
pub(crate) mod logname;
pub mod state;
pub mod status;
pub mod svscan_note;
pub mod tai64n;
pub mod timeline;
