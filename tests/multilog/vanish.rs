//! Directories and files that are removed, moved or closed under multilog's hands.

use super::{Feed, Multilog, check, command, finished, line, lines, text, wait_logged, wait_said};
use crate::harness::{Scratch, Suite, finish, has, is_root, wait_until};
use nix::sys::signal::Signal::{SIGALRM, SIGTERM};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

/// The lines from `from` on, below `to`.
fn some_lines(from: usize, to: usize) -> String {
    (from..to).map(|number| line(number) + "\n").collect()
}

/// Waits until line `number` is logged and multilog has nothing more to do.
fn wait_settled(scratch: &Scratch, feed: &Feed, log: &str, number: usize) {
    wait_logged(scratch, log, number);
    feed.wait_taken();
}

/// A multilog that has logged ten lines to `main`.
fn running(script: &[&str]) -> (Scratch, Feed, Multilog) {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let multilog = Multilog::start(&scratch, script, feed.stdin());
    feed.write_lines(10);
    wait_settled(&scratch, &feed, "main", 9);
    (scratch, feed, multilog)
}

/// The end: all was well but for what was said.
fn ends_having_said(scratch: &Scratch, feed: &mut Feed, mut multilog: Multilog, said: &[&str]) {
    feed.close();
    assert_eq!(multilog.wait(), 0);
    let all = scratch.read("said");
    let lines: Vec<&str> = all.lines().collect();
    let said: Vec<String> = said
        .iter()
        .map(|what| format!("multilog: warning: {what}"))
        .collect();
    assert_eq!(lines, said);
}

const CURRENT: &str = "./main/current is gone, beginning a new one";
const LOCK: &str = "./main/lock is gone, making it again";
const DIRECTORY: &str = "./main is gone, making it again";

#[test]
fn a_removed_current_is_begun_anew_and_what_comes_after_stands_in_it() {
    let (scratch, mut feed, multilog) = running(&["./main"]);
    for round in 1..4 {
        fs::remove_file(scratch.at("main/current")).unwrap();
        feed.write_lines(10);
        wait_settled(&scratch, &feed, "main", round * 10 + 9);
        let all = scratch.read("main/current");
        assert_eq!(all, some_lines(round * 10, round * 10 + 10));
    }
    ends_having_said(&scratch, &mut feed, multilog, &[CURRENT; 3]);
    let mode = fs::metadata(scratch.at("main/current")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o744);
}

#[test]
fn a_removed_current_does_not_hinder_rotation() {
    let (scratch, mut feed, multilog) = running(&["s4096", "n100", "./main"]);
    fs::remove_file(scratch.at("main/current")).unwrap();
    multilog.signal(SIGALRM);
    wait_said(&scratch, CURRENT);
    feed.write_lines(300);
    wait_settled(&scratch, &feed, "main", 309);
    assert!(finished(&scratch, "main").len() > 3);
    assert_eq!(text(&scratch, "main"), some_lines(10, 310));
    ends_having_said(&scratch, &mut feed, multilog, &[CURRENT]);
}

#[test]
fn a_current_that_was_moved_away_is_written_until_it_is_full() {
    let (scratch, mut feed, multilog) = running(&["s4096", "n100", "./main"]);
    fs::rename(scratch.at("main/current"), scratch.at("moved")).unwrap();
    feed.write_lines(10);
    let first = lines(20);
    wait_until("the lines are there", || scratch.read("moved") == first);
    feed.write_lines(200);
    wait_settled(&scratch, &feed, "main", 219);
    ends_having_said(&scratch, &mut feed, multilog, &[CURRENT]);
    let all = scratch.read("moved") + &text(&scratch, "main");
    assert_eq!(all, lines(220));
}

/// Has half a line held, kills multilog and has another write the rest.
fn killed_with_half_a_line(scratch: &Scratch, feed: &Feed, script: &[&str], multilog: Multilog) {
    let mut writer = feed.writer.as_ref().unwrap();
    writer.write_all(b"half of a line").unwrap();
    wait_until("half of a line is held", || {
        let lock = fs::read(scratch.at("main/lock")).unwrap_or_default();
        String::from_utf8_lossy(&lock).contains("half of a line")
    });
    feed.wait_taken();
    drop(multilog);
    let _again = Multilog::start(scratch, script, feed.stdin());
    writer.write_all(b", the rest\n").unwrap();
    wait_until("the line is logged", || {
        text(scratch, "main").ends_with("half of a line, the rest\n")
    });
}

#[test]
fn a_line_that_is_held_after_all_files_were_removed_is_there_after_a_kill() {
    let script = ["s4096", "n1000", "./main"];
    let (scratch, mut feed, multilog) = running(&script);
    for entry in fs::read_dir(scratch.at("main")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    feed.write_lines(10);
    wait_settled(&scratch, &feed, "main", 19);
    let other = finish(command(&scratch, &script));
    let why = "multilog: fatal: unable to lock directory ./main: temporary failure\n";
    assert_eq!((other.code, other.errors().as_str()), (111, why));
    killed_with_half_a_line(&scratch, &feed, &script, multilog);
    let all = some_lines(10, 20) + "half of a line, the rest\n";
    assert_eq!(text(&scratch, "main"), all);
    let said = [LOCK, CURRENT].map(|what| format!("multilog: warning: {what}\n"));
    assert_eq!(scratch.read("said"), said.concat());
}

#[test]
fn a_line_that_is_held_after_lock_or_its_directory_was_removed_is_there_after_a_kill() {
    let (scratch, feed, multilog) = running(&["./main"]);
    fs::remove_file(scratch.at("main/lock")).unwrap();
    killed_with_half_a_line(&scratch, &feed, &["./main"], multilog);
    let all = lines(10) + "half of a line, the rest\n";
    assert_eq!(text(&scratch, "main"), all);

    let (scratch, feed, multilog) = running(&["./main"]);
    fs::remove_dir_all(scratch.at("main")).unwrap();
    killed_with_half_a_line(&scratch, &feed, &["./main"], multilog);
    assert_eq!(text(&scratch, "main"), "half of a line, the rest\n");
}

#[test]
fn a_removed_lock_that_another_multilog_has_made_and_holds_is_told_of_once() {
    let (scratch, mut feed, multilog) = running(&["s4096", "n100", "./main"]);
    fs::remove_file(scratch.at("main/lock")).unwrap();
    let others = Feed::new();
    let other = Multilog::start(&scratch, &["./main"], others.stdin());
    wait_until("it holds the lock", || {
        fs::metadata(scratch.at("main/lock")).is_ok_and(|m| m.len() > 0)
    });
    feed.write_lines(200);
    wait_settled(&scratch, &feed, "main", 209);
    assert!(finished(&scratch, "main").len() > 2);
    drop(other);
    feed.write_lines(100);
    wait_settled(&scratch, &feed, "main", 309);
    let taken = "unable to lock directory ./main: temporary failure";
    ends_having_said(&scratch, &mut feed, multilog, &[taken, LOCK]);
    assert_eq!(text(&scratch, "main"), lines(310));
}

#[test]
fn a_deleted_directory_is_made_again_and_locked() {
    let (scratch, mut feed, multilog) = running(&["s4096", "n100", "./main"]);
    for round in 1..4 {
        fs::remove_dir_all(scratch.at("main")).unwrap();
        if round == 2 {
            scratch.mkdir("main");
        }
        // Into a file that is full by that, too.
        feed.write_lines(100);
        wait_settled(&scratch, &feed, "main", round * 100 - 100 + 109);
        let from = round * 100 - 90;
        assert_eq!(text(&scratch, "main"), some_lines(from, from + 100));
        let other = finish(command(&scratch, &["./main"]));
        let why = "multilog: fatal: unable to lock directory ./main: temporary failure\n";
        assert_eq!((other.code, other.errors().as_str()), (111, why));
    }
    ends_having_said(&scratch, &mut feed, multilog, &[DIRECTORY; 3]);
}

#[test]
fn the_last_of_several_directories_is_made_again_and_the_others_are_as_they_were() {
    let (scratch, mut feed, multilog) = running(&[
        "t", "s4096", "n100", "./first", "-*odd*", "./main2", "+*", "./main",
    ]);
    fs::remove_dir_all(scratch.at("main2")).unwrap();
    feed.write_lines(300);
    wait_settled(&scratch, &feed, "main", 309);
    let said = "./main2 is gone, making it again";
    ends_having_said(&scratch, &mut feed, multilog, &[said]);
    assert_eq!(
        check(&text(&scratch, "first"), true, 310, |_| true).times,
        0
    );
    assert_eq!(check(&text(&scratch, "main"), true, 310, |_| true).times, 0);
    let even: Vec<usize> = (10..310).filter(|n| n % 2 == 0).collect();
    let found = text(&scratch, "main2");
    assert_eq!(found.lines().count(), even.len());
    assert!(
        found
            .lines()
            .zip(even)
            .all(|(found, n)| found.ends_with(&line(n)))
    );
}

#[test]
fn a_directory_that_cannot_be_made_again_is_waited_for() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    scratch.mkdir("above");
    let script = ["./above/main"];
    let mut multilog = Multilog::start(&scratch, &script, feed.stdin());
    feed.write_lines(10);
    wait_settled(&scratch, &feed, "above/main", 9);
    fs::remove_dir_all(scratch.at("above")).unwrap();
    feed.write_lines(10);
    wait_said(
        &scratch,
        "unable to open directory ./above/main, pausing: file does not exist\n",
    );
    // It can be ended meanwhile, and what it has not written is still there.
    multilog.signal(SIGTERM);
    assert_eq!(multilog.wait(), 111);
    scratch.mkdir("above");
    let mut multilog = Multilog::start(&scratch, &script, feed.stdin());
    wait_settled(&scratch, &feed, "above/main", 19);
    fs::remove_dir_all(scratch.at("above")).unwrap();
    feed.write_lines(10);
    wait_until("it is said again", || {
        scratch.read("said").matches("above/main, pausing").count() == 2
    });
    scratch.mkdir("above");
    wait_settled(&scratch, &feed, "above/main", 29);
    feed.close();
    assert_eq!(multilog.wait(), 0);
    assert_eq!(text(&scratch, "above/main"), some_lines(20, 30));
}

#[test]
fn a_directory_taken_by_another_multilog_is_waited_for() {
    let (scratch, mut feed, multilog) = running(&["./main"]);
    fs::remove_dir_all(scratch.at("main")).unwrap();
    let mut others = Feed::new();
    let mut other = Multilog::start(&scratch, &["./main"], others.stdin());
    others.write_lines(2);
    wait_logged(&scratch, "main", 1);
    feed.write_lines(10);
    let locked = "unable to lock directory ./main, pausing: temporary failure";
    wait_said(&scratch, locked);
    others.close();
    assert_eq!(other.wait(), 0);
    wait_settled(&scratch, &feed, "main", 19);
    let all = lines(2) + &some_lines(10, 20);
    assert_eq!(scratch.read("main/current"), all);
    ends_having_said(&scratch, &mut feed, multilog, &[DIRECTORY, locked]);
}

#[test]
fn a_directory_that_was_moved_away_is_written_further() {
    let (scratch, mut feed, multilog) = running(&["s4096", "n100", "!cat", "./main"]);
    fs::rename(scratch.at("main"), scratch.at("moved")).unwrap();
    feed.write_lines(200);
    wait_settled(&scratch, &feed, "moved", 209);
    assert!(!scratch.at("main").exists());
    ends_having_said(&scratch, &mut feed, multilog, &[]);
    assert_eq!(text(&scratch, "moved"), lines(210));
}

#[test]
fn a_directory_deleted_while_its_processor_works_is_made_again() {
    let script = ["s4096", "n100", "!rm -rf ../main; exit 1", "./main"];
    let (scratch, mut feed, multilog) = running(&script);
    feed.write_lines(50);
    // Those of the full file are gone with it.
    wait_settled(&scratch, &feed, "main", 59);
    let failed = "processor failed in ./main, pausing";
    ends_having_said(&scratch, &mut feed, multilog, &[failed, DIRECTORY]);
}

#[test]
fn a_full_file_that_its_processor_removes_is_not_processed_again() {
    let script = ["s4096", "n100", "!rm previous; echo; exit 1", "./main"];
    let (scratch, mut feed, multilog) = running(&script);
    feed.write_lines(50);
    wait_settled(&scratch, &feed, "main", 59);
    let failed = "processor failed in ./main, pausing";
    let gone = "./main/previous is gone, not processing it";
    ends_having_said(&scratch, &mut feed, multilog, &[failed, gone]);
    let mut left: Vec<String> = fs::read_dir(scratch.at("main"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["current", "lock", "state"]);
}

#[test]
fn a_directory_closed_for_writing_is_waited_for() {
    let test = "a closed directory";
    if !has(test, &["setpriv"]) || !is_root(test) {
        return;
    }
    let scratch = Scratch::new();
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(scratch.path(), open).unwrap();
    // The checkout may be closed to that account.
    let ours = Suite::Ours.program("multilog");
    scratch.executable("multilog", fs::read(ours).unwrap());
    let mut command = scratch.command(Suite::Ours, "setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args(["./multilog", "s4096", "n100", "./main"]);
    let mut feed = Feed::new();
    let multilog = Multilog::spawn(&scratch, command, feed.stdin());
    feed.write_lines(10);
    wait_settled(&scratch, &feed, "main", 9);
    let mode = |mode| fs::set_permissions(scratch.at("main"), fs::Permissions::from_mode(mode));
    mode(0o500).unwrap();
    feed.write_lines(200);
    let refused =
        "unable to rename current to previous in directory ./main, pausing: access denied";
    wait_said(&scratch, refused);
    mode(0o700).unwrap();
    wait_settled(&scratch, &feed, "main", 209);
    ends_having_said(&scratch, &mut feed, multilog, &[refused]);
    assert_eq!(text(&scratch, "main"), lines(210));
}
