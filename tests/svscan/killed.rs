//! svscan that was killed: what the next one does with the supervises that run.

use super::{supervises, svscan, wait_another};
use crate::harness::{
    Daemon, Scratch, Suite, WAITS, children, has, is_alive, is_root, shell, signal, svc, wait_until,
};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// Writes numbered lines to its log, each with its pid.
const NUMBERS: &str = "echo $$ >> starts; i=0; while echo $$ $i; do i=$((i+1)); sleep 0.02; done";

fn numbers(scratch: &Scratch, name: &str) {
    scratch.service(name, NUMBERS);
    scratch.service(format!("{name}/log"), "exec multilog s16000000 ./main");
}

/// Kills svscan, starts the next one, and waits until that watches these supervises.
fn replace(scratch: &Scratch, mut old: Daemon, names: &[&str]) -> Daemon {
    old.signal("KILL");
    old.wait();
    start(scratch, names)
}

fn start(scratch: &Scratch, names: &[&str]) -> Daemon {
    let svscan = svscan(scratch);
    for name in names {
        wait_until(&format!("it watches the supervise of {name}"), || {
            let is_noted = || {
                let note = scratch.read(format!("scan/{name}/supervise/svscan"));
                note.contains(&format!("\nsvscan {}\n", svscan.pid()))
            };
            let operand = name.rsplit('/').next().unwrap();
            !supervises(&svscan, operand).is_empty() || is_noted()
        });
    }
    svscan
}

/// The supervise of the service `name`, by its record.
fn supervise_of(scratch: &Scratch, name: &str) -> u32 {
    let path = format!("scan/{name}");
    wait_until(&format!("{name} has a supervise"), || {
        let pid = scratch.state(&path, "supervise");
        pid.is_some_and(|pid| is_alive(pid.parse().unwrap()))
    });
    scratch.state(&path, "supervise").unwrap().parse().unwrap()
}

fn kill(pid: u32) {
    signal(pid, "KILL");
    wait_until("it has ended", || !is_alive(pid));
}

/// How many lines the log has; each service's are complete. A multilog that was killed may have
/// written the last ones twice.
fn lines(scratch: &Scratch, name: &str) -> u64 {
    let directory = format!("scan/{name}/log/main");
    let files = fs::read_dir(scratch.at(&directory)).into_iter().flatten();
    let files = files.flatten().map(|entry| entry.file_name());
    let files: BTreeSet<_> = files
        .filter(|file| file == "current" || file.to_string_lossy().starts_with('@'))
        .collect();
    let read = |file: &OsString| scratch.read(Path::new(&directory).join(file));
    let text: String = files.iter().map(read).collect();
    let mut next: HashMap<String, u64> = HashMap::new();
    for line in text.lines() {
        let (pid, number) = line.split_once(' ').unwrap();
        let next = next.entry(pid.to_owned()).or_default();
        let number: u64 = number.parse().unwrap();
        assert!(number <= *next, "{line} in {text}");
        *next = (*next).max(number + 1);
    }
    next.values().sum()
}

fn wait_more_lines(scratch: &Scratch, name: &str) {
    let before = lines(scratch, name);
    wait_until("more lines arrive", || lines(scratch, name) > before + 2);
}

/// Which pipe the process has as this descriptor.
fn pipe(pid: u32, fd: u32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
    link.to_string_lossy().into_owned()
}

/// Has svscan replace the supervises of `a` and its log, which get the pipe `whole`.
fn replace_both(scratch: &Scratch, whole: &str) {
    for (name, fd) in [("a", 1), ("a/log", 0)] {
        let old = supervise_of(scratch, name);
        svc(scratch, "-dx", &format!("scan/{name}"));
        wait_until("it is replaced", || {
            !is_alive(old) && supervise_of(scratch, name) != old
        });
        assert_eq!(pipe(supervise_of(scratch, name), fd), whole);
    }
}

#[test]
fn the_next_svscan_starts_nothing_twice_and_watches_what_runs() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    numbers(&scratch, "scan/b");
    let first = svscan(&scratch);
    let services = ["scan/a", "scan/b", "scan/b/log"].map(|name| scratch.wait_up(name));
    let mut second = replace(&scratch, first, &["a", "b", "b/log"]);
    assert_eq!(children(second.pid()), [0; 0]);
    for round in 0..2 {
        // One that is killed is back, as its child, and has adopted its service.
        let old = supervise_of(&scratch, "a");
        kill(old);
        assert_ne!(wait_another(&second, "a", old), old);
        if round == 0 {
            second = replace(&scratch, second, &["a", "b", "b/log"]);
        }
    }
    assert_eq!(
        services,
        ["scan/a", "scan/b", "scan/b/log"].map(|name| scratch.wait_up(name))
    );
    // svcstop knows that an `x` brings another one.
    let old = supervise_of(&scratch, "b");
    svc(&scratch, "-x", "scan/b");
    let output = scratch.run(Suite::Ours, "svcstop", &["scan/b"]);
    assert_eq!(output.code, 0, "{output:?}");
    wait_another(&second, "b", old);
    assert!(scratch.svstat("scan/b").starts_with("down "));
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_supervise_that_is_told_to_exit_is_replaced_and_one_without_an_entry_is_not() {
    let scratch = Scratch::new();
    for name in ["a", "b"] {
        scratch.service(format!("store/{name}"), WAITS);
    }
    scratch.mkdir("scan");
    for name in ["a", "b"] {
        let link = scratch.at(format!("scan/{name}"));
        std::os::unix::fs::symlink(format!("../store/{name}"), link).unwrap();
    }
    let first = svscan(&scratch);
    scratch.wait_up("scan/a");
    let b = scratch.wait_up("scan/b");
    let second = replace(&scratch, first, &["a", "b"]);
    let [old_a, old_b] = ["a", "b"].map(|name| supervise_of(&scratch, name));
    fs::remove_file(scratch.at("scan/b")).unwrap();
    svc(&scratch, "-dx", "store/b");
    svc(&scratch, "-dx", "scan/a");
    wait_until("both have left", || !is_alive(old_a) && !is_alive(old_b));
    wait_another(&second, "a", old_a);
    assert!(!is_alive(b) && supervises(&second, "b").is_empty());
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn whichever_end_of_the_pipe_ends_after_svscan_was_killed_no_line_is_lost() {
    let scratch = Scratch::new();
    numbers(&scratch, "scan/a");
    let mut svscan = svscan(&scratch);
    let first = scratch.wait_up("scan/a");
    let whole = pipe(first, 1);
    // Those that are killed together with svscan.
    for killed in [&[][..], &["a"], &["a/log"], &["a", "a/log"]] {
        wait_more_lines(&scratch, "a");
        let pids = killed.iter().map(|name| supervise_of(&scratch, name));
        let pids: Vec<u32> = pids.collect();
        svscan.signal("STOP");
        pids.iter().for_each(|pid| kill(*pid));
        svscan.signal("KILL");
        svscan.wait();
        svscan = start(&scratch, &["a", "a/log"]);
        for name in ["a", "a/log"] {
            supervise_of(&scratch, name);
        }
        wait_more_lines(&scratch, "a");
        // Both processes ended, and get the same pipe again.
        let (service, logger) = (scratch.wait_up("scan/a"), scratch.wait_up("scan/a/log"));
        svc(&scratch, "-k", "scan/a/log");
        wait_until("the logger is back", || {
            scratch.pid("scan/a/log").is_some_and(|pid| pid != logger)
        });
        svc(&scratch, "-k", "scan/a");
        wait_until("the service is back", || {
            scratch.pid("scan/a").is_some_and(|pid| pid != service)
        });
        wait_more_lines(&scratch, "a");
        let ends = [("scan/a", 1), ("scan/a/log", 0)];
        let ends = ends.map(|(name, fd)| pipe(scratch.wait_up(name), fd));
        assert_eq!(ends, [whole.clone(), whole.clone()], "{killed:?}");
    }
    // So do their supervises.
    replace_both(&scratch, &whole);
    wait_more_lines(&scratch, "a");
    // The log sees its end of file as ever.
    svscan.signal("KILL");
    svscan.wait();
    let logger = supervise_of(&scratch, "a/log");
    svc(&scratch, "-dx", "scan/a");
    svc(&scratch, "-x", "scan/a/log");
    wait_until("the log has ended", || !is_alive(logger));
    lines(&scratch, "a");
    assert_eq!(scratch.read("svscan.err"), "");
}

/// As in a container: the supervises have no more rights than svscan.
#[test]
fn without_the_right_to_trace_processes_the_pipes_are_found_all_the_same() {
    let test = "a killed svscan without CAP_SYS_PTRACE";
    if !is_root(test) || !has(test, &["setpriv"]) {
        return;
    }
    let scratch = Scratch::new();
    numbers(&scratch, "scan/a");
    let start = || {
        let mut command = scratch.command(Suite::Ours, "setpriv");
        let capability = "-sys_ptrace";
        command.args(["--bounding-set", capability, "--inh-caps", capability]);
        command.arg(Suite::Ours.program("svscan")).arg("scan");
        scratch.start(command, "svscan")
    };
    let mut first = start();
    let whole = pipe(scratch.wait_up("scan/a"), 1);
    wait_until("lines arrive", || lines(&scratch, "a") > 2);
    first.signal("KILL");
    first.wait();
    let _second = start();
    replace_both(&scratch, &whole);
    wait_more_lines(&scratch, "a");
}

#[test]
fn the_supervises_of_0_76_are_found_too() {
    let scratch = Scratch::new();
    numbers(&scratch, "scan/a");
    scratch.mkdir("scan");
    let mut theirs = scratch.daemon(Suite::Reference, "svscan", &["scan"], "theirs");
    let service = scratch.wait_up("scan/a");
    let whole = pipe(service, 1);
    wait_until("lines arrive", || lines(&scratch, "a") > 2);
    let supervises = children(theirs.pid());
    assert_eq!(supervises.len(), 2);
    theirs.signal("KILL");
    theirs.wait();
    let ours = start(&scratch, &["a", "a/log"]);
    assert_eq!(children(ours.pid()), [0; 0]);
    // Both are replaced by ours, which go on with the same pipe.
    for (name, fd) in [("a", 1), ("a/log", 0)] {
        svc(&scratch, "-dx", &format!("scan/{name}"));
        assert_eq!(pipe(supervise_of(&scratch, name), fd), whole);
        scratch.wait_up(&format!("scan/{name}"));
    }
    assert!(supervises.iter().all(|pid| !is_alive(*pid)));
    wait_more_lines(&scratch, "a");
    assert_eq!(scratch.read("svscan.err"), "");
}

/// Without PIDFD_GET_INFO, as before Linux 6.15, the end of an adopted service is known from
/// svscan, which is the parent by then.
#[test]
fn svscan_notes_how_the_service_of_a_killed_supervise_ends() {
    if !has("svscan notes ends", &["strace"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("scan/a", "echo $$ >> pids; read code < gate; exit $code");
    shell(&scratch, "mkfifo scan/a/gate");
    let mut command = scratch.command(Suite::Ours, "strace");
    command.args(["-f", "-qq", "-o", "trace", "-e", "trace=ioctl"]);
    // Everybody's: no test of a terminal succeeds here, either.
    command.args(["-e", "inject=ioctl:error=ENOTTY"]);
    command.arg(Suite::Ours.program("svscan")).arg("scan");
    let mut strace = scratch.start(command, "svscan");
    let mut pid = 0;
    for (code, is_stopped) in [(3, false), (4, true)] {
        wait_until("it is up again", || {
            let new = scratch.pid("scan/a");
            new.is_some_and(|new| new != std::mem::replace(&mut pid, new))
        });
        let old = supervise_of(&scratch, "a");
        if is_stopped {
            // Both are dead when svscan looks.
            let svscan = children(strace.pid())[0];
            signal(svscan, "STOP");
            kill(old);
            scratch.write("scan/a/gate", format!("{code}\n"));
            wait_until("the service has ended", || !is_alive(pid));
            signal(svscan, "CONT");
        } else {
            kill(old);
            wait_until("there is another supervise", || {
                let new = scratch.state("scan/a", "supervise");
                new.is_some_and(|new| new != old.to_string())
            });
            assert_eq!(scratch.wait_up("scan/a"), pid);
            scratch.write("scan/a/gate", format!("{code}\n"));
        }
        wait_until("its end is known", || {
            scratch.state("scan/a", "ended-pid") == Some(pid.to_string())
        });
        let known = scratch.state("scan/a", "ended-exit");
        assert_eq!(known, Some(code.to_string()));
    }
    svc(&scratch, "-dx", "scan/a");
    strace.signal("KILL");
    strace.wait();
}

/// The service was started without a log, so its stdout is that of svscan: a pipe.
#[test]
fn a_log_that_was_added_does_not_read_from_the_pipe_that_svscan_writes_to() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    let start = || {
        let mut command = scratch.command(Suite::Ours, "sh");
        command.args(["-c", "svscan scan 2>&1 | cat > printed"]);
        let shell = scratch.start(command, "svscan");
        let is_svscan = |pid: &u32| {
            super::words(*pid)
                .first()
                .is_some_and(|word| word == "svscan")
        };
        let found = || children(shell.pid()).into_iter().find(is_svscan);
        wait_until("svscan runs", || found().is_some());
        let svscan = found().unwrap();
        (shell, svscan)
    };
    let (_first, old) = start();
    let main = scratch.wait_up("scan/a");
    scratch.service("scan/a/log", "exec cat > got");
    kill(old);
    let (_second, svscan) = start();
    let logger = scratch.wait_up("scan/a/log");
    let read = pipe(supervise_of(&scratch, "a/log"), 0);
    assert_ne!(read, pipe(main, 1));
    // A restart connects the two.
    let supervise = supervise_of(&scratch, "a");
    svc(&scratch, "-dx", "scan/a");
    wait_until("it is replaced", || {
        !is_alive(supervise) && supervise_of(&scratch, "a") != supervise
    });
    assert_eq!(pipe(scratch.wait_up("scan/a"), 1), read);
    assert_eq!(scratch.wait_up("scan/a/log"), logger);
    svc(&scratch, "-dx", "scan/a");
    svc(&scratch, "-dx", "scan/a/log");
    kill(svscan);
}

/// As it is where svscan has started the supervise.
#[test]
fn a_directory_made_in_place_of_one_whose_found_supervise_has_just_ended_is_a_new_one() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    scratch.service("template", WAITS);
    scratch.service("template/log", "exec cat >> got");
    scratch.write("template/down", "");
    let first = svscan(&scratch);
    scratch.wait_up("scan/a");
    let second = replace(&scratch, first, &["a"]);
    second.signal("STOP");
    svc(&scratch, "-dx", "scan/a");
    wait_until("supervise has ended", || {
        scratch.svstat("scan/a") == "supervise not running"
    });
    shell(&scratch, "rm -r scan/a; cp -r template scan/a");
    second.signal("CONT");
    scratch.wait_supervised("scan/a/log");
    assert_eq!(scratch.pid("scan/a"), None);
}

#[test]
fn a_timeline_tells_that_a_supervise_was_found_and_not_forked() {
    let scratch = Scratch::new();
    scratch.service("scan/a", WAITS);
    let mut first = svscan(&scratch);
    scratch.wait_up("scan/a");
    first.signal("KILL");
    first.wait();
    let words = ["--timeline", "times", "scan"];
    let _second = scratch.daemon(Suite::Ours, "svscan", &words, "svscan");
    wait_until("all are found", || {
        scratch.read("times").contains("scanned ")
    });
    let times = scratch.read("times");
    assert!(
        times.contains("\nother ") && !times.contains("forked "),
        "{times}"
    );
}

/// Its end of the pipe is open, so that the pipe has a reader, but none that is the logger.
#[test]
fn the_pipe_is_found_while_the_svscan_before_has_not_ended() {
    let scratch = Scratch::new();
    numbers(&scratch, "scan/a");
    let mut first = svscan(&scratch);
    let whole = pipe(scratch.wait_up("scan/a"), 1);
    wait_more_lines(&scratch, "a");
    first.signal("STOP");
    let logger = scratch.wait_up("scan/a/log");
    let old = supervise_of(&scratch, "a/log");
    for pid in [old, logger] {
        kill(pid);
    }
    let _second = start(&scratch, &["a"]);
    wait_until("there is another supervise", || {
        scratch.state("scan/a/log", "supervise") != Some(old.to_string())
    });
    assert_eq!(pipe(supervise_of(&scratch, "a/log"), 0), whole);
    first.signal("KILL");
    first.wait();
    wait_more_lines(&scratch, "a");
}
