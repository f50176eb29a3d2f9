//! A full disk, a stderr that nobody reads; what multilog costs.

use super::{
    Feed, Multilog, Twice, check, command, finished, line, lines, text, wait_logged, wait_said,
};
use crate::harness::{Mount, Scratch, Suite, has, let_time_pass, linked_statically, wait_until};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal::{SIGALRM, SIGTERM};
use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

/// A small disk at `disk`.
fn disk(test: &str, scratch: &Scratch) -> Option<Mount> {
    scratch.mkdir("disk");
    let arguments = ["-t", "tmpfs", "-o", "size=256k", "none"];
    Mount::if_possible(test, scratch, &arguments, "disk")
}

/// Fills the disk to the brim.
fn fill(scratch: &Scratch) {
    let mut filler = File::create(scratch.at("disk/filler")).unwrap();
    while filler.write(&[0; 4096]).is_ok() {}
}

fn free(scratch: &Scratch) {
    fs::remove_file(scratch.at("disk/filler")).unwrap();
}

const FULL: &str =
    "multilog: warning: unable to write to ./disk/main/current, pausing: out of disk space\n";

/// So many times this was said.
fn said(scratch: &Scratch, what: &str) -> usize {
    scratch.read("said").matches(what).count()
}

#[test]
fn on_a_full_disk_it_waits_and_loses_nothing() {
    let scripts: [&[&str]; 3] = [
        &["n100", "./disk/main"],
        &["t", "s4096", "n100", "./disk/main"],
        &["t", "n100", "./other", "-*odd*", "./disk/main"],
    ];
    std::thread::scope(|scope| {
        for script in scripts {
            scope.spawn(move || fill_and_free(script));
        }
    });
}

/// Fills the disk under a multilog with this script, and again, with a KILL
/// while it waits.
fn fill_and_free(script: &[&str]) {
    let scratch = Scratch::new();
    let Some(_disk) = disk("a full disk under multilog", &scratch) else {
        return;
    };
    let mut feed = Feed::new();
    let multilog = Multilog::start(&scratch, script, feed.stdin());
    // The last line is always an even one.
    feed.write_lines(11);
    wait_logged(&scratch, "disk/main", 10);
    fill(&scratch);
    feed.write_lines(200);
    wait_said(&scratch, FULL);
    free(&scratch);
    feed.write_lines(102);
    wait_logged(&scratch, "disk/main", 312);
    fill(&scratch);
    feed.write_lines(200);
    let before = said(&scratch, FULL);
    wait_until("it is said again", || said(&scratch, FULL) > before);
    drop(multilog);
    // This one finds a full disk at its start; what it says of that is its affair.
    let before = scratch.read("said").len();
    let multilog = Multilog::start(&scratch, script, feed.stdin());
    wait_until("it is said again", || scratch.read("said").len() > before);
    drop(multilog);
    free(&scratch);
    let mut multilog = Multilog::start(&scratch, script, feed.stdin());
    feed.close();
    assert_eq!(multilog.wait(), 0, "{}", scratch.read("said"));
    let has_other = script.contains(&"./other");
    let is_wanted = |number: usize| !has_other || number.is_multiple_of(2);
    let all = text(&scratch, "disk/main");
    let twice = check(&all, script[0] == "t", 513, is_wanted);
    assert_eq!(twice.times, 0, "{twice:?}");
    if has_other {
        let twice = check(&text(&scratch, "other"), true, 513, |_| true);
        assert_eq!(twice.times, 0, "{twice:?}");
    }
}

#[test]
fn a_directory_that_waits_keeps_no_other_from_its_lines() {
    for script in [["./disk/main", "./other"], ["./other", "./disk/main"]] {
        let scratch = Scratch::new();
        let Some(_disk) = disk("a full disk under one of two directories", &scratch) else {
            return;
        };
        let mut feed = Feed::new();
        let mut multilog = Multilog::start(&scratch, &script, feed.stdin());
        feed.write_lines(10);
        wait_logged(&scratch, "disk/main", 9);
        fill(&scratch);
        feed.write_lines(80);
        wait_said(&scratch, FULL);
        assert_eq!(text(&scratch, "other"), lines(90));
        free(&scratch);
        feed.close();
        assert_eq!(multilog.wait(), 0, "{}", scratch.read("said"));
        assert_eq!(text(&scratch, "disk/main"), lines(90));
        assert_eq!(text(&scratch, "other"), lines(90));
    }
}

#[test]
fn on_a_full_disk_it_hears_signals() {
    let scratch = Scratch::new();
    let Some(_disk) = disk("signals on a full disk", &scratch) else {
        return;
    };
    let script = ["./disk/main"];
    let mut feed = Feed::new();
    let mut multilog = Multilog::start(&scratch, &script, feed.stdin());
    feed.write_lines(10);
    wait_logged(&scratch, "disk/main", 9);
    fill(&scratch);
    feed.write_lines(200);
    wait_said(&scratch, FULL);
    multilog.signal(SIGALRM);
    free(&scratch);
    // It is done when there is room.
    wait_until("the file is finished", || {
        finished(&scratch, "disk/main").len() == 1
    });
    wait_until("all is logged", || {
        text(&scratch, "disk/main").len() >= lines(210).len()
    });
    assert_eq!(text(&scratch, "disk/main"), lines(210));
    fill(&scratch);
    feed.write_lines(200);
    wait_until("it is said again", || said(&scratch, FULL) == 2);
    multilog.signal(SIGTERM);
    assert_eq!(multilog.wait(), 111);
    let fatal = "multilog: fatal: unable to write to ./disk/main/current: out of disk space\n";
    assert_eq!(scratch.read("said"), [FULL, FULL, fatal].concat());
    free(&scratch);
    let mut multilog = Multilog::start(&scratch, &script, feed.stdin());
    feed.close();
    assert_eq!(multilog.wait(), 0);
    assert_eq!(text(&scratch, "disk/main"), lines(410));
}

#[test]
fn a_current_that_was_removed_to_make_room_makes_room() {
    let scratch = Scratch::new();
    let Some(_disk) = disk("a removed current on a full disk", &scratch) else {
        return;
    };
    let mut feed = Feed::new();
    let mut multilog = Multilog::start(&scratch, &["./disk/main"], feed.stdin());
    for _ in 0..4 {
        feed.write_lines(200);
        wait_logged(&scratch, "disk/main", feed.begun - 1);
    }
    fill(&scratch);
    feed.write_lines(200);
    wait_said(&scratch, FULL);
    fs::remove_file(scratch.at("disk/main/current")).unwrap();
    wait_logged(&scratch, "disk/main", 999);
    feed.close();
    assert_eq!(multilog.wait(), 0);
    let gone = "multilog: warning: ./disk/main/current is gone, beginning a new one\n";
    assert_eq!(scratch.read("said"), [FULL, gone].concat());
    let after: String = (800..1000).map(|number| line(number) + "\n").collect();
    assert_eq!(text(&scratch, "disk/main"), after);
}

#[test]
fn behind_an_unfinished_line_it_looks_again_for_what_it_may_not_be_told_of() {
    let test = "behind_an_unfinished_line_it_looks_again_for_what_it_may_not_be_told_of";
    if !has(test, &["strace"]) {
        return;
    }
    // They end amid a line: a write of more than there is room for does, too.
    for (length, is_burst) in [(8000, true), (10, false)] {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        let mut command = scratch.command(Suite::Ours, "strace");
        command.args(["-o", "calls", "-e", "trace=epoll_wait"]);
        command.arg(Suite::Ours.program("multilog")).arg("./main");
        feed.write(length);
        let mut multilog = Multilog::spawn(&scratch, command, feed.stdin());
        feed.wait_taken();
        feed.close();
        assert_eq!(multilog.wait(), 0);
        check(&text(&scratch, "main"), false, feed.begun, |_| true);
        let calls = scratch.read("calls");
        let timeouts = calls
            .lines()
            .filter(|call| call.trim_end().ends_with(" = 0"));
        // After a burst it looks after 1, 2, 4, 8 and 16 ms and then holds the line; else it
        // waits for a second, and gives back memory about then.
        let waits = timeouts.filter(|call| !call.contains("], 2, 0)"));
        let waits: Vec<&str> = waits.collect();
        let most = if is_burst { 7 } else { 2 };
        assert!((1..=most).contains(&waits.len()), "{waits:?}");
    }
}

#[test]
fn behind_an_unfinished_line_a_write_of_more_than_there_is_room_for_goes_on() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
    feed.write_lines(10);
    wait_logged(&scratch, "main", 9);
    feed.write(10);
    let mut writer = feed.writer.take().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let mut text_of_it = std::mem::take(&mut feed.rest);
    text_of_it.extend((11..20_000).flat_map(|number| (line(number) + "\n").into_bytes()));
    let writing = std::thread::spawn(move || writer.write_all(&text_of_it).unwrap());
    wait_until("all is written", || writing.is_finished());
    writing.join().unwrap();
    assert_eq!(multilog.wait(), 0);
    assert!(text(&scratch, "main").ends_with(&(line(19_999) + "\n")));
}

#[test]
fn of_a_pipe_of_one_page_an_unfinished_line_keeps_nothing() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    feed.line = |number| format!("{number:0900}");
    let mut multilog = Multilog::start(&scratch, &["s1000000", "./main"], feed.stdin());
    feed.write(901);
    feed.wait_taken();
    fcntl(&feed.reader, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    // With a second for each page of them the deadline would pass.
    feed.write(400 * 901);
    feed.close();
    assert_eq!(multilog.wait(), 0);
    let expected: String = (0..401).map(|number| format!("{number:0900}\n")).collect();
    assert_eq!(text(&scratch, "main"), expected);
}

#[test]
fn of_a_full_disk_it_says_what_the_original_says() {
    let test = "the words for a full disk";
    let scratch = Scratch::new();
    let Some(_disk) = disk(test, &scratch) else {
        return;
    };
    if !has(test, &["multilog"]) {
        return;
    }
    let mut command = scratch.command(Suite::Reference, Suite::Reference.program("multilog"));
    command.arg("./disk/main");
    let mut feed = Feed::new();
    let _multilog = Multilog::spawn(&scratch, command, feed.stdin());
    feed.write_lines(10);
    wait_logged(&scratch, "disk/main", 9);
    fill(&scratch);
    feed.write_lines(200);
    wait_said(&scratch, FULL);
}

#[test]
fn while_nothing_comes_nothing_wakes_it() {
    if !has("a multilog that rests", &["strace"]) {
        return;
    }
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let mut command = scratch.command(Suite::Ours, "strace");
    command.args(["-o", "trace"]);
    command
        .arg(Suite::Ours.program("multilog"))
        .args(["t", "./main"]);
    let mut multilog = Multilog::spawn(&scratch, command, feed.stdin());
    feed.write_lines(10);
    wait_logged(&scratch, "main", 9);
    // An unfinished line does not keep it awake, either.
    for begun in ["", "begun"] {
        let mut writer = feed.writer.as_ref().unwrap();
        writer.write_all(begun.as_bytes()).unwrap();
        wait_until("it has noted the beginning", || {
            scratch.read("main/lock").contains(begun)
        });
        // On a busy machine it may still be about to rest.
        let rests = || {
            let before = scratch.read("trace");
            let mut rest = scratch.command(Suite::Ours, "sleep");
            rest.arg("2");
            crate::harness::finish(rest);
            let last = before.lines().last().unwrap_or_default();
            last.starts_with("epoll_wait(") && scratch.read("trace") == before
        };
        assert!((0..10).any(|_| rests()), "{}", scratch.read("trace"));
    }
    feed.writer.as_ref().unwrap().write_all(b"\n").unwrap();
    feed.close();
    assert_eq!(multilog.wait(), 0);
}

/// How many descriptors a process has open.
fn descriptors(multilog: &Multilog) -> usize {
    let list = fs::read_dir(format!("/proc/{}/fd", multilog.0.id()));
    list.unwrap().count()
}

#[test]
fn after_many_rotations_no_descriptor_is_left_open() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let script = ["s4096", "n4", "./main", "!cat", "n3", "./other"];
    let multilog = Multilog::start(&scratch, &script, feed.stdin());
    feed.write_lines(1);
    wait_logged(&scratch, "other", 0);
    let before = descriptors(&multilog);
    // Two files for each time: 1000 in all.
    for _ in 0..500 {
        let next = feed.begun;
        feed.write_lines(1);
        wait_until("the line is logged", || {
            scratch
                .read("other/current")
                .ends_with(&(line(next) + "\n"))
        });
        multilog.signal(SIGALRM);
        wait_until("both begin anew", || {
            ["main/current", "other/current"]
                .iter()
                .all(|name| fs::metadata(scratch.at(name)).is_ok_and(|m| m.len() == 0))
        });
    }
    wait_until("the last processor has ended", || {
        !scratch.at("other/previous").exists() && !scratch.at("other/processed").exists()
    });
    assert_eq!(descriptors(&multilog), before);
    assert_eq!(finished(&scratch, "main").len(), 3);
    assert_eq!(finished(&scratch, "other").len(), 2);
}

/// The limit on descriptors under which so many can be used: whoever runs the tests may
/// have left some open for his children.
fn limit(count: usize) -> usize {
    const CLOEXEC: u32 = 0o2_000_000;
    let is_inherited = |number: &usize| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.map(|flags| u32::from_str_radix(flags.trim(), 8).unwrap());
        flags.is_some_and(|flags| flags & CLOEXEC == 0)
    };
    let numbers = (3..1000).filter(is_inherited);
    numbers.fold(count, |limit, other| limit + usize::from(other < limit))
}

#[test]
fn few_descriptors_are_enough() {
    let test = "multilog with few descriptors";
    // Of the original: stdin, stdout and stderr; the starting directory; of each log the
    // directory, `lock` and `current`; and one to count files. Here, for signals, for
    // news of the pipe, and both ends of a pipe to look into it: four more.
    let plain: &[&str] = &["s4096", "n3", "./main"];
    let more: &[&str] = &["=state", "s4096", "n3", "./main", "!cat", "./other"];
    for (suite, script, least) in [
        (Suite::Reference, plain, 8),
        (Suite::Reference, more, 12),
        (Suite::Ours, plain, 12),
        (Suite::Ours, more, 16),
    ] {
        if suite == Suite::Reference && !has(test, &["multilog"]) {
            continue;
        }
        for count in [least - 1, least] {
            let scratch = Scratch::new();
            let mut command = scratch.command(Suite::Ours, Suite::Ours.program("softlimit"));
            command.arg(format!("-o{}", limit(count)));
            command.arg(suite.program("multilog")).args(script);
            let mut feed = Feed::new();
            feed.write_lines(600);
            let mut multilog = Multilog::spawn(&scratch, command, feed.stdin());
            if count < least {
                // It cannot begin, or cannot finish a file.
                wait_said(&scratch, "process cannot open more files");
                continue;
            }
            feed.close();
            assert_eq!(multilog.wait(), 0, "{suite:?}: {}", scratch.read("said"));
            // To look for a budget takes more.
            let said = scratch.read("said");
            let is_budget = |line: &str| line.starts_with("multilog: warning: budget in ./");
            assert!(said.lines().all(is_budget), "{suite:?}: {said}");
            assert_eq!(finished(&scratch, "main").len(), 2);
            let all = lines(600);
            assert!(all.ends_with(&text(&scratch, "main")));
        }
    }
}

#[test]
fn with_few_descriptors_it_goes_on_after_a_kill() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let mut count = 0;
    for _ in 0..3 {
        let mut command = scratch.command(Suite::Ours, Suite::Ours.program("softlimit"));
        command.arg(format!("-o{}", limit(12)));
        command.arg(Suite::Ours.program("multilog"));
        command.args(["s4096", "n100", "./main"]);
        let multilog = Multilog::spawn(&scratch, command, feed.stdin());
        feed.write_lines(500);
        count += 500;
        wait_logged(&scratch, "main", count - 1);
        drop(multilog);
    }
    let mut multilog = Multilog::start(&scratch, &["s4096", "n100", "./main"], feed.stdin());
    feed.close();
    assert_eq!(multilog.wait(), 0);
    let twice = check(&text(&scratch, "main"), false, count, |_| true);
    assert!(twice.times <= 3, "{twice:?}");
}

/// What a process has in memory for itself alone, in KiB: not the pages of its
/// program, which it shares or not as others run it, too.
fn private_memory(multilog: &Multilog) -> u64 {
    let rollup = format!("/proc/{}/smaps_rollup", multilog.0.id());
    let rollup = fs::read_to_string(rollup).unwrap();
    let fields = rollup
        .lines()
        .filter(|line| line.starts_with("Private_Dirty:"));
    fields
        .map(|line| {
            let size = line.split_ascii_whitespace().nth(1).unwrap();
            size.parse::<u64>().unwrap()
        })
        .sum()
}

#[test]
fn however_long_a_line_is_memory_stays_below_a_mebibyte() {
    let scratch = Scratch::new();
    let feed = Feed::new();
    let script = ["t", "s1000000", "n3", "./main", "-*y*", "e", "./none"];
    let multilog = Multilog::start(&scratch, &script, feed.stdin());
    let piece = [b'x'; 64 * 1024];
    let mut left = 50 << 20;
    let mut most = 0;
    while left > 0 {
        let mut writer = feed.writer.as_ref().unwrap();
        wait_until("there is room", || match writer.write(&piece) {
            Ok(count) => {
                left -= count.min(left);
                true
            }
            Err(_) => false,
        });
        if left % (1 << 20) < piece.len() {
            most = most.max(private_memory(&multilog));
        }
    }
    let mut writer = feed.writer.as_ref().unwrap();
    wait_until("there is room", || writer.write_all(b"\n").is_ok());
    most = most.max(private_memory(&multilog));
    assert!(most < 1024, "{most} KiB");
    println!("{most} KiB");
    // And with short lines, each of which becomes 27 times as long.
    let empty = [b'\n'; 64 * 1024];
    for _ in 0..50 {
        let mut writer = feed.writer.as_ref().unwrap();
        wait_until("there is room", || writer.write(&empty).is_ok());
        most = most.max(private_memory(&multilog));
    }
    assert!(most < 1024, "{most} KiB");
    println!("{most} KiB");
}

#[test]
fn however_much_is_shown_memory_stays_below_a_mebibyte() {
    for script in [
        &["t", "e"][..],
        &["t", "e", "./main"],
        &["t", "e", "=state"],
    ] {
        let scratch = Scratch::new();
        let feed = Feed::new();
        let mut command = command(&scratch, script);
        command.stdin(feed.stdin()).stderr(Stdio::null());
        let multilog = Multilog(command.spawn().unwrap());
        let empty = [b'\n'; 64 * 1024];
        let mut most = 0;
        for _ in 0..50 {
            let mut writer = feed.writer.as_ref().unwrap();
            wait_until("there is room", || writer.write(&empty).is_ok());
            most = most.max(private_memory(&multilog));
        }
        assert!(most < 1024, "{script:?}: {most} KiB");
        println!("{script:?}: {most} KiB");
    }
}

#[test]
fn the_memory_of_a_rush_is_given_back_when_lines_come_slowly_again_or_not_at_all() {
    for then in [1, 0] {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        let script = ["t", "s16777215", "./main"];
        let multilog = Multilog::start(&scratch, &script, feed.stdin());
        // Then it has given the pipe its room.
        let mut count = 1;
        feed.write_lines(1);
        feed.wait_taken();
        let mut most = 0;
        for _ in 0..20 {
            feed.write_lines(3000);
            count += 3000;
            feed.wait_taken();
            most = most.max(private_memory(&multilog));
        }
        wait_until("most of it is given back", || {
            feed.write_lines(then);
            count += then;
            private_memory(&multilog) + 100 < most
        });
        feed.write_lines(1);
        wait_logged(&scratch, "main", count);
        assert_eq!(
            check(&text(&scratch, "main"), true, count + 1, |_| true),
            Twice::default()
        );
    }
}

#[test]
fn under_a_limit_on_memory_it_works_with_small_buffers() {
    let test = "multilog under a limit on memory";
    let plain: &[&str] = &["t", "s1000000", "n100", "./main"];
    let filtered: &[&str] = &["t", "e", "n100", "./main", "-*nothing*", "n100", "./other"];
    let rotating: &[&str] = &["t", "s4096", "n1000", "./main"];
    // Beside the original, which is as large: mostly the C library.
    let suites = [
        (Suite::Reference, plain, 20_000, "500000"),
        (Suite::Ours, plain, 20_000, "500000"),
        (Suite::Ours, filtered, 2_000, "500000"),
        // The heap has no room there to grow as far as glibc likes it to.
        (Suite::Reference, rotating, 2_000, "300000"),
        (Suite::Static, rotating, 2_000, "300000"),
    ];
    for (suite, script, count, limit) in suites {
        let scratch = Scratch::new();
        if suite == Suite::Reference && !has(test, &["multilog"]) {
            continue;
        }
        if suite == Suite::Static && linked_statically(test).is_none() {
            continue;
        }
        scratch.mkdir("main");
        // Above a budget's, too.
        scratch.write("budget", "total 100M\n");
        let mut command = scratch.command(Suite::Ours, Suite::Ours.program("softlimit"));
        command.args(["-d", limit]);
        command.arg(suite.program("multilog")).args(script);
        let mut feed = Feed::new();
        let mut multilog = Multilog::spawn(&scratch, command, feed.stdin());
        wait_until("all is written", || {
            if feed.begun < count && feed.rest.is_empty() {
                feed.write(64 * 1024);
            }
            feed.write(feed.rest.len());
            feed.begun >= count && feed.rest.is_empty()
        });
        feed.close();
        assert_eq!(multilog.wait(), 0, "{suite:?}: {}", scratch.read("said"));
        for log in ["main", "other"]
            .iter()
            .take(if script == filtered { 2 } else { 1 })
        {
            let twice = check(&text(&scratch, log), true, feed.begun, |_| true);
            assert_eq!(twice, Twice::default());
        }
    }
}

#[test]
fn what_is_out_of_no_pipe_is_waited_for_even_after_term() {
    let scratch = Scratch::new();
    let Some(_disk) = disk("TERM on a full disk", &scratch) else {
        return;
    };
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let theirs = OwnedFd::from(theirs);
    let mut multilog = Multilog::start(&scratch, &["./disk/main"], theirs.into());
    ours.write_all(lines(10).as_bytes()).unwrap();
    wait_logged(&scratch, "disk/main", 9);
    fill(&scratch);
    let all = lines(200);
    ours.write_all(&all.as_bytes()[lines(10).len()..]).unwrap();
    wait_said(&scratch, FULL);
    multilog.signal(SIGTERM);
    multilog.wait_heard();
    free(&scratch);
    assert_eq!(multilog.wait(), 0);
    // What it had not read is lost with the socket, whole lines.
    let text = text(&scratch, "disk/main");
    assert!(
        text.len() > lines(10).len() && all.starts_with(&text),
        "{text}"
    );
    assert!(text.ends_with('\n'));
}

/// A pipe that is full, for a stderr that nobody reads.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader, writer)
}

#[test]
fn a_stderr_that_nobody_reads_does_not_keep_lines_from_the_log() {
    // Closed at the other end, and full.
    for is_full in [false, true] {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        let (reader, writer) = full_pipe();
        let reader = is_full.then_some(reader);
        let mut command = command(&scratch, &["./main"]);
        command.stdin(feed.stdin()).stderr(writer);
        let mut multilog = Multilog(command.spawn().unwrap());
        feed.write_lines(10);
        wait_logged(&scratch, "main", 9);
        fs::remove_file(scratch.at("main/current")).unwrap();
        feed.write_lines(10);
        wait_logged(&scratch, "main", 19);
        feed.close();
        assert_eq!(multilog.wait(), 0);
        drop(reader);
    }
}

#[test]
fn what_e_prints_waits_for_its_reader_but_not_once_told_to_end() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let (mut reader, writer) = full_pipe();
    let start = |feed: &Feed, stderr: PipeWriter| {
        let mut command = command(&scratch, &["e", "./main"]);
        command.stdin(feed.stdin()).stderr(stderr);
        Multilog(command.spawn().unwrap())
    };
    let mut multilog = start(&feed, writer);
    feed.write_lines(10);
    let mut expected = lines(10);
    let mut said = vec![0; 64 * 1024];
    reader.read_exact(&mut said).unwrap();
    assert!(said.iter().all(|byte| *byte == b'x'));
    wait_logged(&scratch, "main", 9);
    let mut said = vec![0; expected.len()];
    reader.read_exact(&mut said).unwrap();
    assert_eq!(String::from_utf8_lossy(&said), expected);
    feed.close();
    assert_eq!(multilog.wait(), 0);
    drop(reader);

    let mut feed = Feed::new();
    let (reader, writer) = full_pipe();
    let mut multilog = start(&feed, writer);
    feed.write_lines(10);
    multilog.signal(SIGTERM);
    let code = multilog.wait();
    // 1015: before it listened.
    assert!([0, 1015].contains(&code));
    drop(reader);
    expected += &text(&scratch, "main")[expected.len()..];
    let begun = lines(10);
    let rest = expected[begun.len()..].to_owned() + &feed.left();
    assert_eq!(rest, begun, "nothing is lost");
}

#[test]
fn what_was_held_up_for_a_second_and_told_to_end_loses_no_line() {
    let scratch = Scratch::new();
    // Of each look as much is left over as of the one before, as if nothing had come.
    let mut feed = Feed::new();
    feed.line = |number| format!("{number:099}");
    let room = |pipe: &PipeWriter, size| fcntl(pipe, FcntlArg::F_SETPIPE_SZ(size)).unwrap();
    room(feed.writer.as_ref().unwrap(), 1 << 20);
    let length = 500_000;
    feed.write(length);
    assert!(feed.rest.is_empty());
    let (mut shown, stderr) = std::io::pipe().unwrap();
    room(&stderr, 4096);
    let mut command = command(&scratch, &["e", "./main"]);
    command.stdin(feed.stdin()).stderr(stderr);
    let mut multilog = Multilog(command.spawn().unwrap());
    // Two looks and a part of the third.
    shown.read_exact(&mut vec![0; 140_000]).unwrap();
    let_time_pass(&scratch);
    multilog.signal(SIGTERM);
    assert_eq!(multilog.wait(), 0);
    let logged = text(&scratch, "main").len();
    assert!((140_000..length).contains(&logged), "{logged}");
    let mut next = Multilog::start(&scratch, &["./main"], feed.stdin());
    feed.close();
    assert_eq!(next.wait(), 0);
    let all: String = (0..length / 100)
        .map(|number| format!("{number:099}\n"))
        .collect();
    assert!(text(&scratch, "main") == all);
}
