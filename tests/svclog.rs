//! svclog: every line once, whatever multilog does meanwhile.

use crate::harness::{Daemon, Output, Scratch, Suite, finish, has, is_alive, signal, wait_until};
use crate::supervise::{Stranger, let_time_pass, shell, sleeps};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

const RUN: &str = "exec multilog t ./main";

/// The suites whose multilog is here.
fn suites(test: &str) -> Vec<Suite> {
    let mut suites = vec![Suite::Ours];
    if has(test, &["multilog"]) {
        suites.push(Suite::Reference);
    }
    suites
}

fn command<S: AsRef<std::ffi::OsStr>>(scratch: &Scratch, arguments: &[S]) -> Command {
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svclog"));
    command.args(arguments).env("TZ", "UTC");
    command
}

fn svclog(scratch: &Scratch, arguments: &[&str]) -> Output {
    finish(command(scratch, arguments))
}

/// What svclog prints, which has nothing to complain of.
fn printed(scratch: &Scratch, arguments: &[&str]) -> String {
    let output = svclog(scratch, arguments);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    output.text()
}

/// Why svclog prints nothing: its exit code and what it says.
fn refused(scratch: &Scratch, arguments: &[&str]) -> (i32, String) {
    let output = svclog(scratch, arguments);
    assert_eq!(output.text(), "");
    (output.code, output.errors())
}

/// Starts svclog; its stdout goes to the file `log.out`, its stderr to `log.err`.
fn follow(scratch: &Scratch, arguments: &[&str]) -> Daemon {
    scratch.start(command(scratch, arguments), "log")
}

/// Waits until a svclog that was started by [`follow`] has opened `name` in the log
/// directory: what comes from now on is new to it.
fn wait_open(svclog: &Daemon, name: &str) {
    let folder = PathBuf::from(format!("/proc/{}/fd", svclog.pid()));
    wait_until("svclog has opened the log", || {
        let open = fs::read_dir(&folder).unwrap().flatten();
        let mut links = open.filter_map(|fd| fs::read_link(fd.path()).ok());
        links.any(|to| to.ends_with(name)) && asleep(svclog.pid())
    });
}

fn asleep(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.contains(") S ")
}

/// The service `a`, whose logger's run is `run`.
fn service(scratch: &Scratch, run: &str) {
    scratch.service("a/log", run);
}

/// A multilog of `suite` with `arguments`, in `a/log`, that reads a pipe.
struct Writer(Child, Option<ChildStdin>);

impl Writer {
    fn start(scratch: &Scratch, suite: Suite, arguments: &[&str]) -> Writer {
        let mut command = scratch.command(suite, suite.program("multilog"));
        command.args(arguments).current_dir(scratch.at("a/log"));
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        Writer(child, stdin)
    }

    fn say(&mut self, text: impl AsRef<[u8]>) {
        self.1.as_mut().unwrap().write_all(text.as_ref()).unwrap();
    }

    fn end(mut self) {
        drop(self.1.take());
        self.0.wait().unwrap();
    }

    fn kill(mut self) {
        signal(self.0.id(), "KILL");
        self.0.wait().unwrap();
    }
}

/// Numbered lines, as seq(1) makes them.
fn numbers(range: std::ops::RangeInclusive<u32>) -> String {
    range.map(|number| format!("{number}\n")).collect()
}

/// The text behind the local time, of each line.
fn texts(printed: &str) -> Vec<String> {
    let text = |line: &str| {
        let time = line.get(..30).unwrap_or_default();
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00 00:00:00.000000000 ", "{line}");
        line[30..].to_owned()
    };
    printed.lines().map(text).collect()
}

/// `@` and the digits for this second of 1970.
fn stamp(second: u64) -> String {
    format!("@{:016x}00000000", (1 << 62) + 10 + second)
}

/// Makes a log directory by hand: files and their lines; a number before a line is
/// the second of its stamp.
fn make(scratch: &Scratch, files: &[(&str, &str)]) {
    service(scratch, RUN);
    scratch.mkdir("a/log/main");
    for (name, text) in files {
        let name = match name.parse::<u64>() {
            Ok(second) => format!("{}.s", stamp(second)),
            Err(_) => (*name).to_owned(),
        };
        let mut content = String::new();
        for line in text.split_inclusive('\n') {
            match line.split_once(' ') {
                Some((second, rest)) if second.parse::<u64>().is_ok() => {
                    content += &format!("{} {rest}", stamp(second.parse().unwrap()));
                }
                _ => content += line,
            }
        }
        scratch.write(format!("a/log/main/{name}"), content);
    }
}

#[test]
fn the_last_lines_are_found_across_files() {
    for suite in suites("the_last_lines_are_found_across_files") {
        let scratch = Scratch::new();
        service(&scratch, RUN);
        let arguments = ["t", "s4096", "n50", "./main"];
        let mut writer = Writer::start(&scratch, suite, &arguments);
        writer.say(numbers(1..=1500));
        writer.end();
        let files = fs::read_dir(scratch.at("a/log/main")).unwrap().count();
        assert!(files > 10, "{files}");
        for count in [0, 1, 2, 10, 99, 100, 750, 1499, 1500, 1501, 100_000] {
            let count = u32::min(count, 1500);
            let expected = numbers(1501 - count..=1500);
            let printed = printed(&scratch, &["-n", &count.to_string(), "a"]);
            assert_eq!(texts(&printed), expected.lines().collect::<Vec<_>>());
        }
        let ten = printed(&scratch, &["a"]);
        assert_eq!(
            texts(&ten),
            numbers(1491..=1500).lines().collect::<Vec<_>>()
        );
    }
}

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
        assert_eq!(scratch.read("log.err"), "");
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
            assert_eq!(scratch.read("log.err"), "", "{processor}");
        }
    }
}

#[test]
fn compressed_files_are_not_printed_but_mentioned() {
    let scratch = Scratch::new();
    make(
        &scratch,
        &[("40", "30 a\n35 b\n"), ("current", "40 c\n41 d\n")],
    );
    for second in [10, 20, 30] {
        let name = format!("a/log/main/{}.s", stamp(second));
        fs::write(scratch.at(name), b"\x1f\x8b\x08\x00\x00\n\n\n").unwrap();
    }
    assert_eq!(
        texts(&printed(&scratch, &["-n4", "a"])),
        ["a", "b", "c", "d"]
    );
    for arguments in [["-n5", "a"].as_slice(), &["--since", &stamp(5), "a"]] {
        let output = svclog(&scratch, arguments);
        assert_eq!(texts(&output.text()), ["a", "b", "c", "d"]);
        let newest = format!("a/log/main/{}.s", stamp(30));
        let said = format!("{newest} and 2 older ones: compressed and not shown\n");
        assert!(
            output.errors().starts_with("svclog: warning: "),
            "{output:?}"
        );
        assert!(output.errors().contains(&said), "{output:?}");
    }
    // Between others, it is mentioned once.
    scratch.write(
        format!("a/log/main/{}.s", stamp(9)),
        format!("{} old\n", stamp(8)),
    );
    let output = svclog(&scratch, &["-n5", "a"]);
    assert_eq!(texts(&output.text()), ["old", "a", "b", "c", "d"]);
    assert_eq!(
        output.errors().matches("compressed").count(),
        3,
        "{output:?}"
    );
}

#[test]
fn lines_since_a_moment_are_those_with_a_later_stamp() {
    let scratch = Scratch::new();
    make(
        &scratch,
        &[
            ("20", "10 a\n15 b\nof b\n19 c\n"),
            ("30", "20 d\n25 e\n"),
            ("previous", ""),
            ("current", "30 f\n35 g\n"),
        ],
    );
    for (moment, expected) in [
        (0, "abcdefg"),
        (15, "bcdefg"),
        (16, "cdefg"),
        (20, "defg"),
        (21, "efg"),
        (26, "fg"),
        (35, "g"),
        (36, ""),
    ] {
        let printed = printed(&scratch, &["--since", &stamp(moment), "a"]);
        let printed = printed.replace("of b\n", "");
        assert_eq!(texts(&printed).concat(), expected, "{moment}");
    }
    let local = ["--since", "1970-01-01 00:00:21", "a"];
    assert_eq!(texts(&printed(&scratch, &local)).concat(), "efg");
    let both = ["--since", &stamp(16), "-n2", "a"];
    assert_eq!(texts(&printed(&scratch, &both)).concat(), "fg");
    let both = ["--since", &stamp(26), "-n5", "a"];
    assert_eq!(texts(&printed(&scratch, &both)).concat(), "fg");
    assert_eq!(printed(&scratch, &["--since", "1h", "a"]), "");
}

#[test]
fn without_stamps_the_file_that_was_written_then_counts() {
    let scratch = Scratch::new();
    make(
        &scratch,
        &[("20", "old\n"), ("30", "a\nb\n"), ("current", "c\n")],
    );
    let since = |second: u64| printed(&scratch, &["--since", &stamp(second), "a"]);
    assert_eq!(since(25), "a\nb\nc\n");
    assert_eq!(since(31), "c\n");
    assert_eq!(printed(&scratch, &["--since", "1h", "a"]), "c\n");
    let _ = Command::new("touch")
        .args(["-d", "2 hours ago"])
        .arg(scratch.at("a/log/main/current"))
        .status();
    assert_eq!(printed(&scratch, &["--since", "1h", "a"]), "");
}

#[test]
fn lines_are_printed_as_they_are_whatever_is_in_them() {
    let scratch = Scratch::new();
    make(&scratch, &[("20", "")]);
    let long = vec![b'x'; 1_000_000];
    let log = [b"a\0b\n\xff\xfe\n\n@4000\n".as_slice(), &long, b"\nno end"].concat();
    let (first, second) = log.split_at(500_000);
    fs::write(scratch.at(format!("a/log/main/{}.s", stamp(30))), first).unwrap();
    scratch.write("a/log/main/current", second);
    let mut expected = log.clone();
    expected.push(b'\n');
    assert!(svclog(&scratch, &["-n100", "a"]).out == expected);
    assert!(svclog(&scratch, &["-n6", "a"]).out == expected);
    assert!(svclog(&scratch, &["-n2", "a"]).out == expected[expected.len() - 1_000_008..]);
    assert_eq!(printed(&scratch, &["-n1", "a"]), "no end\n");
}

#[test]
fn a_line_that_a_crash_cut_off_does_not_take_the_next_one_with_it() {
    let scratch = Scratch::new();
    make(&scratch, &[("30", "12 c\n"), ("current", "13 d\n")]);
    let cut = format!("{} a\n{} b cut of", stamp(10), stamp(11));
    scratch.write(format!("a/log/main/{}.u", stamp(20)), cut);
    let lines = |count: &str| texts(&printed(&scratch, &[count, "a"]));
    assert_eq!(lines("-n9"), ["a", "b cut of", "c", "d"]);
    assert_eq!(lines("-n3"), ["b cut of", "c", "d"]);
    assert_eq!(lines("-n2"), ["c", "d"]);
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
    assert!(scratch.read("log.err").contains("current: it was cut"));
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
        "svclog -n1000 a | true; svclog -f a | head -n1 >/dev/null",
    );
}

#[test]
fn the_log_is_where_the_run_script_says() {
    let scratch = Scratch::new();
    let expected = |directory: &str| {
        scratch.mkdir(directory);
        scratch.write(format!("{directory}/current"), format!("{directory}\n"));
    };
    let elsewhere = scratch.at("else where");
    expected("else where");
    expected("a/log/main");
    expected("a/log/logs");
    for (run, directory) in [
        (RUN.to_owned(), "a/log/main"),
        ("exec cat".to_owned(), "a/log/main"),
        ("exec multilog t \"$LOGS\"".to_owned(), "a/log/main"),
        (
            "exec setuidgid log multilog t \\\n ./logs".to_owned(),
            "a/log/logs",
        ),
        ("exec multilog t ../log/logs/".to_owned(), "a/log/logs"),
        (
            format!("exec multilog t '{}'", elsewhere.display()),
            "else where",
        ),
        (
            format!("cd '{}'\nexec multilog t .", elsewhere.display()),
            "else where",
        ),
    ] {
        service(&scratch, &run);
        for name in ["a", "a/", "./a", "a/log"] {
            let printed = printed(&scratch, &[name]);
            assert_eq!(printed, format!("{directory}\n"), "{run} {name}");
        }
    }
    assert_eq!(printed(&scratch, &["a/log/logs"]), "a/log/logs\n");
    let mut command = command(&scratch, &["b"]);
    scratch.mkdir("services");
    std::os::unix::fs::symlink(scratch.at("a"), scratch.at("services/b")).unwrap();
    command.env("SVDIR", scratch.at("services"));
    assert_eq!(finish(command).text(), "else where\n");
}

#[test]
fn of_several_logs_the_first_is_shown_and_the_others_are_named() {
    let scratch = Scratch::new();
    service(&scratch, "exec multilog t ./main '-*' '+* err*' ./errors");
    for name in ["main", "errors", "more"] {
        scratch.mkdir(format!("a/log/{name}"));
        scratch.write(format!("a/log/{name}/current"), format!("{name}\n"));
    }
    let output = svclog(&scratch, &["a"]);
    assert_eq!((output.code, output.text()), (0, "main\n".to_owned()));
    let note = "svclog: shown is a/log/main; there is also a/log/errors (--dir)\n";
    assert_eq!(output.errors(), note);
    assert_eq!(printed(&scratch, &["--dir=errors", "a"]), "errors\n");
    assert_eq!(printed(&scratch, &["--dir=./more", "a"]), "more\n");
}

#[test]
fn what_the_script_does_not_tell_a_running_multilog_tells() {
    for suite in suites("what_the_script_does_not_tell_a_running_multilog_tells") {
        let scratch = Scratch::new();
        let program = suite.program("multilog");
        let run = format!("exec {} t ./$NAME", program.display());
        scratch.service("a", "echo hello; exec sleep 1000");
        service(&scratch, &format!("NAME=squid; {run}"));
        scratch.mkdir("service");
        scratch.link("a");
        let _svscan = scratch.svscan();
        wait_until("something is logged", || {
            scratch.read("a/log/squid/current").ends_with("hello\n")
        });
        assert_eq!(texts(&printed(&scratch, &["a"])), ["hello"]);
        // As a child of run, too, and without a supervise.
        shell(&scratch, "svc -dx service/a service/a/log");
        wait_until("multilog has ended", || {
            scratch.svstat("a/log") == "supervise not running"
        });
        service(&scratch, "exec something else");
        let mut writer = Writer::start(&scratch, suite, &["t", "./squid"]);
        writer.say("again\n");
        wait_until("something is logged again", || {
            scratch.read("a/log/squid/current").ends_with("again\n")
        });
        assert_eq!(texts(&printed(&scratch, &["a"])), ["hello", "again"]);
        writer.end();
        let (code, why) = refused(&scratch, &["a"]);
        assert_eq!(code, 1);
        assert!(
            why.contains("neither a/log/run nor a running multilog"),
            "{why}"
        );
    }
}

#[test]
fn where_there_is_no_log_it_says_why() {
    let scratch = Scratch::new();
    scratch.mkdir("none");
    scratch.mkdir("odd");
    scratch.write("odd/log", "");
    scratch.write("file", "");
    service(&scratch, RUN);
    scratch.mkdir("empty/log/main");
    let fatal = |why: &str| format!("svclog: fatal: {why}\n");
    for (name, code, why) in [
        (
            "no",
            1,
            "no: no such service directory: file does not exist; check its name",
        ),
        (
            "no/no",
            1,
            "no/no: no such service directory: file does not exist; check its name",
        ),
        (
            "",
            1,
            ": no such service directory: file does not exist; check its name",
        ),
        ("file", 1, "file: this is no directory"),
        (
            "none",
            1,
            "none: it has no log, so what it says goes where svscan's output goes; make none/log/run with multilog in it, then take the service out and put it in again",
        ),
        (
            "odd",
            1,
            "odd: its log is no directory; move odd/log away, make a directory with a run that starts multilog, and restart svscan",
        ),
        (
            "a",
            111,
            "unable to open directory a/log/main: file does not exist",
        ),
        (
            "empty",
            1,
            "empty/log/main: there is no log in it yet: neither current nor a finished file",
        ),
    ] {
        assert_eq!(refused(&scratch, &[name]), (code, fatal(why)));
    }
    for arguments in [
        ["-f"].as_slice(),
        &["-n", "x", "a"],
        &["-x"],
        &["a", "b"],
        &["--since", "soon", "a"],
    ] {
        let (code, why) = refused(&scratch, arguments);
        assert_eq!((code, why.matches('\n').count()), (100, 1), "{why}");
    }
    // An empty log is one.
    scratch.write("empty/log/main/current", "");
    assert_eq!(printed(&scratch, &["empty"]), "");
}

#[test]
fn a_log_that_does_not_exist_yet_can_be_followed() {
    let scratch = Scratch::new();
    service(&scratch, RUN);
    let svclog = follow(&scratch, &["-f", "a"]);
    let waits = "svclog: waiting for a/log/main\n";
    wait_until("it waits", || scratch.read("log.err") == waits);
    scratch.mkdir("a/log/main");
    let mut writer = Writer::start(&scratch, Suite::Ours, &["./main"]);
    writer.say("first\n");
    wait_until("it is printed", || scratch.read("log.out") == "first\n");
    writer.end();
    fs::remove_dir_all(scratch.at("a/log/main")).unwrap();
    wait_until("it ends with the directory", || !is_alive(svclog.pid()));
    let why = "svclog: fatal: a/log/main: this directory was removed\n";
    assert_eq!(scratch.read("log.err"), format!("{waits}{why}"));
}

#[test]
fn odd_names_in_a_log_directory_are_no_log() {
    let scratch = Scratch::new();
    make(&scratch, &[("20", "10 a\n"), ("current", "20 b\n")]);
    for name in [
        "@alien-of-twenty-five-bytes.s",
        "@",
        "x",
        "state",
        "lock",
        "newstate",
        " \n",
    ] {
        scratch.write(format!("a/log/main/{name}"), "nothing\n");
    }
    for second in [5, 4_000_000_000] {
        scratch.mkdir(format!("a/log/main/{}.s", stamp(second)));
    }
    std::os::unix::fs::symlink("x", scratch.at(format!("a/log/main/{}.s", stamp(6)))).unwrap();
    assert_eq!(texts(&printed(&scratch, &["-n100", "a"])), ["a", "b"]);
    let svclog = follow(&scratch, &["-f", "a"]);
    wait_open(&svclog, "current");
    shell(
        &scratch,
        "cd a/log/main; mv current previous; : > current; mv previous @400000000000002000000000.s; echo c >> current",
    );
    wait_until("it goes on", || scratch.read("log.out").ends_with("b\nc\n"));
    assert_eq!(scratch.read("log.err"), "");
}

#[test]
fn names_of_any_bytes_are_printed_as_they_are() {
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new();
    let name = std::ffi::OsStr::from_bytes(b"a \xff\n");
    let output = finish(command(&scratch, &[name]));
    let why = b"svclog: fatal: a \xff\n: no such service directory: file does not exist; check its name\n";
    assert_eq!(output.err, why);
    scratch.service(PathBuf::from(name).join("log"), "exec multilog ./m");
    let main = PathBuf::from(name).join("log/m");
    scratch.mkdir(&main);
    scratch.write(main.join("current"), "a\n");
    assert_eq!(finish(command(&scratch, &[name])).text(), "a\n");
}

#[test]
fn what_may_not_be_read_is_said() {
    let scratch = Scratch::new();
    make(&scratch, &[("20", "10 a\n"), ("current", "20 b\n")]);
    let test = "what_may_not_be_read_is_said";
    let Some(stranger) = Stranger::new(test, &scratch) else {
        return;
    };
    let said = || {
        let mut command = stranger.command(&scratch, "svclog");
        command.arg("a");
        finish(command).errors()
    };
    shell(&scratch, "chmod 755 a a/log; chmod 700 a/log/main");
    let fatal = "svclog: fatal: unable to ";
    let denied = "access denied\n";
    assert_eq!(
        said(),
        format!("{fatal}open directory a/log/main: {denied}")
    );
    shell(
        &scratch,
        "chmod 755 a/log/main; chmod 600 a/log/main/current",
    );
    assert_eq!(said(), format!("{fatal}open a/log/main/current: {denied}"));
    shell(&scratch, "chmod 700 a");
    assert_eq!(said(), format!("{fatal}examine a/log: {denied}"));
}

#[test]
fn without_a_service_it_prints_what_readproctitle_holds() {
    let test = "without_a_service_it_prints_what_readproctitle_holds";
    if !has(test, &["readproctitle", "unshare"]) {
        return;
    }
    let scratch = Scratch::new();
    let alone = |script: &str| {
        let mut command = scratch.command(Suite::Ours, "unshare");
        command.args(["-Urpf", "--mount-proc", "sh", "-c", script]);
        finish(command)
    };
    if !crate::harness::skip_unless(test, alone("true").code == 0, "no user namespaces here") {
        return;
    }
    let output = alone("svclog");
    assert_eq!(output.code, 1);
    assert!(
        output.errors().contains("no readproctitle runs"),
        "{output:?}"
    );
    let start = "mkfifo f g; dots=................................;
        readproctitle service errors: $dots < f & exec 8> f;
        said() { until svclog 2>/dev/null | grep -q \"$1\"; do :; done; }
        until svclog >&- 2>/dev/null; do :; done;";
    let output = alone(&format!(
        "{start} svclog; echo supervise: fatal >&8; said fatal; svclog"
    ));
    assert_eq!(output.text(), "supervise: fatal\n");
    assert_eq!(output.errors(), "svclog: readproctitle holds no errors\n");
    let output = alone(&format!(
        "rm -f f g; {start} echo a long line that is shifted out >&8; echo >&8; echo the end >&8;
        said end; readproctitle $dots < g & exec 9> g; echo other >&9; said other; svclog"
    ));
    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    let [first, "that is shifted out", "", "the end", second, "other"] = lines[..] else {
        panic!("{output:?}");
    };
    for header in [first, second] {
        assert!(header.starts_with("readproctitle ") && header.ends_with(':'));
    }
}
