//! svclog -f: goes on with what comes, whatever multilog does meanwhile.

use super::{
    RUN, Writer, command, follow, make, numbers, said, service, stamp, suites, texts, wait_open,
};
use crate::harness::{
    Scratch, Suite, finish, is_alive, let_time_pass, shell, signal, sleeps, wait_until,
};
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
    assert!(said(&scratch).contains("current: it was truncated"));
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
    // Removed and made anew, it goes on.
    fs::remove_dir_all(scratch.at("a/log/main")).unwrap();
    wait_until("it waits again", || said(&scratch) == waits.repeat(2));
    let mut writer = Writer::start(&scratch, Suite::Ours, &["./main"]);
    writer.say("second\n");
    wait_until("it goes on", || {
        scratch.read("log.out") == "first\nsecond\n"
    });
    writer.end();
    fs::remove_dir_all(scratch.at("a")).unwrap();
    wait_until("it ends with the service", || !is_alive(svclog.pid()));
    let why = "svclog: fatal: a/log/main: this directory was removed\n";
    assert_eq!(said(&scratch), format!("{}{why}", waits.repeat(2)));
}

#[test]
fn a_link_that_is_turned_is_followed_and_the_old_log_goes_on_as_long_as_it_does() {
    let scratch = Scratch::new();
    service(&scratch, RUN);
    let turn = |to: &str| shell(&scratch, &format!("ln -sfn ../../{to} a/log/main"));
    for name in ["A", "B", "C"] {
        scratch.mkdir(name);
    }
    scratch.write("C/current", format!("{} old\n", stamp(10)));
    turn("A");
    let mut a = Writer::start(&scratch, Suite::Ours, &["t", "./main"]);
    a.say("one\n");
    wait_until("there is a log", || {
        scratch.read("A/current").ends_with(" one\n")
    });
    let svclog = follow(&scratch, &["-f", "a"]);
    wait_open(&svclog, "current");
    let shows = |expected: &[&str]| {
        wait_until(&format!("{expected:?}"), || {
            let out = scratch.read("log.out");
            out.ends_with('\n') && texts(&out) == expected
        });
    };
    turn("B");
    a.say("two\n");
    shows(&["one", "two"]);
    let mut b = Writer::start(&scratch, Suite::Ours, &["t", "./main"]);
    b.say("three\n");
    shows(&["one", "two", "three"]);
    a.say("four\n");
    shows(&["one", "two", "three", "four"]);
    b.say("five\n");
    shows(&["one", "two", "three", "four", "five"]);
    // To a log that is old: only what comes is shown.
    turn("C");
    let mut c = Writer::start(&scratch, Suite::Ours, &["t", "./main"]);
    c.say("six\n");
    shows(&["one", "two", "three", "four", "five", "six"]);
    assert_eq!(said(&scratch), "");
    for writer in [a, b, c] {
        writer.end();
    }
}

#[test]
fn a_directory_that_is_moved_is_followed_until_there_is_another_one() {
    let scratch = Scratch::new();
    service(&scratch, RUN);
    let mut first = Writer::start(&scratch, Suite::Ours, &["./main"]);
    first.say("one\n");
    wait_until("there is a log", || {
        scratch.read("a/log/main/current") == "one\n"
    });
    let svclog = follow(&scratch, &["-f", "a"]);
    wait_open(&svclog, "current");
    let shows = |expected: &str| {
        wait_until(expected, || scratch.read("log.out") == expected);
    };
    let mut moved = fs::File::options()
        .append(true)
        .open(scratch.at("a/log/main/current"))
        .unwrap();
    fs::rename(scratch.at("a/log/main"), scratch.at("a/log/away")).unwrap();
    moved.write_all(b"two\n").unwrap();
    shows("one\ntwo\n");
    let mut second = Writer::start(&scratch, Suite::Ours, &["./main"]);
    second.say("three\n");
    shows("one\ntwo\nthree\n");
    // Also a directory above it.
    shell(&scratch, "mv a b; mkdir -p a/log");
    let mut third = Writer::start(&scratch, Suite::Ours, &["./main"]);
    third.say("four\n");
    shows("one\ntwo\nthree\nfour\n");
    assert_eq!(said(&scratch), "");
    for writer in [first, second, third] {
        writer.end();
    }
}

#[test]
fn a_file_that_is_compressed_after_it_was_read_is_not_missing() {
    let scratch = Scratch::new();
    make(&scratch, &[("20", "10 a\n")]);
    let _svclog = follow(&scratch, &["-f", "a"]);
    wait_until("it has begun", || scratch.read("log.out").ends_with(" a\n"));
    let (old, new) = (stamp(20), stamp(30));
    shell(
        &scratch,
        &format!(
            "cd a/log/main; mv {old}.s {old}.s.gz; echo b > x; mv x {new}.s; echo c > current"
        ),
    );
    wait_until("it goes on", || {
        scratch.read("log.out").ends_with(" a\nb\nc\n")
    });
    assert_eq!(said(&scratch), "");
}

#[test]
fn several_logs_are_one_in_the_order_of_their_stamps() {
    let scratch = Scratch::new();
    make(
        &scratch,
        &[("20", "10 a\nof a\n15 b\n"), ("current", "20 c\n40 d\n")],
    );
    scratch.mkdir("b/log/main");
    let line = |second, text: &str| format!("{} {text}\n", stamp(second));
    let other = line(12, "x") + &line(30, "y") + line(50, "z").trim_end();
    scratch.write("b/log/main/current", &other);
    scratch.mkdir("no");
    let time = |second| format!("1970-01-01 00:00:{second}.000000000");
    let expected = [
        format!("a: {} a\na: of a\n", time(10)),
        format!("b: {} x\n", time(12)),
        format!("a: {} b\na: {} c\n", time(15), time(20)),
        format!("b: {} y\n", time(30)),
        format!("a: {} d\n", time(40)),
        format!("b: {} z\n", time(50)),
    ];
    let run = |arguments: &[&str]| {
        let output = finish(command(&scratch, arguments));
        (
            output.code,
            output.text(),
            super::without_silent(&output.errors()),
        )
    };
    assert_eq!(run(&["a", "b"]), (0, expected.concat(), String::new()));
    assert_eq!(
        run(&["-n2", "a", "b"]).1,
        expected[2][35..].to_owned() + &expected[3..].concat()
    );
    assert_eq!(
        run(&["--since", &stamp(30), "a", "b"]).1,
        expected[3..].concat()
    );
    // What cannot be shown does not hold up the others.
    let (code, text, errors) = run(&["a", "no", "b"]);
    assert_eq!((code, text), (1, expected.concat()));
    assert!(
        errors.starts_with("svclog: fatal: no: it has no log"),
        "{errors}"
    );
    assert_eq!(run(&["no", "none"]).0, 1);
    // With what comes.
    scratch.write("b/log/main/current", other + "\n");
    let svclog = follow(&scratch, &["-f", "a", "b"]);
    let mut shown = expected.concat();
    wait_until("it follows", || scratch.read("log.out") == shown);
    wait_open(&svclog, "b/log/main/current");
    for (name, text) in [("b", "one"), ("a", "two"), ("a", "three"), ("b", "four")] {
        shell(&scratch, &format!("echo {text} >> {name}/log/main/current"));
        shown += &format!("{name}: {text}\n");
        wait_until(text, || scratch.read("log.out") == shown);
    }
    shell(
        &scratch,
        "printf half >> a/log/main/current; echo whole >> b/log/main/current",
    );
    shown += "b: whole\n";
    wait_until("half a line waits", || scratch.read("log.out") == shown);
}

#[test]
fn several_logs_under_load_lose_no_line_and_take_little_memory() {
    let scratch = Scratch::new();
    for name in ["a", "b"] {
        scratch.service(format!("{name}/log"), RUN);
        let mut writer = scratch.command(Suite::Ours, "sh");
        let script = "seq 200000 | multilog t s4000000 n99 ./main";
        writer
            .args(["-c", script])
            .current_dir(scratch.at(name).join("log"));
        assert_eq!(finish(writer).code, 0);
    }
    let script = "ulimit -v 100000; exec svclog -n1000000 a b";
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-c", script]).env("TZ", "UTC");
    let text = finish(command).text();
    for name in ["a: ", "b: "] {
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let numbers = lines.map(|line| line[30..].parse::<u32>().unwrap());
        assert!(numbers.eq(1..=200_000), "{name}");
    }
}
