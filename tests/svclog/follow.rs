//! svclog -f: goes on with what comes, whatever multilog does meanwhile.

use super::{
    RUN, Writer, command, follow, make, numbers, said, service, stamp, suites, texts, wait_open,
};
use crate::harness::{Scratch, Suite, is_alive, signal, wait_until};
use crate::supervise::{let_time_pass, shell, sleeps};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

#[test]
fn under_load_every_line_is_printed_once_and_in_its_order() {
    for suite in suites("under_load_every_line_is_printed_once_and_in_its_order") {
        let scratch = Scratch::new();
        service(&scratch, RUN);
        let arguments = ["t", "s4096", "n5000", "./main"];
        let mut writer = Writer::start(&scratch, suite, &arguments);
        writer.say(numbers(1..=100));
        wait_until("there is a log", || {
            scratch.read("a/log/main/current").contains(" 100\n")
        });
        let _svclog = follow(&scratch, &["-f", "-n50", "a"]);
        writer.say(numbers(101..=60_000));
        writer.end();
        wait_until("all is printed", || {
            scratch.read("log.out").ends_with(" 60000\n")
        });
        let texts = texts(&scratch.read("log.out"));
        let first: u32 = texts[0].parse().unwrap();
        assert!(first >= 51, "{first}");
        let expected = numbers(first..=60_000);
        assert!(texts.iter().eq(expected.lines()));
        assert_eq!(said(&scratch), "");
    }
}

#[test]
fn where_files_vanish_unread_that_is_said_and_nothing_is_repeated() {
    for suite in suites("where_files_vanish_unread_that_is_said_and_nothing_is_repeated") {
        let scratch = Scratch::new();
        service(&scratch, RUN);
        let mut writer = Writer::start(&scratch, suite, &["t", "s4096", "n3", "./main"]);
        writer.say(numbers(1..=10));
        wait_until("there is a log", || {
            scratch.read("a/log/main/current").contains(" 10\n")
        });
        // Output and messages go to one file, so that their order can be seen.
        let mut command = command(&scratch, &["-f", "a"]);
        let out = fs::File::create(scratch.at("both")).unwrap();
        command.stderr(out.try_clone().unwrap()).stdout(out);
        let mut svclog = command.spawn().unwrap();
        let both = || scratch.read("both");
        wait_until("it follows", || both().contains(" 10\n"));
        signal(svclog.id(), "STOP");
        writer.say(numbers(11..=2_000));
        wait_until("much is rotated away", || {
            scratch.read("a/log/main/current").contains(" 2000\n")
        });
        signal(svclog.id(), "CONT");
        writer.say(numbers(2_001..=12_000));
        writer.end();
        wait_until("the end is printed", || both().ends_with(" 12000\n"));
        signal(svclog.id(), "KILL");
        svclog.wait().unwrap();
        let (mut last, mut gap, mut gaps) = (0, false, 0);
        for line in both().lines() {
            if line.contains("lines may be missing here") {
                (gap, gaps) = (true, gaps + 1);
                continue;
            }
            let number: u32 = line[30..].parse().unwrap();
            assert!(number > last, "{number} after {last}");
            assert!(gap || number == last + 1, "{number} after {last}");
            (last, gap) = (number, false);
        }
        assert!(gaps > 0);
    }
}

#[test]
fn restarts_kills_alarms_and_processors_do_not_matter() {
    for suite in suites("restarts_kills_alarms_and_processors_do_not_matter") {
        for processor in ["t", "!cat", "!tr 0-9 a-j", "!gzip", "!true"] {
            let scratch = Scratch::new();
            service(&scratch, RUN);
            let arguments = ["t", "s4096", "n500", processor, "./main"];
            let mut writer = Writer::start(&scratch, suite, &arguments);
            let mut expected = String::new();
            let mut number = 0;
            let mut _svclog = None;
            for round in 0..12 {
                for _ in 0..20 {
                    let line = format!("{number}\n");
                    writer.say(&line);
                    expected += &line;
                    number += 1;
                }
                let last = format!(" {}\n", number - 1);
                wait_until("it is written", || {
                    scratch.read("a/log/main/current").contains(&last)
                });
                if round == 0 {
                    _svclog = Some(follow(&scratch, &["-f", "-n1000", "a"]));
                }
                wait_until("it is printed", || scratch.read("log.out").contains(&last));
                match round % 4 {
                    0 => {
                        signal(writer.0.id(), "ALRM");
                        wait_until("it is rotated", || {
                            let current = fs::metadata(scratch.at("a/log/main/current"));
                            current.is_ok_and(|current| current.len() == 0)
                                && !scratch.at("a/log/main/previous").exists()
                                && !scratch.at("a/log/main/processed").exists()
                        });
                    }
                    1 => {
                        writer.end();
                        writer = Writer::start(&scratch, suite, &arguments);
                    }
                    2 => {
                        writer.kill();
                        writer = Writer::start(&scratch, suite, &arguments);
                    }
                    _ => {}
                }
            }
            writer.end();
            let texts = texts(&scratch.read("log.out"));
            assert!(texts.iter().eq(expected.lines()), "{processor} {texts:?}");
            assert_eq!(said(&scratch), "", "{processor}");
        }
    }
}

#[test]
fn a_line_shows_while_it_comes() {
    let scratch = Scratch::new();
    make(&scratch, &[("current", "5 a\n")]);
    let svclog = follow(&scratch, &["-f", "a"]);
    wait_open(&svclog, "current");
    let mut current = fs::File::options()
        .append(true)
        .open(scratch.at("a/log/main/current"))
        .unwrap();
    let mut expected = "1970-01-01 00:00:05.000000000 a\n".to_owned();
    let stamp = stamp(7);
    for (part, shown) in [
        (&stamp[..7], ""),
        (&stamp[7..], ""),
        (" b", "1970-01-01 00:00:07.000000000 b"),
        ("c", "c"),
        ("\n", "\n"),
        ("\n", "\n"),
    ] {
        current.write_all(part.as_bytes()).unwrap();
        expected += shown;
        wait_until(&format!("{part:?} shows"), || {
            scratch.read("log.out") == expected
        });
    }
    // Somebody who saves space by hand.
    current.set_len(0).unwrap();
    current.write_all(b"new\n").unwrap();
    expected += "new\n";
    wait_until("what came after that shows", || {
        scratch.read("log.out") == expected
    });
    assert!(said(&scratch).contains("current: it was cut"));
}

#[test]
fn nothing_wakes_it_while_nothing_is_logged() {
    let scratch = Scratch::new();
    make(&scratch, &[("current", "5 a\n")]);
    let svclog = follow(&scratch, &["-f", "a"]);
    wait_open(&svclog, "current");
    let before = sleeps(svclog.pid());
    let_time_pass(&scratch);
    assert_eq!(sleeps(svclog.pid()), before);
}

#[test]
fn without_inotify_it_looks_once_a_second() {
    let scratch = Scratch::new();
    make(&scratch, &[("current", "5 a\n")]);
    let test = "without_inotify_it_looks_once_a_second";
    let Some(command) = scratch.without_inotify(test, "exec svclog -f a") else {
        return;
    };
    let _svclog = scratch.start(command, "log");
    wait_until("it has begun", || scratch.read("log.out").ends_with(" a\n"));
    shell(&scratch, "echo more >> a/log/main/current");
    wait_until("it goes on", || scratch.read("log.out").ends_with("more\n"));
}

#[test]
fn it_ends_when_nobody_reads_what_it_says() {
    let scratch = Scratch::new();
    make(&scratch, &[("current", "5 a\n6 b\n")]);
    let mut command = command(&scratch, &["-f", "a"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    // It waits now, or will soon; no further line is needed.
    drop(stdout);
    let mut status = None;
    wait_until("it ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().signal(), Some(libc::SIGPIPE));
    shell(
        &scratch,
        "svclog -n1000 a/log/main | true; svclog -f a/log/main | head -n1 >/dev/null",
    );
}

#[test]
fn a_log_that_does_not_exist_yet_can_be_followed() {
    let scratch = Scratch::new();
    service(&scratch, RUN);
    let svclog = follow(&scratch, &["-f", "a"]);
    let waits = "svclog: waiting for a/log/main\n";
    wait_until("it waits", || said(&scratch) == waits);
    scratch.mkdir("a/log/main");
    let mut writer = Writer::start(&scratch, Suite::Ours, &["./main"]);
    writer.say("first\n");
    wait_until("it is printed", || scratch.read("log.out") == "first\n");
    writer.end();
    fs::remove_dir_all(scratch.at("a/log/main")).unwrap();
    wait_until("it ends with the directory", || !is_alive(svclog.pid()));
    let why = "svclog: fatal: a/log/main: this directory was removed\n";
    assert_eq!(said(&scratch), format!("{waits}{why}"));
}
