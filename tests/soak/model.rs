//! What may be: the want of a unit after all that was done to it, and how a process can have
//! ended.

use daemontools_rs::formats::status::Want;

/// What may be wanted of a unit.
pub(super) struct Expected {
    /// By its file `down`.
    configured: Want,
    /// What was certain before the commands since then; None: not even that.
    before: Option<Want>,
    /// By the commands.
    commanded: Vec<Want>,
    /// So many were sent that set a want, since.
    commands: usize,
    /// By KILLs since then: what a supervise begins with that remembers nothing.
    forgotten: Vec<Want>,
    /// Its supervise was killed since then: the next one may not be there yet.
    is_orphan: bool,
    /// The tree has died in which the want was given: the next supervise does not remember it.
    /// (Without svscanboot, a tree lives as long as its svscan.)
    is_of_old_tree: bool,
}

impl Expected {
    pub(super) fn new(configured: Want) -> Expected {
        Expected {
            configured,
            before: Some(configured),
            commanded: vec![configured],
            commands: 0,
            forgotten: Vec::new(),
            is_orphan: false,
            is_of_old_tree: false,
        }
    }

    /// A command was sent after which these may be wanted, or still what was before.
    pub(super) fn sent(&mut self, wants: &[Want]) {
        self.commanded.extend(wants);
        self.commands += usize::from(!wants.is_empty());
    }

    /// A command has told that this is wanted now.
    pub(super) fn obeyed(&mut self, want: Want) {
        // Others may have come after it.
        if self.commands == 1 {
            self.commanded = vec![want];
        }
    }

    /// svcrestart has told that it worked, which leaves what was wanted.
    pub(super) fn restarted(&mut self) {
        if let Some(want @ (Want::Up | Want::Down)) = self.before {
            self.obeyed(want);
        }
    }

    /// Its supervise was killed.
    pub(super) fn supervise_killed(&mut self) {
        self.is_orphan = true;
        // A file `down` counts for more than what is remembered.
        if self.configured == Want::Down || self.is_of_old_tree {
            self.forgotten.push(self.configured);
        }
    }

    /// The process was killed as long as which wants are remembered.
    pub(super) fn tree_killed(&mut self, is_started_anew: bool) {
        self.is_of_old_tree = true;
        if is_started_anew || self.is_orphan {
            self.forgotten.push(self.configured);
        }
    }

    pub(super) fn allows(&self, want: Want) -> bool {
        self.commanded.contains(&want) || self.forgotten.contains(&want)
    }

    pub(super) fn is_certain(&self) -> bool {
        let mut possible = self.commanded.iter().chain(&self.forgotten);
        let first = possible.next();
        possible.all(|want| Some(want) == first)
    }

    /// It has settled: this is wanted, and its supervise is of the tree that runs now, or not.
    pub(super) fn settled(&mut self, want: Want, is_of_tree: bool) {
        *self = Expected {
            before: Some(want),
            commanded: vec![want],
            is_of_old_tree: !is_of_tree,
            ..Expected::new(self.configured)
        };
    }
}

/// Whether a process can have ended as the record has it (`told`), if it noted before how it
/// would end by itself, and whether it was killed, or may have lost its pipe.
pub(super) fn is_true_end(
    told: &str,
    noted: Option<&str>,
    was_killed: bool,
    has_lost_pipe: bool,
) -> bool {
    match told {
        // A logger at its end of file, SIGPIPE.
        "Exited(0)" | "Killed(13)" if has_lost_pipe => true,
        // By a command, or by the kernel (HUP) when the parent of a supervise ends.
        "Killed(15)" | "Killed(1)" => true,
        "Killed(9)" => was_killed,
        // Its supervise was killed between fork and exec.
        "Exited(111)" if noted.is_none() => true,
        told => noted == Some(told),
    }
}

#[test]
fn a_want_that_was_told_is_expected_until_something_may_change_it() {
    let mut of_up = Expected::new(Want::Up);
    of_up.sent(&[Want::Down]);
    assert!(of_up.allows(Want::Up) && of_up.allows(Want::Down));
    of_up.obeyed(Want::Down);
    of_up.supervise_killed();
    assert!(!of_up.allows(Want::Up) && of_up.is_certain());
    of_up.settled(Want::Down, true);
    of_up.sent(&[Want::Up]);
    of_up.sent(&[Want::Once]);
    of_up.obeyed(Want::Up);
    assert!(of_up.allows(Want::Once) && of_up.allows(Want::Down));
    of_up.settled(Want::Down, true);
    of_up.tree_killed(false);
    assert!(!of_up.allows(Want::Up));
    of_up.supervise_killed();
    assert!(of_up.allows(Want::Up));
    of_up.settled(Want::Down, true);
    of_up.supervise_killed();
    assert!(!of_up.allows(Want::Up));
    of_up.tree_killed(false);
    assert!(of_up.allows(Want::Up));
    let mut of_down = Expected::new(Want::Down);
    of_down.sent(&[Want::Up]);
    of_down.obeyed(Want::Up);
    assert!(of_down.is_certain());
    of_down.supervise_killed();
    assert!(of_down.allows(Want::Down));
}
