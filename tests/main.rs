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

/// What is broken, full, odd or missing.
mod bad_input;
/// Scratch directories, programs, daemons, waiting: what all tests share.
mod harness;
/// supervise with real processes.
mod supervise;
/// svc: $SVDIR, the letters of encore.
mod svc;
/// svok: $SVDIR.
mod svok;
/// svscan with real supervises.
mod svscan;
/// svstat: $SVDIR, all services, an unreadable status.
mod svstat;
