//! A pid namespace and its process 1: with the first process everything in it ends.

use super::{Daemon, Scratch, Suite, finish, has, is_root, signal, skip_unless, wait_child};
use std::path::Path;

/// A pid namespace and its process 1.
pub(crate) struct World {
    unshare: Option<Daemon>,
    /// The pid of process 1 as seen from here.
    pub(crate) first: u32,
}

impl World {
    /// Starts one whose process 1 is `program` with `words`; None, having said
    /// why, if that cannot be had here.
    pub(crate) fn start(
        test: &str,
        scratch: &Scratch,
        program: &Path,
        words: &[&str],
        variables: &[(&str, &Path)],
    ) -> Option<World> {
        World::start_with("-Urpf", test, scratch, program, words, variables)
    }

    /// The same with all of root's users in it, for root.
    pub(crate) fn of_root(
        test: &str,
        scratch: &Scratch,
        program: &Path,
        words: &[&str],
    ) -> Option<World> {
        is_root(test)
            .then(|| World::start_with("-pf", test, scratch, program, words, &[]))
            .flatten()
    }

    pub(crate) fn start_with(
        namespaces: &str,
        test: &str,
        scratch: &Scratch,
        program: &Path,
        words: &[&str],
        variables: &[(&str, &Path)],
    ) -> Option<World> {
        let unshare = || {
            let mut command = scratch.command(Suite::Ours, "unshare");
            command.args([namespaces, "--mount-proc", "--kill-child"]);
            command
        };
        let mut probe = unshare();
        probe.arg("true");
        let can = has(test, &["unshare"]) && finish(probe).code == 0;
        if !skip_unless(test, can, "no user namespaces here") {
            return None;
        }
        let mut command = unshare();
        command.arg(program).args(words);
        command.envs(variables.iter().copied());
        let daemon = scratch.start(command, "world");
        let name = program.file_name().unwrap().to_str().unwrap();
        let first = wait_child(daemon.pid(), name);
        Some(World {
            unshare: Some(daemon),
            first,
        })
    }

    /// Starts svscanboot as process 1, over the directory `service`.
    pub(crate) fn svscanboot(test: &str, scratch: &Scratch) -> Option<World> {
        let program = Suite::Ours.program("svscanboot");
        World::start(test, scratch, &program, &["service"], &[])
    }

    /// Sends process 1 `name` and waits for its end; its exit code.
    pub(crate) fn end(&mut self, name: &str) -> i32 {
        signal(self.first, name);
        self.unshare.take().unwrap().wait()
    }

    pub(crate) fn scanner(&self) -> u32 {
        wait_child(self.first, "svscan")
    }

    pub(crate) fn title(&self) -> u32 {
        wait_child(self.first, "readproctitle")
    }
}
