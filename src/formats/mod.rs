//! Bytes on disk and in pipes, and the types they stand for. No files, no
//! clock, no system calls: the byte tables are in `docs/formats.md`.

pub(crate) mod control;
pub(crate) mod logname;
pub mod mark;
pub mod state;
pub mod status;
pub mod tai64n;
pub mod timeline;
