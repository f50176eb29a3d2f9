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

/// supervise: what the next one does with the service of one that was killed.
mod adoption;
/// What is broken, full, odd or missing.
mod bad_input;
/// What the benchmarks decide of a bound.
mod bench_verdict;
/// multilog: a budget for all logs.
mod budget;
/// `make demo` and `make install`.
mod demo;
/// envdir: what is beyond the comparison.
mod envdir;
/// envuidgid: groups and numbers.
mod envuidgid;
/// fghack: following a daemon into the background.
mod fghack;
/// Process groups: what a service sends to its own reaches nobody else.
mod groups;
/// Scratch directories, programs, daemons, waiting: what all tests share.
mod harness;
/// multilog: what it does with real pipes, disks and signals.
mod multilog;
/// setuidgid and envuidgid linked statically: what they know, and when they ask.
mod nss;
/// What the kernel spares when memory runs out.
mod oom;
/// The same situations played with Debian's daemontools 0.76 and with ours.
mod oracle;
/// pgrphack: a session of its own.
mod pgrphack;
/// readproctitle: what ps shows, and that nobody waits for it.
mod readproctitle;
/// Real daemons of Debian's, from `service-examples`, driven by our commands.
mod real_daemons;
/// What another user cannot have root's programs do.
mod security;
/// setlock: with daemontools' own.
mod setlock;
/// setuidgid: no privilege is kept.
mod setuidgid;
/// A tree under load, while its processes are killed: `make soak`.
mod soak;
/// softlimit: tight limits.
mod softlimit;
/// supervise with real processes.
mod supervise;
/// svc: no look-up of names, the letters of encore.
mod svc;
/// svclog: every line once, whatever multilog does meanwhile.
mod svclog;
/// svcreset: follows the `down` file.
mod svcreset;
/// svcrestart: only what runs.
mod svcrestart;
/// svcstart: verdicts, scripts, waiting for supervise, two people at once.
mod svcstart;
/// svcstop: really down, KILL, `./stop`, `--persist`.
mod svcstop;
/// svscan --timeline and svctimeline: what is recorded of real boots, and drawn.
mod svctimeline;
/// svok: no look-up of names.
mod svok;
/// svscan with real supervises.
mod svscan;
mod svscan_starts;
/// svscanboot: real trees, as process 1 and not, to their end.
mod svscanboot;
/// svstat: $SVDIR, all services, an unreadable status.
mod svstat;
/// tai64n: stamps that are true, at once, in order.
mod tai64n;
/// tai64nlocal: local time at once, by the zone that is set.
mod tai64nlocal;
/// What the tree promises: docs for every command, boundaries between modules.
mod tree;
/// svc --upgrade: a supervise becomes the program now installed.
mod upgrade;
