//! Mixed casts: the programs of one suite on the daemons of the other, in what
//! must not show a difference to either suite played alone.

use super::stage::Stage;
use super::{Cast, compare_casts};
use crate::harness::Suite::{Ours, Reference};
use crate::harness::{is_alive, signal};

/// Their clients on our supervise, and the other way round.
const CLIENTS: [Cast; 2] = [
    Cast {
        svscan: Reference,
        supervise: Ours,
        clients: Reference,
    },
    Cast {
        svscan: Ours,
        supervise: Reference,
        clients: Ours,
    },
];

/// Their svscan with our supervise, and the other way round; our svscan stands
/// alone then, or it would prefer the supervise beside it.
const SVSCANS: [Cast; 2] = [
    Cast {
        svscan: Reference,
        supervise: Ours,
        clients: Ours,
    },
    Cast {
        svscan: Ours,
        supervise: Reference,
        clients: Reference,
    },
];

/// The clients of each suite drive the supervise of the other.
mod clients {
    use super::super::stage::{RECORDER, Stage};
    use super::super::supervise::{begin, command, commands, every_command, sequence};
    use super::*;
    use std::io::Write;

    fn compare(play: impl Fn(&mut Stage)) {
        compare_casts(&CLIENTS, play);
    }

    commands! {}

    /// Neither supervise lets the other one in.
    #[test]
    fn a_supervise_of_the_other_suite_gives_way() {
        compare(|stage| {
            begin(stage, false, RECORDER);
            let mut other = stage.command(stage.cast.clients.program("supervise"));
            other.arg("s");
            stage.finish("the other supervise", other);
            stage.svc("h");
            stage.svc("dx");
        });
    }

    /// One takes over from the other.
    #[test]
    fn a_supervise_of_the_other_suite_takes_over() {
        compare(|stage| {
            begin(stage, false, RECORDER);
            stage.svc("h");
            let orphan = stage.scratch.pid("s").unwrap();
            stage.daemon().signal("KILL");
            stage.ends();
            signal(orphan, "KILL");
            stage.wait_gone(orphan);
            stage.look();
            stage.cast.supervise = stage.cast.clients;
            stage.supervise();
            stage.look();
            stage.svc("k");
            stage.svc("dx");
            stage.files("s/supervise");
        });
    }
}

/// The svscan of each suite runs the supervise of the other.
mod svscan {
    use super::super::svscan::{scan, second_look, wait_name};
    use super::*;

    #[test]
    fn a_svscan_keeps_the_other_suites_supervises_running() {
        compare_casts(&SVSCANS, |stage: &mut Stage| {
            scan(stage, "service s/log; service a; service b; touch b/down");
            stage.start("svscan", &["scan"]);
            for name in ["s", "s/log", "a"] {
                wait_name(stage, name, 1);
                stage.scratch.wait_up(&format!("scan/{name}"));
            }
            second_look(stage);
            tell(
                stage,
                "svstat scan/*/ scan/*/log; cat scan/*/name scan/s/log/name",
            );
            // One is killed, one told to exit, one removed.
            let service = stage.scratch.wait_up("scan/a");
            stage.run("svc", &["-k", "scan/s"]);
            wait_name(stage, "s", 2);
            stage.run("svc", &["-dx", "scan/s/log"]);
            wait_name(stage, "s/log", 2);
            tell(stage, "mv scan/a a; svc -dx a");
            stage.wait_gone(service);
            second_look(stage);
            tell(stage, "svok a; echo $?; svok scan/b; echo $?");
            let lives = is_alive(stage.scratch.wait_up("scan/s"));
            stage.say(format!("the service lives: {lives}"));
            stage.tell_errors();
        });
    }
}

/// What a shell says, in which svc, svok and svstat are those of the cast.
fn tell(stage: &mut Stage, script: &str) {
    let directory = stage.cast.clients.directory();
    let mut command = stage.command("/bin/sh");
    command
        .env("PATH", format!("{}:/usr/bin:/bin", directory.display()))
        .args(["-c", script]);
    stage.finish(script, command);
}
