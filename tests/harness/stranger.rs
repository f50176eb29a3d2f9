//! Another user.

use super::{Scratch, Suite, finish, has, is_root};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// An ordinary user that nobody else is: no test run, no process.
pub(crate) struct Stranger {
    id: u32,
    /// Copies of our programs: the checkout may be closed to others.
    programs: PathBuf,
}

impl Stranger {
    /// None, having said why, if there can be none here.
    pub(crate) fn new(test: &str, scratch: &Scratch) -> Option<Stranger> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !is_root(test) || !has(test, &["setpriv", "prlimit"]) {
            return None;
        }
        let mut copy = scratch.command(Suite::Ours, "install");
        copy.args(["-D", "-m", "755", "-t", "bin"]);
        for program in [
            "supervise",
            "svscan",
            "svc",
            "svok",
            "svstat",
            "svcstart",
            "svcstop",
            "envdir",
            "svclog",
        ] {
            copy.arg(Suite::Ours.program(program));
        }
        assert_eq!(finish(copy).code, 0);
        Some(Stranger {
            // No other test of this run, which has fewer than a hundred strangers, has it.
            id: 100_000 + std::process::id() * 100 + COUNT.fetch_add(1, Ordering::Relaxed),
            programs: scratch.at("bin"),
        })
    }

    /// As [`Scratch::command`] for our programs, run by this user.
    pub(crate) fn command(&self, scratch: &Scratch, program: &str) -> Command {
        let mut command = scratch.command(Suite::Ours, "setpriv");
        let id = self.id.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        command.arg(self.programs.join(program));
        command
    }

    /// Gives `name` and all in it to this user.
    pub(crate) fn owns(&self, scratch: &Scratch, name: &str) {
        let mut command = scratch.command(Suite::Ours, "chown");
        command.args(["-R", &format!("{0}:{0}", self.id)]);
        command.arg(scratch.at(name));
        assert_eq!(finish(command).code, 0);
    }
}
