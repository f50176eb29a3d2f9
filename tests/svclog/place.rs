//! Where svclog finds the log of a service, and what it says if it does not.

use super::{
    RUN, SILENT, Writer, command, make, printed, refused, service, suites, svclog, texts,
    without_silent,
};
use crate::harness::{Scratch, Stranger, finish, shell, wait_until};
use std::path::PathBuf;

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
    let note = "svclog: showing a/log/main; there is also a/log/errors (--dir)\n";
    assert_eq!(output.errors(), note);
    assert_eq!(printed(&scratch, &["--dir=errors", "a"]), "errors\n");
    assert_eq!(printed(&scratch, &["--dir=./more", "a"]), "more\n");
    assert_eq!(
        printed(&scratch, &["-n1", "--dir=a/log/errors"]),
        "errors\n"
    );
}

#[test]
fn what_the_script_does_not_tell_a_running_multilog_tells() {
    for suite in suites("what_the_script_does_not_tell_a_running_multilog_tells") {
        let scratch = Scratch::new();
        let program = suite.program("multilog");
        let run = format!("exec {} t ./$NAME", program.display());
        scratch.service("a", "echo hello; exec sleep 1000");
        service(&scratch, &format!("NAME=$(echo squid); {run}"));
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

/// Makes log directories in `a/log`: what each prints is its name.
fn logs(scratch: &Scratch, names: &[&str]) {
    for name in names {
        scratch.mkdir(format!("a/log/{name}"));
        scratch.write(format!("a/log/{name}/current"), format!("{name}\n"));
    }
}

#[test]
fn of_several_directories_that_may_be_meant_the_one_with_a_log_is_shown() {
    let scratch = Scratch::new();
    logs(&scratch, &["logs"]);
    scratch.mkdir("a/log/env");
    scratch.mkdir("a/log/main");
    for run in [
        "exec setuidgid multilog envdir ./env multilog t ./logs",
        "exec become multilog ./env multilog t ./logs",
        "exec become multilog ./logs multilog t ./env",
        "D=./logs; exec multilog t $D",
        "exec multilog t s$((1024*1024)) n20 ./logs",
        "if cd logs; then exec multilog t .; fi",
        "cd -P -- ./logs && exec multilog t .",
        "exec multilog t ${DIR:-./logs}",
        "exec multilog t ./main ./logs",
    ] {
        service(&scratch, run);
        assert_eq!(svclog(&scratch, &["a"]).text(), "logs\n", "{run}");
    }
}

#[test]
fn a_running_multilog_is_asked_first_and_strangers_are_not() {
    for suite in suites("a_running_multilog_is_asked_first_and_strangers_are_not") {
        let scratch = Scratch::new();
        let program = suite.program("multilog");
        logs(&scratch, &["main", "more"]);
        scratch.mkdir("elsewhere");
        scratch.service("a", "echo hello; exec sleep 1000");
        // Without exec, and as it is started; then the script says something else.
        let run = format!(
            "cd ../../elsewhere; {} t . ../a/log/more; true",
            program.display()
        );
        service(&scratch, &run);
        scratch.mkdir("service");
        scratch.link("a");
        let _svscan = scratch.svscan();
        wait_until("something is logged", || {
            scratch.read("elsewhere/current").ends_with("hello\n")
        });
        service(&scratch, RUN);
        let output = svclog(&scratch, &["a"]);
        assert_eq!(texts(&output.text()), ["hello"]);
        assert!(
            output.errors().starts_with("svclog: showing /"),
            "{output:?}"
        );
        assert!(
            output.errors().ends_with("/a/log/more (--dir)\n"),
            "{output:?}"
        );
        // A process of somebody else, in the directory of the logger.
        let Some(stranger) = Stranger::new(
            "a_running_multilog_is_asked_first_and_strangers_are_not",
            &scratch,
        ) else {
            continue;
        };
        shell(&scratch, "rm service/a; svc -dx a a/log");
        // multilog ends later than its supervise, when its input does.
        wait_until("multilog has ended", || {
            let comm = |pid| std::fs::read_to_string(format!("/proc/{pid}/comm"));
            let names = scratch.processes().into_iter().flat_map(comm);
            !names
                .into_iter()
                .any(|name| name == "multilog\n" || name == "supervise\n")
        });
        scratch.mkdir("forged");
        stranger.owns(&scratch, "forged");
        shell(&scratch, "chmod 755 . a a/log");
        let mut command = stranger.command(&scratch, program.to_str().unwrap());
        command
            .arg(scratch.at("forged"))
            .current_dir(scratch.at("a/log"));
        let mut forged = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        wait_until("it is there", || scratch.at("forged/current").exists());
        assert_eq!(svclog(&scratch, &["a"]).text(), "main\n");
        drop(forged.stdin.take());
        forged.wait().unwrap();
    }
}

#[test]
fn who_may_read_the_log_but_not_ask_supervise_is_served() {
    let scratch = Scratch::new();
    logs(&scratch, &["logs"]);
    service(&scratch, "exec multilog t $UNKNOWN ./logs");
    let test = "who_may_read_the_log_but_not_ask_supervise_is_served";
    let Some(stranger) = Stranger::new(test, &scratch) else {
        return;
    };
    scratch.mkdir("a/log/supervise");
    shell(
        &scratch,
        "chmod 711 a a/log; chmod 700 a/log/supervise; chmod 755 a/log/logs",
    );
    let mut command = stranger.command(&scratch, "svclog");
    command.arg("a");
    let output = finish(command);
    assert_eq!((output.code, output.text()), (0, "logs\n".to_owned()));
    assert_eq!(output.errors(), "");
}

#[test]
fn a_logger_that_does_not_run_is_mentioned() {
    let scratch = Scratch::new();
    let said = || {
        let output = finish(command(&scratch, &["a"]));
        assert_eq!((output.code, output.text()), (0, "main\n".to_owned()));
        output.errors()
    };
    logs(&scratch, &["main"]);
    service(&scratch, "exit 1");
    assert_eq!(said(), format!("svclog: warning: a/log{SILENT}"));
    scratch.service("a", "exec sleep 1000");
    scratch.mkdir("service");
    scratch.link("a");
    let svscan = scratch.svscan();
    let warning = |why: &str| format!("svclog: warning: a/log: the logger does not run ({why})\n");
    wait_until("it ends again and again", || {
        said() == warning("it ends again and again; svclog alone may show why")
    });
    shell(&scratch, "svc -d service/a/log");
    wait_until("it is down", || {
        said() == warning("it is down; svcstart starts it")
    });
    service(&scratch, "exec sleep 1000");
    shell(&scratch, "svc -u service/a/log");
    wait_until("it runs", || said().is_empty());
    shell(&scratch, "svc -p service/a/log");
    wait_until("it is paused", || {
        said() == warning("it is paused; svc -c continues it")
    });
    drop(svscan);
}

#[test]
fn a_log_directory_is_one_while_multilog_finishes_its_current() {
    let scratch = Scratch::new();
    scratch.mkdir("a");
    scratch.write("a/lock", "");
    scratch.write("a/@400000006553f10b00000000.s", "finished\n");
    assert_eq!(printed(&scratch, &["a"]), "finished\n");
    scratch.write("a/previous", "previous\n");
    assert_eq!(printed(&scratch, &["a"]), "finished\nprevious\n");
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
            "no: no such service directory: file does not exist here or in /service or in /etc/service; check its name",
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
            "none: it has no log, so its output goes to that of svscan; make none/log/run with multilog in it, then take the service out and put it in again",
        ),
        (
            "odd",
            1,
            "odd: its log is no directory; move odd/log away, and make a directory of that name with a run that starts multilog",
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
fn names_of_any_bytes_are_printed_as_they_are() {
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new();
    let name = std::ffi::OsStr::from_bytes(b"a \xff\n");
    let output = finish(command(&scratch, &[name]));
    let why = b"svclog: fatal: a \xff\n: no such service directory: file does not exist here or in /service or in /etc/service; check its name\n";
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
        without_silent(&finish(command).errors())
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
