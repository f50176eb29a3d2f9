//! svclog: which lines of a log it prints, and what readproctitle holds. That it
//! follows a log is in `follow`, that it finds it in `place`.

mod follow;
mod place;
mod terminal;

use crate::harness::{
    Daemon, Output, Scratch, Stranger, Suite, finish, has, shell, signal, wait_until,
};
use std::fs;
use std::io::Write;
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

/// What svclog leaves, without [`SILENT`].
fn svclog(scratch: &Scratch, arguments: &[&str]) -> Output {
    let mut output = finish(command(scratch, arguments));
    output.err = without_silent(&output.errors()).into_bytes();
    output
}

/// What svclog says of most logs here: files made by hand.
const SILENT: &str = ": the logger does not run (no supervise; if log was made later than the \
                      service, take the service out and put it in again)\n";

fn without_silent(errors: &str) -> String {
    let lines = errors.split_inclusive('\n');
    lines.filter(|line| !line.ends_with(SILENT)).collect()
}

/// What a svclog that was started by [`follow`] says, without [`SILENT`].
fn said(scratch: &Scratch) -> String {
    without_silent(&scratch.read("log.err"))
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
fn files_that_were_compressed_under_a_name_of_their_own_are_mentioned() {
    let scratch = Scratch::new();
    make(&scratch, &[("40", "30 a\n"), ("current", "40 b\n")]);
    let name = |second, ending| format!("a/log/main/{}.s{ending}", stamp(second));
    for (second, ending) in [(10, ".gz"), (20, ".xz"), (30, ".zst")] {
        scratch.write(name(second, ending), "\n\n\n");
    }
    // gzip -k, and what is no finished file.
    for name in [name(40, ".gz"), name(35, ".txt"), "a/log/main/x.gz".into()] {
        scratch.write(name, "\n\n\n");
    }
    assert_eq!(texts(&printed(&scratch, &["-n2", "a"])), ["a", "b"]);
    for arguments in [["-n3", "a"].as_slice(), &["--since", &stamp(5), "a"]] {
        let output = svclog(&scratch, arguments);
        assert_eq!(texts(&output.text()), ["a", "b"]);
        let said = format!(
            "svclog: warning: {} and 2 older ones: compressed and not shown\n",
            name(30, ".zst")
        );
        assert_eq!(output.errors(), said);
    }
    assert_eq!(
        texts(&printed(&scratch, &["--since", &stamp(31), "a"])),
        ["b"]
    );
    scratch.write(name(9, ""), format!("{} old\n", stamp(8)));
    let output = svclog(&scratch, &["-n3", "a"]);
    assert_eq!(texts(&output.text()), ["old", "a", "b"]);
    assert_eq!(
        output
            .errors()
            .matches(": compressed and not shown\n")
            .count(),
        3
    );
}

#[test]
fn no_more_lines_are_printed_than_asked_for_while_the_log_grows() {
    let scratch = Scratch::new();
    make(&scratch, &[("20", "10 a\n"), ("current", "20 b\n")]);
    let script = "while :; do i=$((i + 1)); echo $i; done >>a/log/main/current";
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-c", script]);
    let mut writer = scratch.start(command, "writer");
    wait_until("there are enough lines", || {
        scratch.read("a/log/main/current").lines().count() > 3
    });
    for _ in 0..50 {
        let text = printed(&scratch, &["-n3", "a"]);
        let mut numbers: Vec<u64> = text.lines().flat_map(str::parse).collect();
        assert!(text.lines().count() == 3 && text.ends_with('\n'), "{text}");
        let last = numbers.pop().unwrap_or(0);
        assert!(
            numbers.pop().is_none_or(|number| number + 1 == last),
            "{text}"
        );
    }
    assert!(writer.runs());
}

#[test]
fn previous_is_shown_while_a_processor_works_on_it_or_fails() {
    for suite in suites("previous_is_shown_while_a_processor_works_on_it_or_fails") {
        for processor in ["read -r line; exec sleep 1000", "exit 1"] {
            let scratch = Scratch::new();
            service(&scratch, RUN);
            scratch.mkdir("a/log/main");
            scratch.script("a/log/main/processor", processor);
            let arguments = ["t", "s4096", "n5", "!./processor", "./main"];
            let mut writer = Writer::start(&scratch, suite, &arguments);
            writer.say(numbers(1..=150));
            wait_until("the processor has begun", || {
                scratch.at("a/log/main/processed").exists()
            });
            let previous = fs::read_to_string(scratch.at("a/log/main/previous")).unwrap();
            let last = previous.trim_end().rsplit(' ').next().unwrap();
            assert_eq!(texts(&printed(&scratch, &["-n1", "a"])), [last]);
            let _svclog = follow(&scratch, &["-f", "-n1", "a"]);
            wait_until("it is followed, too", || {
                scratch.read("log.out").ends_with(&format!(" {last}\n"))
            });
            signal(writer.0.id(), "KILL");
            writer.end();
        }
    }
}

#[test]
fn a_time_that_comes_twice_is_the_earlier_one() {
    let scratch = Scratch::new();
    make(&scratch, &[]);
    // 2026-10-25 02:30 in Berlin, an hour before the clock is put back, and later.
    let first: u64 = 1_792_888_200;
    let lines = [-1, 0, 1800, 3600].map(|offset| {
        let stamp = stamp(first.checked_add_signed(offset).unwrap());
        format!("{stamp} {offset}\n")
    });
    scratch.write("a/log/main/current", lines.concat());
    for (since, expected) in [
        ("2026-10-25 02:30", vec!["0", "1800", "3600"]),
        ("2026-10-25 02:29:59.999999999", vec!["0", "1800", "3600"]),
        ("2026-10-25 02:30:00.000000001", vec!["1800", "3600"]),
        ("2026-10-25 03:00", vec![]),
    ] {
        let mut command = command(&scratch, &["--since", since, "a"]);
        command.env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(texts(&finish(command).text()), expected, "{since}");
    }
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
    assert_eq!(said(&scratch), "");
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

#[test]
fn what_the_readproctitle_of_another_user_holds_is_not_printed() {
    let test = "what_the_readproctitle_of_another_user_holds_is_not_printed";
    let scratch = Scratch::new();
    let Some(stranger) = has(test, &["readproctitle"]).then(|| Stranger::new(test, &scratch))
    else {
        return;
    };
    let Some(stranger) = stranger else { return };
    let dots = ".".repeat(100);
    let mut forged = stranger.command(&scratch, "/usr/bin/readproctitle");
    forged
        .args(["service", "errors:", &dots])
        .stdin(Stdio::piped());
    let mut forged = forged.spawn().unwrap();
    let mut stdin = forged.stdin.take().unwrap();
    stdin.write_all(b"forged\n").unwrap();
    let pid = forged.id();
    let window = || fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    wait_until("it holds that", || window().contains("forged"));
    assert!(!svclog(&scratch, &[]).text().contains("forged"));
    let mut own = stranger.command(&scratch, "svclog");
    own.env("TZ", "UTC");
    assert!(finish(own).text().contains("forged"));
    drop(stdin);
    forged.wait().unwrap();
}
