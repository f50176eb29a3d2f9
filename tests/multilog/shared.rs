//! multilog of root in a directory that another user may change: nothing outside it is
//! touched, and it logs all the same.

use super::{Feed, Multilog, finished, line, lines, text, wait_logged, wait_said};
use crate::harness::{Scratch, Suite, exit_code, finish, is_root, wait_until};
use nix::sys::signal::Signal::SIGALRM;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};

/// The user whose directory it is, and a third one.
const OWNER: u32 = 65_534;
const OTHER: u32 = 12_345;
const SECRET: &str = "root's own\n";

/// A log directory `main` of another user, and a file of root's beside it.
fn place(mode: u32) -> Scratch {
    let scratch = Scratch::new();
    scratch.mkdir("main");
    scratch.write("precious", SECRET);
    set_mode(&scratch, "precious", mode);
    chown(scratch.at("main"), Some(OWNER), None).unwrap();
    scratch
}

fn set_mode(scratch: &Scratch, name: &str, mode: u32) {
    fs::set_permissions(scratch.at(name), fs::Permissions::from_mode(mode)).unwrap();
}

fn is_untouched(scratch: &Scratch, mode: u32) {
    assert_eq!(scratch.read("precious"), SECRET);
    let metadata = fs::metadata(scratch.at("precious")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid()), (mode, 0));
}

/// Makes `name` lead to root's file, in both ways.
fn links(scratch: &Scratch, name: &str, is_hard: bool) {
    let _ = fs::remove_file(scratch.at(name));
    if is_hard {
        fs::hard_link(scratch.at("precious"), scratch.at(name)).unwrap();
    } else {
        symlink(scratch.at("precious"), scratch.at(name)).unwrap();
    }
}

/// Sends numbered lines through a multilog with this script. Gives its exit code and
/// what it said.
fn log(scratch: &Scratch, count: usize, script: &[&str]) -> (i32, String) {
    scratch.write("input", lines(count));
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("multilog"));
    command.args(script);
    command.stdin(File::open(scratch.at("input")).unwrap());
    let output = finish(command);
    (output.code, output.errors())
}

fn anew(name: &str) -> String {
    let why = "is a link, has another name or is another user's, making it anew";
    format!("multilog: warning: {name} {why}\n")
}

#[test]
fn a_lock_that_leads_elsewhere_ends_it() {
    if !is_root("a lock that leads elsewhere") {
        return;
    }
    for is_hard in [false, true] {
        let scratch = place(0o600);
        links(&scratch, "main/lock", is_hard);
        let (code, said) = log(&scratch, 10, &["./main"]);
        let why = if is_hard {
            "permission denied"
        } else {
            "symbolic link loop"
        };
        let expected = format!("multilog: fatal: unable to lock directory ./main: {why}\n");
        assert_eq!((code, said), (111, expected));
        is_untouched(&scratch, 0o600);
    }
    let scratch = place(0o600);
    scratch.write("main/lock", "a third user's\n");
    chown(scratch.at("main/lock"), Some(OTHER), None).unwrap();
    assert_eq!(log(&scratch, 10, &["./main"]).0, 111);
    assert_eq!(scratch.read("main/lock"), "a third user's\n");
}

#[test]
fn where_only_root_may_change_the_directory_links_are_followed_as_ever() {
    let scratch = Scratch::new();
    scratch.mkdir("main");
    scratch.write("elsewhere", "");
    links_to(&scratch, "elsewhere", "main/lock");
    scratch.write("logged", "before\n");
    set_mode(&scratch, "logged", 0o744);
    links_to(&scratch, "logged", "main/current");
    assert_eq!(log(&scratch, 10, &["./main"]), (0, String::new()));
    assert_eq!(scratch.read("logged"), "before\n".to_owned() + &lines(10));
}

fn links_to(scratch: &Scratch, target: &str, name: &str) {
    symlink(scratch.at(target), scratch.at(name)).unwrap();
}

#[test]
fn no_file_that_leads_elsewhere_is_written_or_given_a_mode() {
    if !is_root("files that lead elsewhere") {
        return;
    }
    for is_hard in [false, true] {
        // As if complete, and as if not.
        for mode in [0o744, 0o600] {
            let scratch = place(mode);
            for name in ["current", "previous", "processed", "state", "newstate"] {
                links(&scratch, &format!("main/{name}"), is_hard);
            }
            let (code, said) = log(&scratch, 100, &["s4096", "n10", "!cat <&4; cat", "./main"]);
            assert_eq!(code, 0, "{said}");
            assert!(said.contains(&anew("./main/current")), "{said}");
            is_untouched(&scratch, mode);
            let metadata = fs::symlink_metadata(scratch.at("main/current")).unwrap();
            assert!(metadata.is_file() && metadata.nlink() == 1 && metadata.uid() == 0);
            let logged = text(&scratch, "main");
            assert_eq!(logged.replace(SECRET, ""), lines(100));
            // It was no log file by a link; by a second name it could be.
            assert_eq!(logged.contains(SECRET), is_hard, "{logged}");
        }
    }
}

#[test]
fn a_file_that_only_root_may_read_and_that_was_moved_in_is_shown_to_nobody() {
    if !is_root("files of root's that are moved") {
        return;
    }
    // Of its mode one could think that it is complete.
    let scratch = place(0o700);
    fs::rename(scratch.at("precious"), scratch.at("main/current")).unwrap();
    scratch.write("main/state", SECRET);
    set_mode(&scratch, "main/state", 0o600);
    let (code, said) = log(&scratch, 100, &["s4096", "n10", "!cat <&4; cat", "./main"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&anew("./main/current")), "{said}");
    for entry in fs::read_dir(scratch.at("main")).unwrap() {
        let path = entry.unwrap().path();
        let is_for_all = fs::metadata(&path).unwrap().mode() & 0o004 != 0;
        let holds_secret = fs::read_to_string(&path).unwrap().contains(SECRET);
        assert!(!(is_for_all && holds_secret), "{}", path.display());
    }
    assert_eq!(text(&scratch, "main").replace(SECRET, ""), lines(100));
}

#[test]
fn files_that_are_made_to_lead_elsewhere_while_it_runs_are_made_anew() {
    if !is_root("files that are replaced") {
        return;
    }
    for is_hard in [false, true] {
        let scratch = place(0o600);
        let mut feed = Feed::new();
        let script = ["s4096", "n10", "!cat <&4; cat; echo next >&5", "./main"];
        let mut multilog = Multilog::start(&scratch, &script, feed.stdin());
        feed.write_lines(10);
        wait_logged(&scratch, "main", 9);
        for name in ["previous", "processed", "state", "newstate", "lock"] {
            links(&scratch, &format!("main/{name}"), is_hard);
        }
        multilog.signal(SIGALRM);
        wait_until("a file is finished", || {
            finished(&scratch, "main").len() == 1
        });
        feed.write_lines(10);
        wait_logged(&scratch, "main", 19);
        let said = scratch.read("said");
        for name in ["processed", "state", "newstate"] {
            assert_eq!(
                said.matches(&anew(&format!("./main/{name}"))).count(),
                1,
                "{said}"
            );
        }
        wait_said(
            &scratch,
            "multilog: warning: unable to lock directory ./main: ",
        );
        assert_eq!(text(&scratch, "main"), lines(20));
        multilog.signal(SIGALRM);
        wait_until("another file is finished", || {
            finished(&scratch, "main").len() == 2
        });
        feed.close();
        assert_eq!(multilog.wait(), 0, "{}", scratch.read("said"));
        let second: String = (10..20).map(|number| line(number) + "\n").collect();
        assert_eq!(text(&scratch, "main"), lines(10) + "next\n" + &second);
        is_untouched(&scratch, 0o600);
    }
}

#[test]
fn a_directory_that_is_given_to_another_user_while_it_runs_is_no_longer_trusted() {
    if !is_root("a directory that is given away") {
        return;
    }
    for is_hard in [false, true] {
        let scratch = place(0o600);
        chown(scratch.at("main"), Some(0), None).unwrap();
        let mut feed = Feed::new();
        let script = ["s4096", "n10", "!cat", "./main"];
        let mut multilog = Multilog::start(&scratch, &script, feed.stdin());
        feed.write_lines(10);
        wait_logged(&scratch, "main", 9);
        chown(scratch.at("main"), Some(OWNER), None).unwrap();
        links(&scratch, "main/processed", is_hard);
        multilog.signal(SIGALRM);
        wait_until("a file is finished", || {
            finished(&scratch, "main").len() == 1
        });
        feed.close();
        assert_eq!(multilog.wait(), 0);
        assert_eq!(scratch.read("said"), anew("./main/processed"));
        assert_eq!(text(&scratch, "main"), lines(10));
        is_untouched(&scratch, 0o600);
    }
}

#[test]
fn a_status_file_that_leads_elsewhere_is_made_anew() {
    if !is_root("a status file that leads elsewhere") {
        return;
    }
    for is_hard in [false, true] {
        let scratch = place(0o600);
        links(&scratch, "main/status", is_hard);
        let (code, said) = log(&scratch, 3, &["=main/status"]);
        assert_eq!((code, said), (0, anew("main/status")));
        is_untouched(&scratch, 0o600);
        assert!(scratch.read("main/status").starts_with(&line(2)));
        // The next one finds its own.
        assert_eq!(log(&scratch, 3, &["=main/status"]), (0, String::new()));
    }
    // Where nobody else can change the directory, links are followed.
    let scratch = place(0o600);
    links(&scratch, "status", false);
    assert_eq!(log(&scratch, 3, &["=status"]), (0, String::new()));
    assert!(scratch.read("precious").starts_with(&line(2)));
}

#[test]
fn a_directory_that_another_user_makes_lead_elsewhere_is_not_opened() {
    if !is_root("a directory that leads elsewhere") {
        return;
    }
    let scratch = place(0o600);
    scratch.mkdir("root");
    for target in ["root", "."] {
        let _ = fs::remove_file(scratch.at("main/log"));
        symlink(scratch.at(target), scratch.at("main/log")).unwrap();
        lchown(scratch.at("main/log"), Some(OWNER), None).unwrap();
        for script in ["./main/log", "./main/log/new"] {
            let (code, said) = log(&scratch, 3, &[script]);
            let why = "permission denied";
            let expected = format!("multilog: fatal: unable to open directory {script}: {why}\n");
            assert_eq!((code, said), (111, expected));
        }
        assert_eq!(log(&scratch, 3, &["=main/log/status"]).0, 111);
    }
    assert_eq!(fs::read_dir(scratch.at("root")).unwrap().count(), 0);
    // His own directory, and a link of root's.
    scratch.mkdir("main/his");
    chown(scratch.at("main/his"), Some(OWNER), None).unwrap();
    links_to(&scratch, "main/his", "main/link");
    lchown(scratch.at("main/link"), Some(OWNER), None).unwrap();
    links_to(&scratch, "root", "main/roots");
    for script in ["./main/link", "./main/roots"] {
        assert_eq!(log(&scratch, 3, &[script]), (0, String::new()));
    }
    assert_eq!(scratch.read("root/current"), lines(3));
    assert_eq!(scratch.read("main/his/current"), lines(3));
}

#[test]
fn after_a_backup_and_after_a_change_of_user_it_logs_on() {
    if !is_root("logging after a backup or a change of user") {
        return;
    }
    // Directories: another user's; root's, that a group may write.
    for is_owner in [true, false] {
        let scratch = place(0o600);
        let owner = if is_owner { OWNER } else { 0 };
        chown(scratch.at("main"), Some(owner), None).unwrap();
        set_mode(&scratch, "main", if is_owner { 0o755 } else { 0o775 });
        scratch.mkdir("backup");
        let script = ["n20", "s4096", "!cat", "./main"];
        assert_eq!(log(&scratch, 100, &script), (0, String::new()));
        for entry in fs::read_dir(scratch.at("main")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "lock" {
                let backup = scratch.at("backup").join(entry.file_name());
                fs::hard_link(entry.path(), backup).unwrap();
            }
        }
        let (code, said) = log(&scratch, 100, &script);
        assert_eq!(code, 0, "{said}");
        assert!(said.starts_with(&anew("./main/current")), "{said}");
        assert_eq!(text(&scratch, "main"), lines(100).repeat(2));
        if !is_owner {
            continue;
        }
        // It ran as the owner until now.
        for entry in fs::read_dir(scratch.at("main")).unwrap() {
            chown(entry.unwrap().path(), Some(OWNER), None).unwrap();
        }
        let (code, said) = log(&scratch, 100, &script);
        assert_eq!((code, said), (0, anew("./main/current")));
        assert_eq!(text(&scratch, "main"), lines(100).repeat(3));
    }
}

#[test]
fn a_lock_that_is_a_fifo_ends_it_as_the_original() {
    for suite in [Suite::Ours, Suite::Reference] {
        if suite == Suite::Reference && !crate::harness::has("a FIFO as lock", &["multilog"]) {
            continue;
        }
        let scratch = Scratch::new();
        scratch.mkdir("main");
        let mut command = scratch.command(Suite::Ours, "mkfifo");
        command.arg("main/lock");
        assert_eq!(exit_code(command.status().unwrap()), 0);
        let mut command = scratch.command(suite, suite.program("multilog"));
        let output = finish({
            command.arg("./main");
            command
        });
        let why = "unable to lock directory ./main: device not configured";
        let expected = format!("multilog: fatal: {why}\n");
        assert_eq!((output.code, output.errors()), (111, expected));
    }
}
