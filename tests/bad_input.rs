//! What nobody would do on purpose: 0.76's warnings, no panic, no busy loop.

use crate::harness::{
    self, Daemon, Mount, Scratch, Stranger, Suite, WAITS, cpu, finish, let_time_pass, shell,
    status, supervise, svc, wait_until,
};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Fails if a daemon that was started as `name` has panicked, or has used more
/// of the processor than a few events take.
fn is_calm(scratch: &Scratch, daemon: &Daemon, name: &str) {
    let said = scratch.read(format!("{name}.err"));
    assert!(!said.contains("panicked"), "{said}");
    let used = cpu(daemon.pid());
    assert!(used < 50, "{used} hundredths of a second were used");
}

/// Waits until `line` was said `count` times, alone or not.
fn wait_said(scratch: &Scratch, name: &str, line: &str, count: usize) {
    wait_until(line, || {
        let said = scratch.read(format!("{name}.err"));
        said.matches(line).count() >= count
    });
}

#[test]
fn a_directory_that_is_not_there_is_told_by_all() {
    let scratch = Scratch::new();
    scratch.write("file", "");
    for (name, why) in [
        ("nothing", "file does not exist"),
        ("file", "not a directory"),
        ("nothing/here", "file does not exist"),
    ] {
        for (program, code, line) in [
            ("supervise", 111, "supervise: fatal: unable to chdir to"),
            ("svscan", 111, "svscan: fatal: unable to chdir to"),
            ("svok", 111, "svok: fatal: unable to chdir to"),
            ("svc", 0, "svc: warning: unable to chdir to"),
        ] {
            let output = scratch.run(Suite::Ours, program, &[name]);
            let expected = format!("{line} {name}: {why}\n");
            assert_eq!((output.code, output.errors()), (code, expected));
            assert_eq!(output.text(), "");
        }
        let output = scratch.run(Suite::Ours, "svstat", &[name]);
        let expected = format!("{name}: unable to chdir: {why}\n");
        assert_eq!((output.code, output.text()), (0, expected));
        assert_eq!(output.errors(), "");
    }
}

#[test]
fn a_run_that_cannot_be_executed_is_told_each_second_until_it_can() {
    let cases = [
        ("true", "file does not exist"),
        ("echo '#!/bin/sh' > run", "access denied"),
        ("mkdir run", "access denied"),
        (
            "echo '#!/no/such/interpreter' > run; chmod +x run",
            "file does not exist",
        ),
        ("echo nonsense > run; chmod +x run", "exec format error"),
        ("ln -s run run", "symbolic link loop"),
    ];
    let scratch = Scratch::new();
    let started: Vec<(String, &str, Daemon)> = (0..)
        .zip(cases)
        .map(|(number, (make, why))| {
            let name = format!("case-{number}");
            scratch.mkdir(&name);
            shell(&scratch, &format!("cd {name}; {make}"));
            let daemon = scratch.daemon(Suite::Ours, "supervise", &[&name], &name);
            (name, why, daemon)
        })
        .collect();
    for (name, why, supervise) in started {
        let line = format!("supervise: fatal: unable to start {name}/run: {why}\n");
        wait_said(&scratch, &name, &line, 2);
        scratch.script("new", WAITS);
        shell(&scratch, &format!("rm -rf {name}/run; mv new {name}/run"));
        wait_until("it runs", || {
            let pid = scratch.pid(&name).unwrap_or(0);
            fs::read(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == b"sleep\n")
        });
        is_calm(&scratch, &supervise, &name);
    }
}

#[test]
fn on_a_full_disk_the_service_goes_on_and_the_status_comes_right_in_the_end() {
    let scratch = Scratch::new();
    scratch.mkdir("disk");
    let arguments = ["-t", "tmpfs", "-o", "size=64k", "none"];
    let Some(_mount) = Mount::if_possible("a full disk", &scratch, &arguments, "disk") else {
        return;
    };
    scratch.service("disk/a", "echo $$ >> ../../pids; exec sleep 1000");
    let pids = || -> Vec<u32> {
        let pids = scratch.read("pids");
        pids.lines().map(|line| line.parse().unwrap()).collect()
    };
    let supervise = supervise(&scratch, "disk/a");
    let first = scratch.wait_up("disk/a");
    wait_until("it notes its pid", || pids() == [first]);

    let mut filler = File::create(scratch.at("disk/filler")).unwrap();
    while filler.write(&[0; 4096]).is_ok() {}
    drop(filler);
    svc(&scratch, "-t", "disk/a");
    let line =
        "supervise: warning: unable to write disk/a/supervise/status.new: out of disk space\n";
    wait_said(&scratch, "supervise", line, 2);
    // It is told the truth in the old file.
    let file = scratch.at("disk/a/supervise/status");
    let inode = || fs::metadata(&file).unwrap().ino();
    let old = inode();
    let is_true = || scratch.pid("disk/a") == pids().last().copied();
    wait_until("it was started again", || pids().len() == 2 && is_true());
    svc(&scratch, "-t", "disk/a");
    wait_until("it was started again", || pids().len() == 3 && is_true());
    assert_eq!(inode(), old);
    // One line for each attempt that something asked for, none for those by itself.
    wait_said(&scratch, "supervise", line, 4);
    assert_eq!(scratch.read("supervise.err"), line.repeat(4));

    fs::remove_file(scratch.at("disk/filler")).unwrap();
    wait_until("the status is a new file", || inode() != old);
    assert!(is_true());
    assert_eq!(scratch.read("supervise.err"), line.repeat(4));
    is_calm(&scratch, &supervise, "supervise");
}

#[test]
fn on_a_full_disk_svcstart_and_svcstop_work() {
    let scratch = Scratch::new();
    scratch.mkdir("disk");
    let arguments = ["-t", "tmpfs", "-o", "size=64k", "none"];
    let test = "svcstart and svcstop on a full disk";
    let Some(_mount) = Mount::if_possible(test, &scratch, &arguments, "disk") else {
        return;
    };
    scratch.service("disk/a", WAITS);
    let _supervise = supervise(&scratch, "disk/a");
    scratch.wait_up("disk/a");
    let mut filler = File::create(scratch.at("disk/filler")).unwrap();
    while filler.write(&[0; 4096]).is_ok() {}
    drop(filler);
    for _ in 0..2 {
        let output = scratch.run(Suite::Ours, "svcstart", &["disk/a"]);
        assert_eq!(output.code, 0, "{output:?}");
        assert!(scratch.pid("disk/a").is_some_and(harness::is_alive));
        let output = scratch.run(Suite::Ours, "svcstop", &["disk/a"]);
        assert_eq!(output.code, 0, "{output:?}");
        assert_eq!(scratch.pid("disk/a"), None);
    }
}

#[test]
fn a_status_that_nothing_can_be_written_for_is_no_promise_and_it_is_said_where_to_look() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    let _supervise = supervise(&scratch, "a");
    scratch.wait_up("a");
    // Neither a new file, nor the old one: it has another name.
    scratch.mkdir("a/supervise/status.new");
    fs::hard_link(scratch.at("a/supervise/status"), scratch.at("other")).unwrap();
    let other = fs::read(scratch.at("other")).unwrap();
    let svcstop = |options: &[&str]| {
        let arguments = [options, &["--persist", "a"]].concat();
        scratch.run(Suite::Ours, "svcstop", &arguments)
    };
    let why = "supervise has not answered within 300ms; see with ps whether it is stopped, \
               and with df whether the disk is full";
    let svcstart = || scratch.run(Suite::Ours, "svcstart", &["--timeout", "300ms", "a"]);
    // The record tells.
    let output = svcstart();
    assert_eq!(output.code, 0, "{output:?}");
    fs::remove_file(scratch.at("a/supervise/state")).unwrap();
    scratch.mkdir("a/supervise/state");
    let output = svcstart();
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(output.failure("svcstart", "a"), why);
    let output = svcstop(&["--timeout", "300ms"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(output.failure("svcstop", "a"), why);
    assert!(!scratch.at("a/down").exists());
    assert_eq!(fs::read(scratch.at("other")).unwrap(), other);

    fs::remove_dir(scratch.at("a/supervise/status.new")).unwrap();
    let output = svcstop(&[]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(scratch.pid("a"), None);
    assert!(scratch.at("a/down").exists());
}

#[test]
fn where_no_status_can_be_made_only_a_file_that_is_one_is_overwritten() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    let _supervise = supervise(&scratch, "a");
    scratch.wait_up("a");
    scratch.mkdir("a/supervise/status.new");
    scratch.write("other", "123456789012345678");
    let file = scratch.at("a/supervise/status");
    let mut lines = 0;
    let mut play = |commands: &str| {
        svc(&scratch, commands, "a");
        lines += 1;
        wait_until("the failure is told", || {
            scratch.read("supervise.err").lines().count() == lines
        });
    };
    play("-p");
    assert!(status(&scratch, "a").paused);
    fs::write(&file, "1234567890123456789").unwrap();
    play("-c");
    assert_eq!(fs::read(&file).unwrap(), b"1234567890123456789");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(scratch.at("other"), &file).unwrap();
    play("-p");
    assert_eq!(scratch.read("other"), "123456789012345678");
}

#[test]
fn a_directory_that_may_not_be_written_is_told_and_left() {
    let scratch = Scratch::new();
    let Some(stranger) = Stranger::new("an unwritable directory", &scratch) else {
        return;
    };
    scratch.service("without", WAITS);
    scratch.service("with", WAITS);
    scratch.mkdir("with/supervise");
    for (name, why) in [
        ("without", "file does not exist"),
        ("with", "access denied"),
    ] {
        let mut command = stranger.command(&scratch, "supervise");
        command.arg(name);
        let output = finish(command);
        let expected =
            format!("supervise: fatal: unable to acquire {name}/supervise/lock: {why}\n");
        assert_eq!((output.code, output.errors()), (111, expected));
    }
    // Nor may a stranger ask or command what root supervises.
    let _supervise = supervise(&scratch, "with");
    for (program, code, out, err) in [
        (
            "svok",
            111,
            "",
            "svok: fatal: unable to open with/supervise/ok: access denied\n",
        ),
        (
            "svc",
            0,
            "",
            "svc: warning: unable to control with: access denied\n",
        ),
        (
            "svstat",
            0,
            "with: unable to open supervise/ok: access denied\n",
            "",
        ),
    ] {
        let mut command = stranger.command(&scratch, program);
        command.arg("with");
        let output = finish(command);
        assert_eq!(
            (
                output.code,
                output.text().as_str(),
                output.errors().as_str()
            ),
            (code, out, err)
        );
    }
}

#[test]
fn on_a_read_only_file_system_it_is_told_and_left() {
    let scratch = Scratch::new();
    scratch.service("real/fresh", WAITS);
    scratch.service("real/used", WAITS);
    scratch.mkdir("real/used/supervise");
    scratch.mkdir("disk");
    let real = scratch.at("real");
    let bind = ["--bind", real.to_str().unwrap()];
    let test = "a read-only file system";
    let Some(_mount) = Mount::if_possible(test, &scratch, &bind, "disk") else {
        return;
    };
    let remounted = Mount::new(&scratch, &["-o", "remount,bind,ro"], "disk");
    assert!(remounted.is_some());
    std::mem::forget(remounted);
    for (name, why) in [
        ("disk/fresh", "file does not exist"),
        ("disk/used", "read-only file system"),
    ] {
        let output = scratch.run(Suite::Ours, "supervise", &[name]);
        let expected =
            format!("supervise: fatal: unable to acquire {name}/supervise/lock: {why}\n");
        assert_eq!((output.code, output.errors()), (111, expected));
    }
}

#[test]
fn a_control_that_is_a_file_is_obeyed_once() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    scratch.mkdir("a/supervise");
    scratch.write("a/supervise/control", "dx");
    let output = scratch.run(Suite::Ours, "supervise", &["a"]);
    assert_eq!(output.code, 0);
    assert_eq!(status(&scratch, "a").pid, None);

    scratch.write("a/supervise/control", "u?!\n");
    let supervise = supervise(&scratch, "a");
    scratch.wait_up("a");
    let_time_pass(&scratch);
    is_calm(&scratch, &supervise, "supervise");
    assert!(scratch.pid("a").is_some());
}

#[test]
fn what_stands_in_the_way_in_supervise_is_told() {
    for (make, code, line) in [
        (
            "echo > a/supervise",
            111,
            "supervise: fatal: unable to acquire a/supervise/lock: not a directory\n",
        ),
        (
            "mkdir -p a/supervise/lock",
            111,
            "supervise: fatal: unable to acquire a/supervise/lock: is a directory\n",
        ),
        (
            "mkdir -p a/supervise/control",
            111,
            "supervise: fatal: unable to write a/supervise/control: is a directory\n",
        ),
        (
            "ln -s down a/down",
            111,
            "supervise: fatal: unable to stat a/down: symbolic link loop\n",
        ),
        (
            "ln -s nowhere/at/all a/supervise",
            111,
            "supervise: fatal: unable to acquire a/supervise/lock: file does not exist\n",
        ),
    ] {
        let scratch = Scratch::new();
        scratch.service("a", WAITS);
        shell(&scratch, make);
        let output = scratch.run(Suite::Ours, "supervise", &["a"]);
        assert_eq!(
            (output.code, output.errors().as_str()),
            (code, line),
            "{make}"
        );
    }
}

#[test]
fn a_status_that_is_no_status_is_told_and_replaced_at_the_next_change() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    let supervise = supervise(&scratch, "a");
    let pid = scratch.wait_up("a");
    let whole = fs::read(scratch.at("a/supervise/status")).unwrap();
    let bad = "unable to read supervise/status: bad format";
    for length in [0, 1, 17] {
        scratch.write("a/supervise/status", &whole[..length]);
        assert_eq!(scratch.svstat("a"), bad);
    }
    // What is behind 18 bytes is encore's or runit's.
    let longer = [whole.as_slice(), &[1, 2]].concat();
    scratch.write("a/supervise/status", longer);
    assert!(scratch.svstat("a").starts_with(&format!("up (pid {pid}) ")));
    for garbage in [[0_u8; 18], [0x7f; 18], [0xff; 18]] {
        scratch.write("a/supervise/status", garbage);
        let output = scratch.run(Suite::Ours, "svstat", &["a"]);
        assert_eq!((output.code, output.errors()), (0, String::new()));
        assert!(output.text().contains(" seconds"), "{output:?}");
    }
    svc(&scratch, "-u", "a");
    wait_until("the status is right", || scratch.pid("a") == Some(pid));
    is_calm(&scratch, &supervise, "supervise");
}

#[test]
fn a_service_directory_that_is_removed_leaves_the_service_running_until_it_ends() {
    let scratch = Scratch::new();
    scratch.service("a", "echo $$ > ../pid; exec sleep 1000");
    let mut supervise = supervise(&scratch, "a");
    let pid = scratch.wait_up("a");
    wait_until("it runs", || scratch.read("pid") == format!("{pid}\n"));
    fs::remove_dir_all(scratch.at("a")).unwrap();
    assert!(harness::is_alive(pid));
    harness::signal(pid, "TERM");
    assert_eq!(supervise.wait(), 0, "nothing is left to be started");
    let said = scratch.read("supervise.err");
    assert!(!said.contains("unable to start"), "{said}");
}

#[test]
fn a_supervise_directory_that_is_removed_is_told_and_no_more() {
    let scratch = Scratch::new();
    scratch.service("a", "echo $$ >> starts; exec sleep 1000");
    let supervise = supervise(&scratch, "a");
    let pid = scratch.wait_up("a");
    let starts = || scratch.read("a/starts");
    wait_until("it runs", || starts() == format!("{pid}\n"));
    fs::remove_dir_all(scratch.at("a/supervise")).unwrap();
    harness::signal(pid, "TERM");
    let line = "supervise: warning: unable to open a/supervise/status.new: file does not exist\n";
    wait_said(&scratch, "supervise", line, 2);
    wait_until("it was started again", || starts().lines().count() == 2);
    assert_eq!(scratch.read("supervise.err"), line.repeat(2));
    // The next status is written where there is a place for it.
    scratch.mkdir("a/supervise");
    let pid = starts().lines().last().unwrap().parse().unwrap();
    harness::signal(pid, "TERM");
    wait_until("the status is there", || scratch.pid("a").is_some());
    is_calm(&scratch, &supervise, "supervise");
}

/// `text` with `name` in the place of each NAME.
fn named(text: &str, name: &OsStr) -> Vec<u8> {
    text.split("NAME")
        .map(str::as_bytes)
        .collect::<Vec<_>>()
        .join(name.as_bytes())
}

/// Progress with one dot where it has many.
fn without_dots(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    text.dedup_by(|a, b| (*a, *b) == (b'.', b'.'));
    text
}

#[test]
fn names_of_any_bytes_work_with_all_programs() {
    let scratch = Scratch::new();
    let names: [OsString; 7] = [
        "two words".into(),
        "line\nbreak".into(),
        "-x".into(),
        "'\"$(reboot)\\".into(),
        OsString::from_vec(b"\xff\xfe\x80".to_vec()),
        OsString::from_vec(vec![b'n'; 255]),
        OsString::from_vec([[0xc3].as_slice(), &[b'm'; 254]].concat()),
    ];
    for name in &names {
        let place = PathBuf::from("scan").join(name);
        scratch.service(&place, "echo hello; exec sleep 1000");
        scratch.service(place.join("log"), "exec cat > got");
    }
    let svscan = scratch.daemon(Suite::Ours, "svscan", &["scan"], "svscan");
    for name in &names {
        let log = PathBuf::from("scan").join(name).join("log/got");
        wait_until(&format!("{name:?} is heard"), || {
            scratch.read(&log) == "hello\n"
        });
        // By a path, which no option letter begins.
        let by_path = PathBuf::from("scan").join(name).into_os_string();
        let run = |program: &str, words: &[&OsStr]| scratch.run(Suite::Ours, program, words);
        let output = run("svok", &[&by_path]);
        assert_eq!((output.code, output.errors()), (0, String::new()));
        let output = run("svstat", &[&by_path]);
        let begin = [by_path.as_bytes(), b": up (pid "].concat();
        assert!(output.out.starts_with(&begin), "{output:?}");
        let output = run("svc", &[OsStr::new("-d"), OsStr::new("--"), &by_path]);
        assert_eq!((output.code, output.errors()), (0, String::new()));
        wait_until("it is down", || {
            let begin = [by_path.as_bytes(), b": down "].concat();
            run("svstat", &[&by_path]).out.starts_with(&begin)
        });
        for (program, words, says) in [
            (
                "svcstart",
                &["--settle", "0s"] as &[&str],
                "Starting NAME .OK\n",
            ),
            (
                "svcrestart",
                &["--settle", "0s"],
                "Stopping NAME .OK\nStarting NAME .OK\n",
            ),
            ("svcreset", &["--settle", "0s"], "Starting NAME .OK\n"),
            ("svcstop", &[], "Stopping NAME .OK\n"),
        ] {
            let words: Vec<&OsStr> = words.iter().map(OsStr::new).chain([&*by_path]).collect();
            let output = run(program, &words);
            assert_eq!((output.code, output.errors()), (0, String::new()));
            assert_eq!(without_dots(&output.out), named(says, &by_path));
        }
        let output = run("supervise", &[&by_path]);
        let expected = [
            b"supervise: fatal: unable to acquire ",
            by_path.as_bytes(),
            b"/supervise/lock: temporary failure\n",
        ]
        .concat();
        assert_eq!((output.code, output.err), (111, expected));
    }
    assert_eq!(scratch.read("svscan.err"), "");
    is_calm(&scratch, &svscan, "svscan");
}

#[test]
fn bad_names_are_told_as_they_are_by_all_programs() {
    let scratch = Scratch::new();
    let long = OsString::from_vec(vec![b'n'; 256]);
    let endless = OsString::from_vec(b"n/".repeat(3000));
    for (name, why) in [
        (OsStr::new(""), "file does not exist"),
        (OsStr::new("no\nthing"), "file does not exist"),
        (OsStr::from_bytes(b"\xff\x80"), "file does not exist"),
        (&long, "file name too long"),
        (&endless, "file name too long"),
    ] {
        for (program, code, before) in [
            ("supervise", 111, "supervise: fatal: unable to chdir to "),
            ("svscan", 111, "svscan: fatal: unable to chdir to "),
            ("svok", 111, "svok: fatal: unable to chdir to "),
            ("svc", 0, "svc: warning: unable to chdir to "),
        ] {
            let output = scratch.run(Suite::Ours, program, &[name]);
            let expected = [
                before.as_bytes(),
                name.as_bytes(),
                b": ",
                why.as_bytes(),
                b"\n",
            ]
            .concat();
            assert_eq!((output.code, &output.err), (code, &expected), "{output:?}");
        }
        for (program, verb) in [
            ("svcstart", "Starting"),
            ("svcstop", "Stopping"),
            ("svcreset", "Resetting"),
            ("svcrestart", "Restarting"),
        ] {
            let output = scratch.run(Suite::Ours, program, &[name]);
            let also = if name.is_empty() || why != "file does not exist" {
                ""
            } else {
                " here or in /service or in /etc/service"
            };
            let expected = format!(
                "{program}: fatal: NAME: no such service directory: {why}{also}; check its name\n"
            );
            assert_eq!((output.code, &output.err), (1, &named(&expected, name)));
            assert_eq!(output.out, named(&format!("{verb} NAME .FAILED\n"), name));
        }
        let output = scratch.run(Suite::Ours, "svstat", &[name]);
        let expected = [
            name.as_bytes(),
            b": unable to chdir: ",
            why.as_bytes(),
            b"\n",
        ]
        .concat();
        assert_eq!((output.code, &output.out), (0, &expected), "{output:?}");
    }
}

#[test]
fn outputs_that_nobody_takes_make_nobody_panic() {
    let scratch = Scratch::new();
    scratch.mkdir("a");
    for script in [
        "svstat a nothing >&-",
        "svstat a nothing >/dev/full",
        "svstat a nothing >&- 2>&-",
        "svok nothing 2>&-",
        "svc -u nothing 2>&-",
        "svc -Z 2>/dev/full",
        "supervise nothing 2>&-",
        "svscan nothing 2>/dev/full",
        "supervise",
        "supervise a b",
        "svok",
    ] {
        let mut command = scratch.command(Suite::Ours, "sh");
        command.args(["-c", script]);
        let output = finish(command);
        assert!([0, 100, 111].contains(&output.code), "{script}: {output:?}");
        assert!(!output.errors().contains("panicked"), "{output:?}");
    }
}

#[test]
fn a_flood_of_commands_is_read_and_over() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    let supervise = supervise(&scratch, "a");
    let pid = scratch.wait_up("a");
    let mut control = File::options()
        .write(true)
        .open(scratch.at("a/supervise/control"))
        .unwrap();
    // Unknown bytes are ignored; the last is known.
    control.write_all(&[b'Z'; 100_000]).unwrap();
    control
        .write_all(&(128..=255).collect::<Vec<u8>>())
        .unwrap();
    control.write_all(b"o").unwrap();
    wait_until("the last command is obeyed", || {
        status(&scratch, "a").want == daemontools_rs::formats::status::Want::Once
    });
    assert_eq!(scratch.pid("a"), Some(pid));
    is_calm(&scratch, &supervise, "supervise");
}
