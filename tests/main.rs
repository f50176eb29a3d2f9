//! All tests that run programs, in one binary. One module per subject:

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test may panic, and starts the programs it tests"
)]

/// Scratch directories, programs, daemons, waiting: what all tests share.
mod harness;

/// svcstart: verdicts, scripts, waiting for supervise, two people at once.
mod svcstart;

/// svcstop: really down, KILL, `./stop`, `--persist`.
mod svcstop;

/// svcreset: follows the `down` file.
mod svcreset;

/// svcrestart: only what runs.
mod svcrestart;

/// The same situations played with Debian's daemontools 0.76 and with ours.
mod oracle;
/// Real daemons of Debian's, from `service-examples`, driven by our commands.
mod real_daemons;

/// What the tree promises: docs for every command, boundaries between modules.
mod tree;
