//! What another user cannot have root's programs do: who may write a service's
//! `supervise/`, who can make processes of any name, whose tree root looks at.
//! `docs/security.md` says who is trusted with what.

use crate::harness::{Daemon, Output, Scratch, Suite, finish, is_root, wait_until};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

/// Stays.
const STAYS: &str = "exec sleep 2147483647";

/// Gives `name` and all in it to the user daemon, links in it themselves.
fn give_away(scratch: &Scratch, name: &str) {
    let mut command = scratch.command(Suite::Ours, "chown");
    command.args(["-hR", "daemon:daemon"]).arg(scratch.at(name));
    assert_eq!(finish(command).code, 0);
}

/// A file of root's that nobody else may read.
struct Victim<'a>(&'a Scratch);

impl Victim<'_> {
    fn new(scratch: &Scratch) -> Victim<'_> {
        scratch.write("victim", "eighteen bytes are");
        let owner_only = fs::Permissions::from_mode(0o600);
        fs::set_permissions(scratch.at("victim"), owner_only).unwrap();
        Victim(scratch)
    }

    fn assert_whole(&self, what: &str) {
        assert_eq!(self.0.read("victim"), "eighteen bytes are", "{what}");
        let metadata = fs::metadata(self.0.at("victim")).unwrap();
        assert_eq!(metadata.uid(), 0, "{what}");
        assert_eq!(metadata.mode() & 0o777, 0o600, "{what}");
    }
}

fn supervise(scratch: &Scratch, name: &str) -> Daemon {
    scratch.daemon(Suite::Ours, "supervise", &[name], "supervise")
}

fn run(scratch: &Scratch, program: &str, words: &[&str]) -> Output {
    scratch.run(Suite::Ours, program, words)
}

/// Puts a link in the place of `name`, or another name for the file.
fn lead(scratch: &Scratch, name: &str, target: &str, is_hard: bool) {
    let path = scratch.at(name);
    let _ = fs::remove_file(&path);
    let target = scratch.at(target);
    match is_hard {
        true => fs::hard_link(target, path).unwrap(),
        false => symlink(target, path).unwrap(),
    }
}

fn fifo(scratch: &Scratch, name: &str) {
    nix::unistd::mkfifo(&scratch.at(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
}

#[test]
fn whoever_owns_supervise_leads_root_to_no_other_file() {
    if !is_root("links in a supervise of another user's") {
        return;
    }
    for is_hard in [false, true] {
        for name in ["control", "status", "status.new", "ended", "lock", "ok"] {
            let scratch = Scratch::new();
            let victim = Victim::new(&scratch);
            scratch.service("a", "echo started >>started; exec sleep 2147483647");
            scratch.mkdir("a/supervise");
            let path = format!("a/supervise/{name}");
            lead(&scratch, &path, "victim", is_hard);
            give_away(&scratch, "a/supervise");
            // A hard link has the owner of the file.
            let root = std::os::unix::fs::chown(scratch.at("victim"), Some(0), Some(0));
            root.unwrap();
            let what = format!("{name}, hard: {is_hard}");
            let mut daemon = supervise(&scratch, "a");
            // Without what it needs it gives up.
            let gives_up = match name {
                "control" => true,
                "ok" | "lock" => !is_hard,
                _ => false,
            };
            if !gives_up {
                wait_until(&what, || scratch.read("a/started").lines().count() == 1);
                scratch.wait_supervised("a");
                run(&scratch, "svc", &["-k", "a"]);
                wait_until(&what, || scratch.read("a/started").lines().count() == 2);
                run(&scratch, "svstat", &["a"]);
                run(&scratch, "svcstop", &["a"]);
                let left = run(&scratch, "svc", &["-x", "a"]);
                assert_eq!(left.errors(), "", "{what}");
                assert_eq!(daemon.wait(), 0, "{what}");
            } else {
                assert_eq!(daemon.wait(), 111, "{what}");
                run(&scratch, "svc", &["-dx", "a"]);
                run(&scratch, "svok", &["a"]);
            }
            victim.assert_whole(&what);
        }
    }
}

#[test]
fn root_makes_no_file_where_a_link_leads() {
    if !is_root("links to nothing in a supervise of another user's") {
        return;
    }
    for name in ["control", "status", "status.new", "ended", "lock", "ok"] {
        let scratch = Scratch::new();
        scratch.service("a", STAYS);
        scratch.mkdir("a/supervise");
        lead(&scratch, &format!("a/supervise/{name}"), "made", false);
        give_away(&scratch, "a/supervise");
        let mut daemon = supervise(&scratch, "a");
        if ["control", "lock", "ok"].contains(&name) {
            assert_eq!(daemon.wait(), 111, "{name}");
        } else {
            scratch.wait_up("a");
            scratch.wait_supervised("a");
            run(&scratch, "svcstop", &["a"]);
        }
        assert!(fs::symlink_metadata(scratch.at("made")).is_err(), "{name}");
    }
}

#[test]
fn commands_are_written_to_no_file_but_a_fifo_or_ones_own() {
    if !is_root("a control of another user's") {
        return;
    }
    let scratch = Scratch::new();
    let victim = Victim::new(&scratch);
    scratch.mkdir("a/supervise");
    let control = "a/supervise/control";
    let refused = |what: &str, why: &str| {
        let left = run(&scratch, "svc", &["-dx", "a"]);
        let line = format!("svc: warning: unable to control a: {why}\n");
        assert_eq!(left.errors(), line, "{what}");
        let said = run(&scratch, "svcstop", &["a"]).failure("svcstop", "a");
        let is_told = said.starts_with("supervise/control is not a FIFO;");
        assert!(is_told || why == "not a directory", "{what}: {said}");
    };
    // As if a supervise ran.
    fifo(&scratch, "a/supervise/ok");
    let mut options = fs::File::options();
    let _ok = options
        .read(true)
        .write(true)
        .open(scratch.at("a/supervise/ok"));
    let not_here = "symbolic link loop";
    lead(&scratch, control, "victim", false);
    refused("a link", not_here);
    let _ = fs::remove_file(scratch.at(control));
    symlink("/dev/null", scratch.at(control)).unwrap();
    refused("a link to a device", not_here);
    lead(&scratch, control, "victim", true);
    refused("another name of a file", "permission denied");
    victim.assert_whole("after all");
    let _ = fs::remove_file(scratch.at(control));
    scratch.write(control, "");
    give_away(&scratch, control);
    refused("another user's file", "permission denied");
    // It may have been moved there.
    fs::remove_file(scratch.at(control)).unwrap();
    scratch.write(control, "");
    give_away(&scratch, "a/supervise");
    let root = std::os::unix::fs::chown(scratch.at(control), Some(0), Some(0));
    root.unwrap();
    refused("in another user's directory", "permission denied");
    fs::rename(scratch.at("a/supervise"), scratch.at("a/other")).unwrap();
    symlink("other", scratch.at("a/supervise")).unwrap();
    let root = std::os::unix::fs::chown(scratch.at("a/other"), Some(0), Some(0));
    root.unwrap();
    refused("in a directory that is a link", "not a directory");
    assert_eq!(scratch.read(control), "");
    fs::remove_file(scratch.at("a/supervise")).unwrap();
    fs::rename(scratch.at("a/other"), scratch.at("a/supervise")).unwrap();
    let left = run(&scratch, "svc", &["-dx", "a"]);
    assert_eq!((left.errors().as_str(), left.code), ("", 0));
    assert_eq!(scratch.read(control), "dx", "one's own");
}

#[test]
fn what_stands_in_the_place_of_a_file_blocks_nobody_and_is_not_read_for_ever() {
    if !is_root("FIFOs and endless files in a supervise of another user's") {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", STAYS);
    let _daemon = supervise(&scratch, "a");
    scratch.wait_up("a");
    let status = "a/supervise/status";
    fs::remove_file(scratch.at(status)).unwrap();
    fifo(&scratch, status);
    give_away(&scratch, "a/supervise");
    let said = scratch.svstat("a");
    assert_eq!(said, "unable to read supervise/status: bad format");
    lead(&scratch, status, "/dev/zero", false);
    let said = scratch.svstat("a");
    assert_eq!(said, "unable to open supervise/status: symbolic link loop");
    fs::remove_file(scratch.at(status)).unwrap();
    run(&scratch, "svc", &["-c", "a"]);
    wait_until("a status is written", || {
        scratch.svstat("a").starts_with("up")
    });
}
