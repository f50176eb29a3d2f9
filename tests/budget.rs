//! multilog: a budget for all logs.

use crate::harness::{Mount, Output, Scratch, Suite, finish, has, is_root, stat, wait_until};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::Stdio;

/// Sends `lines` numbered lines of 100 bytes through multilog with this script.
fn log(scratch: &Scratch, lines: usize, script: &[&str]) -> Output {
    let text: String = (0..lines).map(|n| format!("{n:099}\n")).collect();
    scratch.write("input", text);
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("multilog"));
    command.args(script);
    command.stdin(fs::File::open(scratch.at("input")).unwrap());
    finish(command)
}

/// Makes the log directory `name` with a `current` and with finished files of so
/// many bytes, finished at these seconds after 2023-11-14.
fn old_log(scratch: &Scratch, name: &str, moments: &[u64], size: usize) {
    scratch.mkdir(name);
    scratch.write(format!("{name}/lock"), "");
    scratch.write(format!("{name}/current"), "now\n");
    for moment in moments {
        let seconds = (1_u64 << 62) + 10 + 1_700_000_000 + moment;
        let file = format!("{name}/@{seconds:016x}00000000.s");
        scratch.write(file, vec![b'x'; size]);
    }
}

/// The names of the finished files of a log, oldest first.
fn finished(scratch: &Scratch, name: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(scratch.at(name))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('@'))
        .collect();
    names.sort();
    names
}

/// What all files of a log take on disk, in bytes, which may change meanwhile.
fn size(scratch: &Scratch, name: &str) -> u64 {
    let entries = fs::read_dir(scratch.at(name)).into_iter().flatten();
    let files = entries.flatten().filter_map(|entry| entry.metadata().ok());
    files.map(|metadata| metadata.blocks() * 512).sum()
}

#[test]
fn the_log_that_is_written_fastest_gives_way_first() {
    let scratch = Scratch::new();
    old_log(&scratch, "logs/quiet", &[1, 2, 3], 10_000);
    scratch.write("logs/budget", "total 100k\n");
    let output = log(&scratch, 20_000, &["s4096", "n10000", "./logs/busy"]);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    assert_eq!(finished(&scratch, "logs/quiet").len(), 3);
    let all = size(&scratch, "logs/quiet") + size(&scratch, "logs/busy");
    assert!(all <= 100 << 10, "{all}");
    assert!(all > (100 << 10) - 4096, "{all}");
    // What is left of the busy one are its last lines, without a gap.
    let text: String = finished(&scratch, "logs/busy")
        .iter()
        .map(|name| scratch.read(format!("logs/busy/{name}")))
        .chain([scratch.read("logs/busy/current")])
        .collect();
    let first: usize = text.lines().next().unwrap().parse().unwrap();
    assert!(first > 0);
    let numbers = text.lines().map(|line| line.parse::<usize>().unwrap());
    assert!(numbers.eq(first..20_000));
}

#[test]
fn the_last_file_of_a_quiet_log_is_never_taken() {
    let scratch = Scratch::new();
    old_log(&scratch, "logs/quiet", &[1, 2, 3], 9000);
    old_log(&scratch, "logs/deep/er/quiet", &[5], 9000);
    let last = finished(&scratch, "logs/quiet").pop();
    // Less than `current`, and the last file of each.
    scratch.write("logs/budget", "total 12k\n");
    for _ in 0..2 {
        let output = log(&scratch, 100, &["s4096", "n10000", "./logs/busy"]);
        assert_eq!(output.code, 0);
        let why = "multilog: warning: budget in ./logs/busy/..: there is more than it allows, \
                   in files that are not to be deleted\n";
        assert_eq!(output.errors(), why);
    }
    assert_eq!(finished(&scratch, "logs/quiet"), [last.unwrap()]);
    assert_eq!(finished(&scratch, "logs/deep/er/quiet").len(), 1);
    assert_eq!(scratch.read("logs/quiet/current"), "now\n");
}

#[test]
fn a_quiet_log_that_has_just_begun_keeps_its_only_file() {
    let scratch = Scratch::new();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    old_log(&scratch, "quiet", &[now - 1_700_000_000], 90_000);
    scratch.write("quiet/current", "a quiet line\n".repeat(200));
    scratch.write("budget", "total 300k\n");
    let output = log(&scratch, 2_600, &["s250000", "n10", "./busy"]);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    assert_eq!(finished(&scratch, "quiet").len(), 1);
    assert_eq!(finished(&scratch, "busy").len(), 0);
}

#[test]
fn several_budgets_hold_at_once_and_nothing_beside_logs_is_touched() {
    let scratch = Scratch::new();
    old_log(&scratch, "top/a/log", &[1, 2, 3], 1000);
    old_log(&scratch, "elsewhere", &[1, 2, 3], 1000);
    symlink("../elsewhere", scratch.at("top/link")).unwrap();
    let alien = "top/a/log/@400000006553f10b00000000.old";
    scratch.write(alien, "x");
    scratch.mkdir("top/no-log");
    let stray = "top/no-log/@400000006553f10b00000000.s";
    scratch.write(stray, "x");
    scratch.write("budget", "# multilog\n# generous\ntotal 1G\n");
    // A block for `current`, and one for each file.
    scratch.write("top/budget", "total 12k # tight\n");
    let output = log(&scratch, 0, &["s4096", "./top/b"]);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    assert_eq!(finished(&scratch, "top/a/log").len(), 2);
    assert!(scratch.at(alien).exists() && scratch.at(stray).exists());
    assert_eq!(finished(&scratch, "elsewhere").len(), 3);
}

#[test]
fn logs_inside_a_log_directory_count_too() {
    let scratch = Scratch::new();
    old_log(&scratch, "logs/main", &[], 0);
    scratch.write("logs/budget", "total 16k\n");
    old_log(&scratch, "logs/main/errors", &[1, 2, 3], 1000);
    let output = log(&scratch, 0, &["s4096", "./logs/other"]);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    assert_eq!(finished(&scratch, "logs/main/errors").len(), 2);
}

#[test]
fn what_a_log_has_on_disk_counts_and_once() {
    let scratch = Scratch::new();
    old_log(&scratch, "logs/quiet", &[1, 2, 3], 1000);
    // Three files, two times `current`, and a part of what has many names.
    scratch.write("logs/budget", "total 30k\n");
    old_log(&scratch, "logs/junk", &[], 0);
    let file = fs::File::create(scratch.at("logs/junk/hole")).unwrap();
    file.set_len(1 << 40).unwrap();
    scratch.write("logs/junk/file", [b'x'; 5000]);
    for number in 0..20 {
        let name = scratch.at(format!("logs/junk/link{number}"));
        fs::hard_link(scratch.at("logs/junk/file"), name).unwrap();
    }
    let output = log(&scratch, 0, &["s4096", "./logs/other"]);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    assert_eq!(finished(&scratch, "logs/quiet").len(), 3);
}

#[test]
fn one_who_fills_his_own_directory_keeps_no_other_from_the_budget() {
    let scratch = Scratch::new();
    old_log(&scratch, "logs/junk", &[], 0);
    for number in 0..10_001 {
        scratch.write(format!("logs/junk/{number}"), "");
    }
    // Far more than are told one by one.
    let moments: Vec<u64> = (1..=300).collect();
    for log in ["a", "b", "c"] {
        old_log(&scratch, &format!("logs/{log}"), &moments, 1000);
    }
    // 200 blocks, and those of `current`.
    scratch.write("logs/budget", "total 816k\n");
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("multilog"));
    command.arg("./logs/other").stdin(Stdio::piped());
    command.stderr(fs::File::create(scratch.at("said")).unwrap());
    let mut child = command.spawn().unwrap();
    let all = || ["a", "b", "c"].map(|log| finished(&scratch, &format!("logs/{log}")).len());
    wait_until("the budget is kept", || all().iter().sum::<usize>() <= 205);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let left: usize = all().iter().sum();
    assert!(left > 195, "{left}");
    let why = "there is more below it than can be looked at\n";
    let line = format!("multilog: warning: budget in ./logs/other/..: {why}");
    assert_eq!(scratch.read("said"), line);
}

#[test]
fn the_last_file_stays_where_not_all_others_can_be_seen() {
    let scratch = Scratch::new();
    old_log(&scratch, "logs/own", &[1, 2, 3], 10_000);
    old_log(&scratch, "logs/full", &[1], 1000);
    scratch.write("logs/budget", "total 8k\n");
    let output = log(&scratch, 0, &["s4096", "./logs/own"]);
    assert_eq!(output.code, 0);
    let left = |name: &str| finished(&scratch, name).len();
    assert_eq!((left("logs/own"), left("logs/full")), (0, 1));
    old_log(&scratch, "logs/own", &[1, 2, 3], 10_000);
    for number in 0..10_001 {
        scratch.write(format!("logs/full/{number}"), "");
    }
    let output = log(&scratch, 0, &["s4096", "./logs/own"]);
    assert_eq!(output.code, 0);
    assert_eq!((left("logs/own"), left("logs/full")), (1, 1));
}

#[test]
fn a_budget_that_is_wrong_is_told_of_once_and_not_followed() {
    let cases = [
        (
            0o644,
            "total 1M\ntotl 5\n",
            "line 2 is neither total nor free and a size, as: total 200M",
        ),
        (
            0o644,
            "total 5 %\n",
            "line 1 is neither total nor free and a size, as: total 200M",
        ),
        (
            0o666,
            "total 1\n",
            "not followed: others than root and this user can write it",
        ),
    ];
    for (mode, text, why) in cases {
        let scratch = Scratch::new();
        old_log(&scratch, "logs/quiet", &[1, 2, 3], 100);
        scratch.write("logs/budget", text);
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(scratch.at("logs/budget"), permissions).unwrap();
        let output = log(&scratch, 500, &["s4096", "n3", "./logs/busy"]);
        let line = format!("multilog: warning: budget in ./logs/busy/..: {why}\n");
        assert_eq!((output.code, output.errors()), (0, line));
        assert_eq!(finished(&scratch, "logs/quiet").len(), 3);
    }
    let scratch = Scratch::new();
    scratch.mkdir("logs");
    symlink("/dev/null", scratch.at("logs/budget")).unwrap();
    let output = log(&scratch, 1, &["./logs/busy"]);
    let line = "multilog: warning: budget in ./logs/busy/..: not followed: it is no plain file\n";
    assert_eq!((output.code, output.errors()), (0, line.to_owned()));
    // A directory is none, but a service of that name.
    let scratch = Scratch::new();
    scratch.mkdir("logs/budget");
    let output = log(&scratch, 1, &["./logs/busy"]);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    // What is cut off could mean something else.
    let scratch = Scratch::new();
    old_log(&scratch, "logs/quiet", &[1, 2, 3], 100);
    scratch.write("logs/budget", format!("#{:4086}\ntotal 500M\n", ""));
    let output = log(&scratch, 1, &["./logs/busy"]);
    assert_eq!(output.code, 0);
    assert!(output.errors().contains("longer than"), "{output:?}");
    assert_eq!(finished(&scratch, "logs/quiet").len(), 3);
}

#[test]
fn a_burst_is_looked_at_even_if_nothing_more_comes() {
    let scratch = Scratch::new();
    scratch.mkdir("logs");
    scratch.write("logs/budget", "total 2M\n");
    let program = Suite::Ours.program("multilog");
    let mut command = scratch.command(Suite::Ours, program);
    // A look takes time for each file, and the next one comes fifty times that later.
    command.args(["s16384", "n10000", "./logs/busy"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // A look at the start, and one when 1% was written; then it is too soon.
    pipe.write_all(&[[b'x'; 99].as_slice(), b"\n"].concat().repeat(20_500))
        .unwrap();
    wait_until("the budget is kept", || {
        let size = size(&scratch, "logs/busy");
        (2_000_000..=2 << 20).contains(&size)
    });
    scratch.write("logs/budget", "total 1M\n");
    // Less than 1%.
    pipe.write_all(&[b'y'; 16_385]).unwrap();
    wait_until("the new budget is kept", || {
        size(&scratch, "logs/busy") <= 1 << 20
    });
    drop(pipe);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_full_disk_is_made_room_on_without_a_pause() {
    let scratch = Scratch::new();
    scratch.mkdir("disk");
    let arguments = ["-t", "tmpfs", "-o", "size=512k", "none"];
    let test = "a budget on a full disk";
    let Some(_mount) = Mount::if_possible(test, &scratch, &arguments, "disk") else {
        return;
    };
    scratch.write("disk/budget", "free 100k\n");
    old_log(&scratch, "disk/quiet", &[1, 2], 5000);
    // Four times what there is room for. A pause would say so on stderr.
    let script = ["s16384", "n10000", "./disk/busy"];
    let output = log(&scratch, 20_000, &script);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    assert_eq!(finished(&scratch, "disk/quiet").len(), 2);
    let output = log(&scratch, 0, &script);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    let free = free_space(&scratch);
    assert!(free >= 100 << 10, "{free}");
    let mut files = finished(&scratch, "disk/busy");
    files.push("current".to_owned());
    let text: String = files
        .iter()
        .map(|name| scratch.read(format!("disk/busy/{name}")))
        .collect();
    assert!(text.ends_with(&format!("{:099}\n", 19_999)));
    assert!(text.lines().count() > 500);
}

#[test]
fn on_a_disk_that_others_have_filled_what_can_be_had_is_taken_without_a_pause() {
    let scratch = Scratch::new();
    scratch.mkdir("disk");
    let arguments = ["-t", "tmpfs", "-o", "size=512k", "none"];
    let test = "a budget on a disk that others have filled";
    let Some(_mount) = Mount::if_possible(test, &scratch, &arguments, "disk") else {
        return;
    };
    scratch.write("disk/budget", "free 400k\n");
    scratch.write("disk/filler", vec![b'x'; 300 << 10]);
    let script = ["s16384", "n10000", "./disk/busy"];
    let output = log(&scratch, 20_000, &script);
    let why = "multilog: warning: budget in ./disk/busy/..: there is more than it allows, \
               in files that are not to be deleted\n";
    assert_eq!((output.code, output.errors()), (0, why.to_owned()));
    let last = scratch.read("disk/busy/current");
    assert!(last.ends_with(&format!("{:099}\n", 19_999)));
}

#[test]
fn room_for_a_new_file_is_made_without_a_pause_too() {
    if !has("a budget and a disk too full for a new file", &["strace"]) {
        return;
    }
    // The new `current` is the second one; the full one gets another name.
    for (file, fault) in [("current", "openat:when=2"), ("previous", "linkat:when=1")] {
        let scratch = Scratch::new();
        old_log(&scratch, "logs/other", &[1, 2, 3], 20_000);
        // Of 4 KiB, with those of `current`: 16 blocks, and less than one more.
        scratch.write("logs/budget", "total 66k\n");
        let lines: String = (0..60).map(|n| format!("{n:099}\n")).collect();
        scratch.write("input", &lines);
        let mut strace = scratch.command(Suite::Ours, "strace");
        let inject = format!("inject={fault}:error=ENOSPC");
        strace.args(["-o", "trace", "-P", file, "-e", &inject]);
        strace.arg(Suite::Ours.program("multilog"));
        strace.args(["s4096", "n10000", "./logs/busy"]);
        strace.stdin(fs::File::open(scratch.at("input")).unwrap());
        let output = finish(strace);
        assert_eq!((output.code, output.errors()), (0, String::new()));
        assert!(scratch.read("trace").contains("INJECTED"), "{fault}");
        assert!(finished(&scratch, "logs/other").len() < 3, "{fault}");
        let mut files = finished(&scratch, "logs/busy");
        files.push("current".to_owned());
        let text = files
            .iter()
            .map(|name| scratch.read(format!("logs/busy/{name}")));
        assert_eq!(text.collect::<String>(), lines);
    }
}

/// What df(1) says is free on the disk, in bytes.
fn free_space(scratch: &Scratch) -> u64 {
    let mut df = scratch.command(Suite::Ours, "df");
    df.args(["-B1", "--output=avail", "disk"]);
    let output = finish(df).text();
    output.lines().nth(1).unwrap().trim().parse().unwrap()
}

/// What `svclog --budget` prints of a log, with `TOP` for the scratch directory.
fn shown(scratch: &Scratch, arguments: &[&str]) -> String {
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svclog"));
    command.arg("--budget").args(arguments);
    let output = finish(command);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    let top = fs::canonicalize(scratch.at(".")).unwrap();
    output.text().replace(top.to_str().unwrap(), "TOP")
}

#[test]
fn where_a_link_called_budget_leads_nothing_is_opened_but_a_plain_file() {
    let scratch = Scratch::new();
    scratch.mkdir("logs");
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-c", "mkfifo fifo; : >begun; : >fifo"]);
    // An open of the FIFO lets it go on.
    let mut writer = scratch.start(command, "writer");
    wait_until("it waits", || {
        scratch.at("begun").exists() && stat(writer.pid())[0] == "S"
    });
    symlink("../fifo", scratch.at("logs/budget")).unwrap();
    let line = "budget in ./logs/busy/..: not followed: it is no plain file\n";
    let output = log(&scratch, 1, &["./logs/busy"]);
    assert_eq!(output.errors(), format!("multilog: warning: {line}"));
    assert!(writer.runs());
    fs::remove_file(scratch.at("logs/budget")).unwrap();
    scratch.write("limits", "total 1G\n");
    symlink("../limits", scratch.at("logs/budget")).unwrap();
    let said = shown(&scratch, &["logs/busy"]);
    assert!(
        said.starts_with("TOP/logs/budget: total 1073741824, used "),
        "{said}"
    );
}

#[test]
fn a_budget_is_shown_as_the_user_of_multilog_follows_it_whoever_asks() {
    if !is_root("a budget of another user") {
        return;
    }
    let scratch = Scratch::new();
    old_log(&scratch, "logs/a", &[1], 100);
    scratch.write("logs/budget", "total 1G\n");
    let others = "not followed: others than root and this user can write it";
    for (budget, lock, expected) in [
        (0, 0, "total 1073741824, used "),
        (1, 1, "total 1073741824, used "),
        (0, 1, "total 1073741824, used "),
        (1, 0, others),
        (1, 2, others),
    ] {
        for (name, owner) in [("logs/budget", budget), ("logs/a/lock", lock)] {
            chown(scratch.at(name), Some(owner), None).unwrap();
        }
        let said = shown(&scratch, &["logs/a"]);
        let expected = format!("TOP/logs/budget: {expected}");
        assert!(said.starts_with(&expected), "{budget} {lock}: {said}");
    }
    // Of one that runs its process tells.
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("multilog"));
    command
        .arg("./logs/a")
        .stdin(Stdio::piped())
        .stderr(Stdio::null());
    let mut multilog = command.spawn().unwrap();
    chown(scratch.at("logs/a/lock"), Some(1), None).unwrap();
    wait_until("it runs", || shown(&scratch, &["logs/a"]).contains(others));
    drop(multilog.stdin.take());
    assert!(multilog.wait().unwrap().success());
}

#[test]
fn a_budget_that_can_never_be_kept_deletes_nothing() {
    for (text, why) in [
        (
            "total 4095\n",
            "total is not followed: it is less than one file of this log",
        ),
        (
            "total 0\n",
            "total is not followed: it is less than one file of this log",
        ),
        (
            "free 1000000T\n",
            "free is not followed: the file system has no more than that",
        ),
        (
            "total 1000000T\n",
            "total is more than the file system has, and limits nothing",
        ),
    ] {
        let scratch = Scratch::new();
        old_log(&scratch, "logs/quiet", &[1, 2, 3], 9000);
        scratch.write("logs/budget", text);
        let output = log(&scratch, 200, &["s4096", "n100", "./logs/busy"]);
        let line = format!("multilog: warning: budget in ./logs/busy/..: {why}\n");
        assert_eq!((output.code, output.errors()), (0, line));
        assert_eq!(finished(&scratch, "logs/quiet").len(), 3);
        assert!(finished(&scratch, "logs/busy").len() > 3);
        let line = format!("TOP/logs/budget: {why}\n");
        // As far as its largest file tells, and what multilog was told.
        assert_eq!(shown(&scratch, &["logs/quiet"]), line);
        let mut command = scratch.command(Suite::Ours, Suite::Ours.program("multilog"));
        command.args(["s4096", "n100", "./logs/busy"]);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        let mut multilog = command.spawn().unwrap();
        wait_until("it runs", || shown(&scratch, &["logs/busy"]) == line);
        drop(multilog.stdin.take());
        assert!(multilog.wait().unwrap().success());
    }
    // The other line holds all the same.
    let scratch = Scratch::new();
    old_log(&scratch, "logs/quiet", &[1, 2, 3], 9000);
    scratch.write("logs/budget", "free 1000000T\ntotal 20k\n");
    let output = log(&scratch, 0, &["s4096", "./logs/busy"]);
    assert!(output.errors().contains("free is not followed"));
    assert_eq!(finished(&scratch, "logs/quiet").len(), 1);
}

#[test]
fn a_budget_counts_right_above_logs_and_their_services_and_farther_up_if_it_says_so() {
    let far = "not followed: not being right above a log or its service, it must begin with \
               # multilog";
    for (place, text, is_followed, why) in [
        // Of a service: its logger's, its own, and that of all services.
        ("home/services/squid/log", "total 12k\n", true, ""),
        ("home/services/squid", "total 12k\n", true, ""),
        ("home/services", "total 12k\n", true, ""),
        ("home", "total 16k\n", false, far),
        // What is no budget is nobody's business.
        ("home", "rent 800\ntotal 16000\n", false, ""),
        ("home", "", false, ""),
        ("home", "# multilog\ntotal 12k\n", true, ""),
        (".", "# multilog\ntotal 12k\n", true, ""),
        (
            ".",
            "# multilog\nrent 800\n",
            false,
            "line 2 is neither total nor free and a size, as: total 200M",
        ),
    ] {
        let scratch = Scratch::new();
        let main = "home/services/squid/log/main";
        old_log(&scratch, main, &[1, 2, 3], 4096);
        for run in ["home/services/squid/run", "home/services/squid/log/run"] {
            scratch.write(run, "");
        }
        scratch.write(format!("{place}/budget"), text);
        fs::set_permissions(
            scratch.at(format!("{main}/current")),
            fs::Permissions::from_mode(0o744),
        )
        .unwrap();
        // Through a link, as services stand in /service.
        scratch.mkdir("service");
        symlink("../home/services/squid", scratch.at("service/squid")).unwrap();
        scratch.write("input", "line\n".repeat(1000));
        let mut command = scratch.command(Suite::Ours, "sh");
        let multilog = Suite::Ours.program("multilog");
        let script = format!(
            "cd service/squid/log && exec {} s4096 ./main",
            multilog.display()
        );
        command.args(["-c", &script]);
        command.stdin(fs::File::open(scratch.at("input")).unwrap());
        let output = finish(command);
        let said = output.errors();
        assert_eq!(output.code, 0, "{said}");
        if why.is_empty() {
            assert_eq!(said, "", "{place} {text}");
        } else {
            assert!(said.ends_with(&format!(": {why}\n")), "{said}");
        }
        let left = finished(&scratch, main).len();
        assert_eq!(left < 4, is_followed, "{place} {text:?}: {left}");
        let path = match place {
            "." => "TOP/budget".to_owned(),
            place => format!("TOP/{place}/budget"),
        };
        let shown = shown(&scratch, &["./service/squid/log/main"]);
        if is_followed {
            let line = format!("{path}: total 12288, used ");
            assert!(
                shown.starts_with(&line) && shown.ends_with(" by 1 logs\n"),
                "{shown}"
            );
        } else {
            let none = format!("TOP/{main}: no budget is in force\n");
            let line = format!("{path}: {why}\n");
            let line = if why.is_empty() { "" } else { &line };
            assert_eq!(shown, line.to_owned() + &none);
        }
    }
}

#[test]
fn a_budget_counts_on_its_own_file_system_only() {
    let scratch = Scratch::new();
    scratch.mkdir("logs/main");
    let arguments = ["-t", "tmpfs", "-o", "size=512k", "none"];
    let test = "a budget above a mount point";
    let Some(_mount) = Mount::if_possible(test, &scratch, &arguments, "logs/main") else {
        return;
    };
    old_log(&scratch, "logs/quiet", &[1, 2, 3], 9000);
    scratch.write("logs/budget", "total 8k\n");
    let output = log(&scratch, 0, &["s4096", "./logs/main"]);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    assert_eq!(finished(&scratch, "logs/quiet").len(), 3);
    let none = "TOP/logs/main: no budget is in force\n";
    assert_eq!(shown(&scratch, &["logs/main"]), none);
}
