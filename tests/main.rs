//! All tests that run programs, in one binary. One module per subject:

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    unreachable_pub,
    reason = "a test may panic, and starts the programs it tests"
)]

/// Scratch directories, programs, daemons, waiting: what all tests share.
mod harness;
/// supervise with real processes.
mod supervise;
/// svscan with real supervises.
mod svscan;
