//! `svscan --timeline` over real services, and `svctimeline` of what it wrote.

use crate::harness::{
    Daemon, Mount, Output, Scratch, Suite, WAITS, children, descriptors, finish, has, programs,
    wait_until,
};
use daemontools_rs::formats::timeline::{Label, Timeline, TimelineEvent};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// Our svscan over `scan`, recording to `boot`, with a supervise beside it that is the
/// same file, or another one.
fn svscan(scratch: &Scratch, is_same_file: bool) -> Daemon {
    programs(scratch, is_same_file);
    let mut command = scratch.command(Suite::Ours, scratch.at("programs/svscan"));
    command.args(["--timeline", "boot", "scan"]);
    scratch.start(command, "svscan")
}

fn recorded(scratch: &Scratch) -> Timeline {
    let bytes = fs::read(scratch.at("boot")).unwrap_or_default();
    Timeline::parse(&bytes).unwrap_or_default()
}

/// The events of `name`, in the order of their times; `name/log` is a log.
fn events(timeline: &Timeline, name: &str) -> Vec<TimelineEvent> {
    let (name, is_log) = match name.strip_suffix("/log") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let name = name.as_bytes().to_vec();
    let label = Label { name, is_log };
    let of = |record: &&_| {
        let record: &daemontools_rs::formats::timeline::TimelineRecord = record;
        record.label == label
    };
    let mut events: Vec<(u64, TimelineEvent)> = timeline
        .records
        .iter()
        .filter(of)
        .map(|record| (record.at, record.event))
        .collect();
    events.sort_unstable();
    events.into_iter().map(|(_, event)| event).collect()
}

/// Waits until each of these has had such an event, and gives all.
fn wait_for(scratch: &Scratch, names: &[(&str, TimelineEvent)]) -> Timeline {
    wait_until("all is recorded", || {
        let timeline = recorded(scratch);
        let is_there =
            |(name, event): &(&str, TimelineEvent)| events(&timeline, name).contains(event);
        timeline.scanned.is_some() && names.iter().all(is_there)
    });
    // A supervise tells of itself when it has started, which may be after its service.
    wait_until("nobody has the file", || holders(scratch).is_empty());
    recorded(scratch)
}

fn svctimeline(scratch: &Scratch, words: &[&str]) -> Output {
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svctimeline"));
    command.args(words);
    for name in ["COLUMNS", "LANG", "LC_ALL", "LC_CTYPE", "NO_COLOR"] {
        command.env_remove(name);
    }
    finish(command)
}

/// What is open of `boot`, in any process of the test.
fn holders(scratch: &Scratch) -> Vec<u32> {
    let boot = scratch.at("boot");
    let has_it = |pid: &u32| {
        descriptors(*pid)
            .into_iter()
            .any(|fd| fs::read_link(format!("/proc/{pid}/fd/{fd}")).is_ok_and(|to| to == boot))
    };
    scratch.processes().into_iter().filter(has_it).collect()
}

use TimelineEvent::{Down, Executed, Failed, Forked, Other, Ready, Run, Seen};

const STARTS: [TimelineEvent; 5] = [Seen, Forked, Run, Ready, Executed];

#[test]
fn every_way_to_start_is_recorded_in_its_order_and_then_nobody_has_the_file() {
    let scratch = Scratch::new();
    for name in [
        "scan/a",
        "scan/pair",
        "scan/pair/log",
        "scan/odd \nname",
        "scan/off",
    ] {
        scratch.service(name, WAITS);
    }
    scratch.write("scan/off/down", "");
    scratch.mkdir("scan/bad");
    scratch.executable("scan/bad/run", "#!/nowhere\n");
    scratch.service("scan/blocked", WAITS);
    scratch.write("scan/blocked/supervise", "in the way");
    scratch.mkdir("scan/.hidden");
    scratch.write(
        "boot",
        "an earlier one, which was longer than this one will be at first",
    );
    let svscan = svscan(&scratch, true);
    let names = [
        ("a", Executed),
        ("pair", Executed),
        ("pair/log", Executed),
        ("odd \nname", Executed),
        ("off", Down),
        ("bad", Failed),
        ("blocked", Failed),
    ];
    let timeline = wait_for(&scratch, &names);
    for name in ["a", "pair", "pair/log", "odd \nname"] {
        assert_eq!(events(&timeline, name), STARTS, "{name:?}");
    }
    assert_eq!(events(&timeline, "off"), [Seen, Forked, Ready, Down]);
    let failed = [Seen, Forked, Run, Ready, Executed, Failed];
    assert_eq!(events(&timeline, "bad"), failed);
    assert_eq!(events(&timeline, "blocked"), [Seen, Forked, Failed]);
    assert_eq!(timeline.strange, None);
    let labels: std::collections::BTreeSet<_> = timeline.records.iter().map(|r| &r.label).collect();
    assert_eq!(labels.len(), names.len());
    wait_until("nobody has the file", || holders(&scratch).is_empty());
    // Nor is what comes later recorded.
    let before = scratch.read("boot");
    scratch.service("new", WAITS);
    fs::rename(scratch.at("new"), scratch.at("scan/new")).unwrap();
    scratch.wait_up("scan/new");
    assert!(children(svscan.pid()).len() >= 7);
    assert_eq!(scratch.read("boot"), before);
    assert!(!scratch.read("svscan.err").contains("warning"));

    let drawn = svctimeline(&scratch, &["boot"]);
    assert_eq!((drawn.code, drawn.errors()), (0, String::new()));
    let text = drawn.text();
    assert!(text.contains(": 6 services and 1 log, 4 begun"), "{text}");
    assert!(text.is_ascii() && !text.contains('\x1b'));
    assert!(
        text.lines()
            .any(|line| line.starts_with("pair/log ") && line.ends_with('s'))
    );
    assert!(
        text.lines().any(|line| line.starts_with("odd \\x0aname ")),
        "{text}"
    );
    assert!(
        text.lines()
            .any(|line| line.starts_with("off ") && line.ends_with(" down"))
    );
    assert!(
        text.lines()
            .any(|line| line.starts_with("bad ") && line.ends_with(" failed"))
    );
}

#[test]
fn of_a_supervise_that_is_another_program_it_is_told_that_it_tells_nothing() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    scratch.service("scan/a/log", WAITS);
    let svscan = svscan(&scratch, false);
    let timeline = wait_for(&scratch, &[("a", Other), ("a/log", Other)]);
    for name in ["a", "a/log"] {
        scratch.wait_up(&format!("scan/{name}"));
        assert_eq!(events(&timeline, name), [Seen, Forked, Other]);
    }
    assert_eq!(children(svscan.pid()).len(), 2);
    wait_until("nobody has the file", || holders(&scratch).is_empty());
    let text = svctimeline(&scratch, &["boot"]).text();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(
        words
            .join(" ")
            .contains("none of which is known to have begun"),
        "{text}"
    );
    assert!(
        words
            .join(" ")
            .contains("2 not told, because supervise is another program")
    );
    assert!(
        text.lines().any(|line| line.ends_with(" not told")),
        "{text}"
    );
    // Nothing is said of a supervise that cannot be executed but that.
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    scratch.mkdir("programs");
    fs::hard_link(Suite::Ours.program("svscan"), scratch.at("programs/svscan")).unwrap();
    let mut command = scratch.command(Suite::Ours, scratch.at("programs/svscan"));
    command
        .args(["--timeline", "boot", "scan"])
        .env("PATH", "/nowhere");
    let _svscan = scratch.start(command, "svscan");
    let timeline = wait_for(&scratch, &[("a", Failed)]);
    assert_eq!(events(&timeline, "a"), [Seen, Forked, Other, Failed]);
}

#[test]
fn a_service_cannot_see_that_it_is_recorded() {
    let tells = "for fd in /proc/self/fd/*; do echo ${fd##*/}; done; \
        env | grep -v ^DAEMONTOOLS_RS | grep -v ^PWD | sort | cksum; umask; pwd; \
        cat /proc/$PPID/comm; tr '\\0' ' ' </proc/$PPID/cmdline";
    let run = format!("{{ {tells}; }} >told 2>&1; mv told tells; {WAITS}");
    let told = [true, false].map(|is_recorded| {
        let scratch = Scratch::new();
        for name in ["scan/a", "scan/a/log"] {
            scratch.service(name, &run);
        }
        let words: &[&str] = match is_recorded {
            true => &["--timeline", "boot", "scan"],
            false => &["scan"],
        };
        let _svscan = scratch.daemon(Suite::Ours, "svscan", words, "svscan");
        ["scan/a/tells", "scan/a/log/tells"].map(|file| {
            wait_until("it has told", || scratch.at(file).exists());
            let text = scratch.read(file);
            text.replace(scratch.at("").to_str().unwrap(), "HERE/")
        })
    });
    assert_eq!(told[0], told[1]);
}

#[test]
fn a_wrong_command_line_or_file_is_told_before_anything_is_started() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    scratch.mkdir("directory");
    let usage = "svscan: usage: svscan [--shared-group] [--timeline file] [dir]\n";
    for (words, code, message) in [
        (&["--timeline"][..], 100, usage),
        (
            &["--timeline", "no/such", "scan"],
            111,
            "svscan: fatal: unable to open no/such: file does not exist\n",
        ),
        (
            &["--timeline", "directory", "scan"],
            111,
            "svscan: fatal: unable to open directory: is a directory\n",
        ),
        (
            &["--timeline", "", "scan"],
            111,
            "svscan: fatal: unable to open : file does not exist\n",
        ),
        (
            &["--timeline", "kept", "nowhere"],
            111,
            "svscan: fatal: unable to chdir to nowhere: file does not exist\n",
        ),
        (
            &["--timelin", "scan"],
            111,
            "svscan: fatal: unable to chdir to --timelin: file does not exist\n",
        ),
        (
            &["--timeline=boot", "scan"],
            111,
            "svscan: fatal: unable to chdir to --timeline=boot: file does not exist\n",
        ),
    ] {
        scratch.write("kept", "as it was");
        let output = scratch.run(Suite::Ours, "svscan", words);
        assert_eq!((output.code, output.errors().as_str()), (code, message));
        assert_eq!(scratch.read("kept"), "as it was");
    }
    assert!(!scratch.at("scan/a/supervise").exists());
}

#[test]
fn behind_the_directory_the_option_is_nothing() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    scratch.service("--timeline/b", WAITS);
    let words = ["scan", "--timeline", "boot"];
    let _svscan = scratch.daemon(Suite::Ours, "svscan", &words, "svscan");
    let _other = scratch.daemon(Suite::Ours, "svscan", &["./--timeline"], "other");
    scratch.wait_up("scan/a");
    scratch.wait_up("--timeline/b");
    assert!(!scratch.at("boot").exists());
    assert!(!scratch.at("scan/boot").exists());
}

#[test]
fn a_file_that_cannot_be_written_is_told_once_and_all_services_run() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..20).map(|number| format!("scan/s{number}")).collect();
    for name in &names {
        scratch.service(name, WAITS);
    }
    let words = ["--timeline", "/dev/full", "scan"];
    let _svscan = scratch.daemon(Suite::Ours, "svscan", &words, "svscan");
    for name in &names {
        scratch.wait_up(name);
    }
    assert_eq!(
        scratch.read("svscan.err"),
        "svscan: warning: unable to write /dev/full: out of disk space\n"
    );
}

#[test]
fn a_limit_on_the_size_of_files_costs_events_and_nothing_else() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..50).map(|number| format!("s{number}")).collect();
    for name in &names {
        scratch.service(format!("scan/{name}"), WAITS);
    }
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-c", "ulimit -f 1; exec \"$0\" --timeline boot scan"]);
    command.arg(Suite::Ours.program("svscan"));
    let _svscan = scratch.start(command, "svscan");
    for name in &names {
        scratch.wait_up(&format!("scan/{name}"));
    }
    assert_eq!(
        scratch.read("svscan.err"),
        "svscan: warning: unable to write boot: file too big\n"
    );
}

#[test]
fn a_disk_that_fills_up_costs_events_and_nothing_else() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..120).map(|number| format!("s{number}")).collect();
    for name in &names {
        scratch.service(format!("scan/{name}"), WAITS);
    }
    let test = "a_disk_that_fills_up_costs_events_and_nothing_else";
    scratch.mkdir("small");
    let arguments = ["-t", "tmpfs", "-o", "size=4k", "none"];
    let Some(_mount) = Mount::if_possible(test, &scratch, &arguments, "small") else {
        return;
    };
    let boot = scratch.at("small/boot");
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svscan"));
    command.arg("--timeline").arg(&boot).arg("scan");
    let _svscan = scratch.start(command, "svscan");
    for name in &names {
        scratch.wait_up(&format!("scan/{name}"));
    }
    let expected = format!(
        "svscan: warning: unable to write {}: out of disk space\n",
        boot.display()
    );
    assert_eq!(scratch.read("svscan.err"), expected);
    assert_eq!(fs::metadata(&boot).unwrap().len(), 4096);
    let drawn = svctimeline(&scratch, &["small/boot"]);
    assert_eq!(drawn.code, 0);
    assert!(drawn.text().contains(" services, "), "{drawn:?}");
}

const HEADER: &str = "svctimeline 1 @4000000037c219bf2ef02e94\n";

#[test]
fn what_is_no_timeline_is_not_drawn() {
    let scratch = Scratch::new();
    scratch.write("empty", "");
    scratch.write("other", "svctimeline 2 @4000000037c219bf2ef02e94\n");
    scratch.mkdir("directory");
    let header = "svctimeline 1 @4000000037c219bf2ef02e94\n";
    let long = header.to_owned() + &"seen 1 a\n".repeat((16 << 20) / 9);
    assert!(long.len() > 16 << 20);
    scratch.write("long", &long);
    for (name, code, why) in [
        ("long", 111, "unable to read long: file too big"),
        ("empty", 1, "empty: svscan --timeline did not write this"),
        ("other", 1, "other: written by another version of svscan"),
        (
            "nothing",
            111,
            "unable to open nothing: file does not exist",
        ),
        ("directory", 111, "unable to read directory: is a directory"),
    ] {
        let output = svctimeline(&scratch, &[name]);
        assert_eq!(output.code, code);
        assert_eq!(output.errors(), format!("svctimeline: fatal: {why}\n"));
        assert_eq!(output.text(), "");
    }
    let output = svctimeline(&scratch, &["--top", "x", "empty"]);
    assert_eq!(output.code, 100);
    assert!(
        output
            .errors()
            .starts_with("svctimeline: fatal: invalid value 'x' for '--top")
    );
}

#[test]
fn a_timeline_as_long_as_may_be_takes_a_bounded_memory() {
    let scratch = Scratch::new();
    let mut long = "svctimeline 1 @4000000037c219bf2ef02e94\n".to_owned();
    let mut service = 0_u32;
    while long.len() < (16 << 20) - 10_000 {
        for event in ["seen", "forked", "run", "ready", "executed"] {
            long.push_str(&format!("{event} {service}000 service{service}\n"));
        }
        service += 1;
    }
    scratch.write("long", &long);
    let mut command = scratch.command(Suite::Ours, "sh");
    // KiB of address space: twenty times the file.
    command.args(["-c", "ulimit -v 327680; exec svctimeline long"]);
    let output = finish(command);
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn what_is_broken_in_a_timeline_is_left_out_and_told() {
    let scratch = Scratch::new();
    let lines = "forked 1000 a\nwhat is this\nexecuted 2000 a\nexecuted 3000";
    scratch.write("boot", format!("{HEADER}{lines}"));
    let output = svctimeline(&scratch, &["boot"]);
    assert_eq!(output.code, 0);
    let warning = "svctimeline: warning: boot: 2 lines are left out, which are not whole \
        or of another version, the first is line 3\n";
    assert_eq!(output.errors(), warning);
    assert!(output.text().contains("1 service, 1 begun within 2.00 us"));
}

#[test]
fn a_picture_is_written_where_it_is_wanted() {
    let scratch = Scratch::new();
    scratch.write(
        "boot",
        format!("{HEADER}seen 1 a\nforked 1000 a\nexecuted 2000 a\n"),
    );
    let output = svctimeline(&scratch, &["--svg", "boot.svg", "boot"]);
    assert_eq!((output.code, output.text()), (0, String::new()));
    let svg = scratch.read("boot.svg");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    let output = svctimeline(&scratch, &["--svg=-", "boot"]);
    assert_eq!(output.text(), svg);
    let output = svctimeline(&scratch, &["--svg", "/dev/full", "boot"]);
    let message = "svctimeline: fatal: unable to write /dev/full: out of disk space\n";
    assert_eq!((output.code, output.errors().as_str()), (111, message));
    let output = svctimeline(&scratch, &["--svg", "no/such", "boot"]);
    let message = "svctimeline: fatal: unable to open no/such: file does not exist\n";
    assert_eq!((output.code, output.errors().as_str()), (111, message));
}

#[test]
fn the_drawing_is_as_wide_as_the_terminal_and_colourful_on_one_only() {
    let test = "the_drawing_is_as_wide_as_the_terminal_and_colourful_on_one_only";
    let scratch = Scratch::new();
    scratch.write(
        "boot",
        format!("{HEADER}seen 1 a\nforked 1000 a\nexecuted 2000 a\n"),
    );
    let widest = |text: &str| {
        text.lines()
            .map(|line| line.trim_end().chars().count())
            .max()
    };
    assert_eq!(widest(&svctimeline(&scratch, &["boot"]).text()), Some(80));
    if !has(test, &["script", "stty"]) {
        return;
    }
    let on_terminal = |variables: &str| {
        let program = Suite::Ours.program("svctimeline");
        let line = format!("stty cols 50; env {variables} {} boot", program.display());
        let mut command = scratch.command(Suite::Ours, "script");
        command.args([OsStr::new("-qec"), OsStr::from_bytes(line.as_bytes())]);
        command
            .arg("/dev/null")
            .env_remove("COLUMNS")
            .env_remove("NO_COLOR");
        finish(command).text()
    };
    let plain = on_terminal("TERM=xterm NO_COLOR=1 LC_ALL=C");
    assert!(!plain.contains('\x1b'), "{plain}");
    assert_eq!(widest(&plain), Some(50), "{plain}");
    assert_eq!(
        widest(&on_terminal("TERM=dumb COLUMNS=60 LC_ALL=C")),
        Some(60)
    );
    let colours = on_terminal("TERM=xterm LC_ALL=C.UTF-8");
    assert!(
        colours.contains("\x1b[34m") && colours.contains('█'),
        "{colours}"
    );
}
