//! `svc --upgrade`: a supervise becomes the program now installed, and its service does not
//! notice.

use crate::harness::{
    Daemon, Output, Scratch, Stranger, Suite, WAITS, command_line, descriptors, finish, is_alive,
    shell, signal, stat, status, svc, wait_until,
};
use daemontools_rs::formats::status::Want;
use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Two builds, of which `programs/supervise` is the first.
fn two_builds(scratch: &Scratch) {
    scratch.mkdir("builds");
    scratch.mkdir("programs");
    let build = fs::read(Suite::Ours.program("supervise")).unwrap();
    for name in ["builds/0", "builds/1"] {
        scratch.executable(name, &build);
    }
    install(scratch, "builds/0", "supervise");
    install(scratch, "builds/0", "svscan");
}

/// Installs a file as dpkg does: the old one is deleted, though it runs.
fn install(scratch: &Scratch, file: &str, name: &str) {
    let new = scratch.at("programs/new");
    fs::hard_link(scratch.at(file), &new).unwrap();
    fs::rename(&new, scratch.at("programs").join(name)).unwrap();
    // Two names of one file are not renamed.
    let _ = fs::remove_file(new);
}

/// Installs a script as `programs/supervise`. REAL is a build.
fn install_script(scratch: &Scratch, script: &str) {
    scratch.mkdir("real");
    let real = scratch.at("real/supervise");
    let _ = fs::hard_link(scratch.at("builds/1"), &real);
    scratch.script("script", &script.replace("REAL", real.to_str().unwrap()));
    install(scratch, "script", "supervise");
    fs::remove_file(scratch.at("script")).unwrap();
}

/// Whether the process `pid` runs this build.
fn runs(scratch: &Scratch, pid: u32, build: &str) -> bool {
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    inode(Path::new(&format!("/proc/{pid}/exe"))) == inode(&scratch.at(build))
}

fn svscan(scratch: &Scratch) -> Daemon {
    scratch.mkdir("service");
    let command = {
        let mut command = scratch.command(Suite::Ours, scratch.at("programs/svscan"));
        command.arg("service");
        command
    };
    scratch.start(command, "svscan")
}

/// Starts the supervise of `name`, without svscan.
fn supervise(scratch: &Scratch, name: &str) -> Daemon {
    let mut command = scratch.command(Suite::Ours, scratch.at("programs/supervise"));
    command.arg(name);
    let daemon = scratch.start(command, "supervise");
    scratch.wait_supervised(name);
    daemon
}

fn upgrade(scratch: &Scratch, names: &[&str]) -> Output {
    scratch.run(Suite::Ours, "svc", &[&["--upgrade"], names].concat())
}

#[track_caller]
fn upgraded(scratch: &Scratch, names: &[&str]) {
    let output = upgrade(scratch, names);
    assert_eq!((output.code, output.errors().as_str()), (0, ""));
}

/// Asserts that nothing was upgraded, with this message.
#[track_caller]
fn refused(output: &Output, message: &str) {
    let expected = format!("svc: warning: {message}\n");
    assert_eq!((output.code, output.errors()), (1, expected));
}

fn parent(pid: u32) -> u32 {
    stat(pid)[1].parse().unwrap()
}

/// What the record of `name` says of these keys.
fn said<const N: usize>(scratch: &Scratch, name: &str, keys: [&str; N]) -> [String; N] {
    keys.map(|key| scratch.state(name, key).unwrap_or_default())
}

/// What an upgrade does not change.
const KEPT: [&str; 16] = [
    "child",
    "boot",
    "namespace",
    "supervise",
    "svscan",
    "svscan-start",
    "tree",
    "tree-start",
    "directory",
    "phase",
    "want",
    "pid",
    "start",
    "since",
    "paused",
    "leaving",
];

/// What the processes, the status and the record of `name` are, all but counts.
fn everything(scratch: &Scratch, name: &str) -> (Vec<u8>, [String; 16], Vec<u8>) {
    let status = status(scratch, name).encode().to_vec();
    let supervise = scratch.state(name, "supervise").unwrap();
    let line = command_line(supervise.parse().unwrap());
    (status, said(scratch, name, KEPT), line)
}

const COUNTS: &str = "i=0
while :; do
    i=$((i + 1))
    echo $i
    sleep 0.01
done";

#[test]
fn a_service_and_its_log_go_on_under_the_new_program_and_no_line_is_lost() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    scratch.service("service/a", COUNTS);
    scratch.service("service/a/log", "exec cat >>../lines");
    let _svscan = svscan(&scratch);
    let both = ["service/a", "service/a/log"];
    let pids = both.map(|name| scratch.wait_up(name));
    let supervises = pids.map(parent);
    let before = both.map(|name| everything(&scratch, name));
    let name = both.map(|name| name.rsplit('/').next().unwrap());
    for (supervise, name) in supervises.iter().zip(name) {
        let line = format!("supervise\0{name}\0");
        assert_eq!(command_line(*supervise), line.as_bytes());
    }
    let lines = || scratch.read("service/a/lines").lines().count();
    for build in ["builds/1", "builds/0", "builds/1"] {
        let count = lines();
        wait_until("there are more lines", || lines() > count + 5);
        install(&scratch, build, "supervise");
        upgraded(&scratch, &both);
        assert!(supervises.iter().all(|pid| runs(&scratch, *pid, build)));
        for name in ["comm", "oom_score_adj"] {
            let of = |pid: u32| scratch.read(format!("/proc/{pid}/{name}"));
            assert_eq!(of(supervises[0]), of(supervises[1]));
        }
    }
    assert_eq!(both.map(|name| everything(&scratch, name)), before);
    assert_eq!(
        said(&scratch, "service/a", ["upgrades", "upgrades-refused"]),
        ["3", "0"]
    );
    let count = lines();
    wait_until("there are more lines", || lines() > count + 5);
    let lines = scratch.read("service/a/lines");
    for (index, line) in lines.lines().enumerate() {
        assert_eq!(line, (index + 1).to_string());
    }
    assert_eq!(scratch.read("svscan.err"), "");
    // It obeys, as the parent of the service.
    svc(&scratch, "-k", "service/a");
    wait_until("it is started again", || {
        scratch.pid("service/a").is_some_and(|pid| pid != pids[0])
    });
    let ended = said(
        &scratch,
        "service/a",
        ["ended-pid", "ended-signal", "starts"],
    );
    assert_eq!(ended, [pids[0].to_string(), "9".into(), "2".into()]);
    assert_eq!(parent(scratch.wait_up("service/a")), supervises[0]);
}

#[test]
fn every_state_is_continued() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    install(&scratch, "builds/0", "supervise");
    let names = ["up", "paused", "once", "leaving", "down", "ended"];
    let daemons = names.map(|name| {
        scratch.service(name, WAITS);
        let daemon = supervise(&scratch, name);
        scratch.wait_up(name);
        daemon
    });
    let [_up, _paused, _once, mut leaving, _down, _ended] = daemons;
    for (name, command) in [
        ("paused", "-p"),
        ("once", "-o"),
        ("leaving", "-x"),
        ("down", "-d"),
        ("ended", "-ok"),
    ] {
        svc(&scratch, command, name);
    }
    for name in ["down", "ended"] {
        scratch.wait_down(name);
    }
    wait_until("x is obeyed", || {
        scratch.state("leaving", "leaving") == Some("yes".to_owned())
    });
    wait_until("p and o are obeyed", || {
        status(&scratch, "paused").paused && status(&scratch, "once").want == Want::Once
    });
    let before = names.map(|name| everything(&scratch, name));
    let ended = said(&scratch, "ended", ["ended-pid", "ended-signal", "ended-at"]);
    for build in ["builds/1", "builds/0"] {
        install(&scratch, build, "supervise");
        upgraded(&scratch, &names);
        for name in names {
            let supervise = scratch.state(name, "supervise").unwrap();
            assert!(runs(&scratch, supervise.parse().unwrap(), build));
        }
    }
    assert_eq!(names.map(|name| everything(&scratch, name)), before);
    assert_eq!(
        said(&scratch, "ended", ["ended-pid", "ended-signal", "ended-at"]),
        ended
    );
    assert_eq!(ended[1], "9");
    let paused = scratch.wait_up("paused");
    assert_eq!(stat(paused)[0], "T");
    svc(&scratch, "-c", "paused");
    wait_until("it is continued", || stat(paused)[0] == "S");
    svc(&scratch, "-t", "once");
    scratch.wait_down("once");
    svc(&scratch, "-u", "down");
    scratch.wait_up("down");
    svc(&scratch, "-t", "leaving");
    assert_eq!(leaving.wait(), 0);
    assert_eq!(scratch.read("supervise.err"), "");
}

#[test]
fn an_adopted_service_stays_adopted_and_its_end_is_noticed() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    scratch.service("a", WAITS);
    let mut first = supervise(&scratch, "a");
    let pid = scratch.wait_up("a");
    first.signal("KILL");
    first.wait();
    let second = supervise(&scratch, "a");
    let before = everything(&scratch, "a");
    let open = descriptors(second.pid());
    install(&scratch, "builds/1", "supervise");
    for _ in 0..3 {
        upgraded(&scratch, &["a"]);
    }
    assert_eq!(everything(&scratch, "a"), before);
    assert_eq!(descriptors(second.pid()).len(), open.len());
    assert_ne!(parent(pid), second.pid());
    signal(pid, "KILL");
    wait_until("it is started again", || {
        scratch.pid("a").is_some_and(|its| its != pid)
    });
    assert_eq!(parent(scratch.wait_up("a")), second.pid());
    assert_eq!(scratch.state("a", "ended-pid"), Some(pid.to_string()));
}

#[test]
fn what_happens_during_the_exec_is_not_lost() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    let run = "echo $$ >>starts; trap 'exit 7' TERM; trap 'echo >>heard' HUP
        test -e first && { touch ready; while :; do sleep 0.01; done; }
        touch first; while :; do sleep 0.01; done";
    scratch.service("a", run);
    let supervise = supervise(&scratch, "a");
    let pid = scratch.wait_up("a");
    wait_until("it has begun", || scratch.at("a/first").exists());
    // Between the two programs the service ends, and commands arrive for its successor. A shell
    // that starts a process would reap the service, too.
    let script = format!(
        "case $2 in
        *:?*)
            kill {pid}
            until test \"$ended\"; do
                while read -r key state; do
                    case $key$state in State:Z*) ended=yes;; esac
                done </proc/{pid}/status
            done
            printf oh >supervise/control;;
        esac
        exec REAL \"$@\""
    );
    install_script(&scratch, &script);
    upgraded(&scratch, &["a"]);
    assert!(runs(&scratch, supervise.pid(), "builds/1"));
    wait_until("it is started again", || scratch.at("a/ready").exists());
    let ended = said(&scratch, "a", ["ended-pid", "ended-exit", "starts"]);
    assert_eq!(ended, [pid.to_string(), "7".into(), "2".into()]);
    wait_until("o is obeyed", || status(&scratch, "a").want == Want::Once);
    assert_eq!(scratch.read("a/starts").lines().count(), 2);
}

#[test]
fn a_service_that_ends_again_and_again_is_upgraded_and_started_once_a_second() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    scratch.service("a", "cut -d' ' -f22 /proc/$$/stat >>starts; exit 3");
    let supervise = supervise(&scratch, "a");
    let open = descriptors(supervise.pid());
    let starts = || -> Vec<u64> {
        let starts = scratch.read("a/starts");
        starts.lines().map(|start| start.parse().unwrap()).collect()
    };
    let mut count = 0;
    while starts().len() < 4 {
        install(&scratch, &format!("builds/{}", count % 2), "supervise");
        upgraded(&scratch, &["a"]);
        count += 1;
        if scratch.state("a", "ended-pid").is_some() {
            assert_eq!(scratch.state("a", "ended-exit"), Some("3".to_owned()));
        }
    }
    assert!(count >= 3);
    for pair in starts().windows(2) {
        assert!(pair[1] - pair[0] >= 99, "{pair:?}");
    }
    assert_eq!(descriptors(supervise.pid()).len(), open.len());
    assert_eq!(scratch.state("a", "upgrades"), Some(count.to_string()));
}

/// The memory that a process alone has written to, in KiB.
fn private(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let lines = rollup
        .lines()
        .filter(|line| line.starts_with("Private_Dirty"));
    let number = |line: &str| -> u64 {
        let word = line.split_ascii_whitespace().nth(1);
        word.unwrap().parse().unwrap()
    };
    lines.map(number).sum()
}

#[test]
fn after_fifty_upgrades_it_has_as_many_descriptors_and_as_much_memory_as_after_one() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    scratch.service(
        "a",
        "ls -l /proc/$$/fd >fds; sed -n 's/.* -> //p' fds >>open; exec sleep 1000",
    );
    let supervise = supervise(&scratch, "a");
    let pid = scratch.wait_up("a");
    let open = |pid: u32| -> Vec<String> {
        let numbers = descriptors(pid).into_iter();
        let links = numbers.map(|fd| fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap());
        let mut links: Vec<_> = links.map(|link| link.display().to_string()).collect();
        links.sort();
        links
    };
    let before = open(supervise.pid());
    upgraded(&scratch, &["a"]);
    let memory = private(supervise.pid());
    for count in 1..50 {
        install(&scratch, &format!("builds/{}", count % 2), "supervise");
        upgraded(&scratch, &["a"]);
    }
    assert_eq!(open(supervise.pid()), before);
    assert_eq!((scratch.wait_up("a"), parent(pid)), (pid, supervise.pid()));
    let later = private(supervise.pid());
    assert!(later <= memory + 40, "{memory} {later}");
    // The service gets no more than before, either.
    wait_until("it has told", || scratch.read("a/open").lines().count() > 2);
    let first = scratch.read("a/open");
    svc(&scratch, "-t", "a");
    wait_until("it has told again", || {
        scratch.read("a/open").lines().count() >= 2 * first.lines().count()
    });
    assert_eq!(scratch.read("a/open"), [first.as_str(), &first].concat());
}

#[test]
fn after_an_upgrade_a_service_may_signal_its_group_and_its_oom_score_is_the_inherited_one() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    let run = "cat /proc/self/oom_score_adj >>scores; read go <go; kill -TERM 0; exec sleep 1000";
    scratch.service("service/a", run);
    shell(&scratch, "mkfifo service/a/go");
    let mut command = scratch.command(Suite::Ours, "setsid");
    command.arg(scratch.at("programs/svscan")).arg("service");
    let _svscan = scratch.start(command, "svscan");
    let pid = scratch.wait_up("service/a");
    let supervise = parent(pid);
    let score = scratch.read(format!("/proc/{supervise}/oom_score_adj"));
    install(&scratch, "builds/1", "supervise");
    upgraded(&scratch, &["service/a"]);
    assert_eq!(
        scratch.read(format!("/proc/{supervise}/oom_score_adj")),
        score
    );
    let starts = || scratch.read("service/a/scores").lines().count();
    for count in 1..3 {
        shell(&scratch, "echo >service/a/go");
        wait_until("it is started again", || starts() > count);
        assert_eq!(parent(scratch.wait_up("service/a")), supervise);
    }
    let scores = scratch.read("service/a/scores");
    assert!(
        scores
            .lines()
            .all(|score| Some(score) == scores.lines().next())
    );
    // Another's signal ends it.
    signal(supervise, "TERM");
    wait_until("there is another", || !is_alive(supervise));
}

#[test]
fn a_program_that_cannot_take_over_is_not_executed_and_all_is_as_before() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    scratch.service("a", WAITS);
    let supervise = supervise(&scratch, "a");
    scratch.wait_up("a");
    let program = scratch.at("programs/supervise");
    let program = program.to_str().unwrap();
    let before = everything(&scratch, "a");
    let open = descriptors(supervise.pid());
    let refuses = |why: &str| {
        refused(
            &upgrade(&scratch, &["a"]),
            &format!("unable to upgrade a: {why}"),
        );
    };
    let cannot_start = |why: &str| refuses(&format!("unable to start {program}: {why}"));
    fs::remove_file(program).unwrap();
    cannot_start("file does not exist");
    scratch.write("programs/supervise", "no program");
    cannot_start("access denied");
    scratch.executable("programs/supervise", "\x7fELF, no program");
    cannot_start("exec format error");
    let cannot = format!("{program} cannot take over from it");
    for script in [
        "exit 0",
        "echo resumes 1; echo; exec sleep 1000",
        "exec sleep 1000",
        "exec sleep 1000 >/dev/null",
        // A later one, which has forgotten this format.
        "test \"$1\" = /dev/null/2: && echo resumes 2",
    ] {
        install_script(&scratch, script);
        refuses(&cannot);
    }
    if let Ok(old) = fs::read("/usr/bin/supervise") {
        scratch.executable("script", old);
        install(&scratch, "script", "supervise");
        refuses(&cannot);
    }
    // Nothing was sent.
    assert_eq!(
        said(&scratch, "a", ["commands", "upgrades-refused"]),
        ["0", "0"]
    );
    assert_eq!(everything(&scratch, "a"), before);
    // Even what was sent harms only if the program is executed.
    fs::remove_file(program).unwrap();
    shell(&scratch, "printf '^^' >a/supervise/control");
    let refusals = || scratch.state("a", "upgrades-refused");
    wait_until("it is refused", || refusals() == Some("1".to_owned()));
    let errors =
        format!("supervise: warning: unable to upgrade a: {program}: file does not exist\n");
    wait_until("it has said why", || {
        scratch.read("supervise.err") == errors
    });
    assert_eq!(everything(&scratch, "a"), before);
    assert_eq!(descriptors(supervise.pid()), open);
    install(&scratch, "builds/1", "supervise");
    upgraded(&scratch, &["a", "a"]);
    assert_eq!(everything(&scratch, "a"), before);
    assert_eq!(
        said(&scratch, "a", ["upgrades", "upgrades-refused"]),
        ["2", "1"]
    );
    assert!(runs(&scratch, supervise.pid(), "builds/1"));
}

#[test]
fn a_new_program_that_dies_at_once_is_replaced_by_one_that_adopts_the_service() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    scratch.service("service/a", WAITS);
    let _svscan = svscan(&scratch);
    let pid = scratch.wait_up("service/a");
    let supervise = parent(pid);
    install_script(
        &scratch,
        "case $2 in
        *:?*) ln -f REAL ../../programs/supervise; kill -KILL $$;;
        esac
        exec REAL \"$@\"",
    );
    let output = upgrade(&scratch, &["service/a"]);
    refused(
        &output,
        "unable to upgrade service/a: its supervise has ended",
    );
    assert!(!is_alive(supervise) && is_alive(pid));
    assert_eq!(scratch.pid("service/a"), Some(pid));
    upgraded(&scratch, &["service/a"]);
    // Descriptors that are not there are noticed, too.
    install_script(
        &scratch,
        "case $2 in
        *:?*) ln -f REAL ../../programs/supervise; exec REAL \"$1\" 1:100,200;;
        esac
        exec REAL \"$@\"",
    );
    let output = upgrade(&scratch, &["service/a"]);
    refused(
        &output,
        "unable to upgrade service/a: its supervise has ended",
    );
    assert_eq!(scratch.pid("service/a"), Some(pid));
    let errors = "supervise: fatal: unable to take over a: invalid argument\n";
    assert_eq!(scratch.read("svscan.err"), errors);
}

/// Whether nothing is in the FIFO of `name`, whose supervise is stopped.
fn nothing_was_sent(scratch: &Scratch, name: &str) -> bool {
    let fifo = fs::OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(scratch.at(name).join("supervise/control"));
    let read = std::io::Read::read(&mut fifo.unwrap(), &mut [0]);
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn a_version_that_cannot_be_upgraded_is_sent_nothing() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    let version = |name| format!("{name} runs a version that cannot be upgraded in place");
    // Where a path is too long for the record, it has none.
    let deep = format!("{0}/{0}", "d".repeat(150));
    scratch.mkdir(&deep);
    fs::hard_link(scratch.at("builds/0"), scratch.at(&deep).join("supervise")).unwrap();
    scratch.service("long", WAITS);
    let mut command = scratch.command(Suite::Ours, scratch.at(deep).join("supervise"));
    command.arg("long");
    let supervise = scratch.start(command, "long");
    scratch.wait_up("long");
    supervise.signal("STOP");
    refused(&upgrade(&scratch, &["long"]), &version("long"));
    assert!(nothing_was_sent(&scratch, "long"));
    if Path::new("/usr/bin/supervise").exists() {
        // Beside a record of ours, too.
        scratch.service("old", WAITS);
        svc_ends(&scratch, "old");
        let old = scratch.daemon(Suite::Reference, "supervise", &["old"], "old");
        scratch.wait_up("old");
        old.signal("STOP");
        refused(&upgrade(&scratch, &["old"]), &version("old"));
        assert!(nothing_was_sent(&scratch, "old"));
    }
    scratch.service("never", WAITS);
    let output = upgrade(&scratch, &["never"]);
    refused(&output, "unable to control never: file does not exist");
    svc_ends(&scratch, "never");
    let output = upgrade(&scratch, &["never"]);
    refused(&output, "unable to control never: supervise not running");
    // The others are upgraded all the same.
    scratch.service("a", WAITS);
    let _supervise = self::supervise(&scratch, "a");
    let output = upgrade(&scratch, &["long", "a"]);
    refused(&output, &version("long"));
    assert_eq!(scratch.state("a", "upgrades"), Some("1".to_owned()));
    let none: [&str; 0] = [];
    upgraded(&scratch, &none);
}

/// Has a supervise of ours run on `name`, and exit.
fn svc_ends(scratch: &Scratch, name: &str) {
    let mut supervise = supervise(scratch, name);
    svc(scratch, "-dx", name);
    supervise.wait();
}

#[test]
fn root_executes_no_program_that_the_record_of_another_user_names() {
    let scratch = Scratch::new();
    let Some(stranger) = Stranger::new("the program in another user's record", &scratch) else {
        return;
    };
    scratch.service("a", WAITS);
    stranger.owns(&scratch, "a");
    let mut command = stranger.command(&scratch, "supervise");
    command.arg("a");
    let _supervise = scratch.start(command, "supervise");
    scratch.wait_up("a");
    let output = upgrade(&scratch, &["a"]);
    refused(&output, "unable to upgrade a: it belongs to another user");
    let mut own = stranger.command(&scratch, "svc");
    own.args(["--upgrade", "a"]);
    let output = finish(own);
    assert_eq!((output.code, output.errors().as_str()), (0, ""));
}

#[test]
fn a_supervise_that_waits_for_another_is_not_upgraded() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    scratch.service("service/a", "trap '' TERM; while :; do sleep 0.1; done");
    let _svscan = svscan(&scratch);
    let old = scratch.wait_up("service/a");
    shell(
        &scratch,
        "cp -r service/a new; rm -rf new/supervise service/a; mv new service/a",
    );
    scratch.wait_supervised("service/a");
    install(&scratch, "builds/1", "supervise");
    let output = upgrade(&scratch, &["service/a"]);
    refused(
        &output,
        "unable to upgrade service/a: its supervise has printed why",
    );
    let why = "supervise: warning: unable to upgrade a: it waits for another supervise to end\n";
    assert!(scratch.read("svscan.err").contains(why));
    signal(old, "KILL");
    scratch.wait_up("service/a");
    wait_until("the other has ended", || {
        upgrade(&scratch, &["service/a"]).code == 0
    });
}

/// Runs `svscanboot --upgrade` of the programs that are installed.
fn upgrade_tree(scratch: &Scratch) -> Output {
    install(scratch, "builds/1", "svscanboot");
    let mut command = scratch.command(Suite::Ours, scratch.at("programs/svscanboot"));
    command.args(["--upgrade", "service"]);
    finish(command)
}

#[test]
fn a_whole_tree_goes_on_under_the_new_programs_and_svscan_starts_nothing_anew() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    scratch.service("service/a", COUNTS);
    scratch.service("service/a/log", "exec cat >>../lines");
    scratch.service("service/b", WAITS);
    scratch.write("service/never", "no directory");
    let svscan = svscan(&scratch);
    let names = ["service/a", "service/a/log", "service/b"];
    let pids = names.map(|name| scratch.wait_up(name));
    let before = names.map(|name| everything(&scratch, name));
    let line = command_line(svscan.pid());
    for name in ["supervise", "svscan"] {
        install(&scratch, "builds/1", name);
    }
    let output = upgrade_tree(&scratch);
    assert_eq!(
        output.text(),
        "svscanboot: 4 upgraded, 0 not\n",
        "{output:?}"
    );
    assert_eq!((output.code, output.errors().as_str()), (0, ""));
    assert!(runs(&scratch, svscan.pid(), "builds/1"));
    assert_eq!(command_line(svscan.pid()), line);
    let lines = || scratch.read("service/a/lines").lines().count();
    let go_on = || {
        let count = lines();
        wait_until("there are more lines", || lines() > count + 5);
    };
    go_on();
    assert_eq!(names.map(|name| everything(&scratch, name)), before);
    // It is the parent of the supervises, and has the pipe of the pair.
    for (name, pid) in names.into_iter().zip(pids) {
        let supervise = parent(pid);
        assert_eq!(parent(supervise), svscan.pid());
        signal(supervise, "KILL");
        wait_until("there is another supervise", || {
            let next = scratch.state(name, "supervise").unwrap();
            next != supervise.to_string() && parent(next.parse().unwrap()) == svscan.pid()
        });
        assert_eq!(scratch.wait_up(name), pid);
    }
    go_on();
    signal(pids[1], "KILL");
    wait_until("the log is started again", || {
        scratch
            .pid("service/a/log")
            .is_some_and(|pid| pid != pids[1])
    });
    go_on();
    for (index, line) in scratch.read("service/a/lines").lines().enumerate() {
        assert_eq!(line, (index + 1).to_string());
    }
    // Entries are noticed as before.
    scratch.service("new", WAITS);
    fs::rename(scratch.at("new"), scratch.at("service/new")).unwrap();
    scratch.wait_up("service/new");
    assert_eq!(scratch.read("svscan.err"), "");
    // What runs the installed program is not executed again.
    assert_eq!(
        upgrade_tree(&scratch).text(),
        "svscanboot: 5 upgraded, 0 not\n"
    );
}

#[test]
fn an_svscan_that_cannot_be_upgraded_goes_on() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    let mut svscan = svscan(&scratch);
    scratch.service("service/a", WAITS);
    scratch.wait_up("service/a");
    install_script(&scratch, "exec sleep 1000 >/dev/null");
    fs::rename(
        scratch.at("programs/supervise"),
        scratch.at("programs/svscan"),
    )
    .unwrap();
    install(&scratch, "builds/1", "supervise");
    let output = upgrade_tree(&scratch);
    let program = scratch.at("programs/svscan");
    let program = program.to_str().unwrap();
    let why = format!("{program} cannot take over from it");
    let expected = format!("svscanboot: warning: unable to upgrade svscan: {why}\n");
    assert_eq!((output.code, output.errors()), (1, expected));
    assert_eq!(output.text(), "svscanboot: 1 upgraded, 1 not\n");
    assert_eq!(scratch.read("svscan.err"), "");
    fs::remove_file(program).unwrap();
    svscan.signal("USR2");
    let why = "svscan: warning: unable to upgrade: file does not exist\n";
    wait_until("it has said why", || scratch.read("svscan.err") == why);
    scratch.service("new", WAITS);
    fs::rename(scratch.at("new"), scratch.at("service/new")).unwrap();
    scratch.wait_up("service/new");
    assert!(svscan.runs());
}

#[test]
fn another_svscan_is_sent_nothing() {
    let scratch = Scratch::new();
    two_builds(&scratch);
    if !Path::new("/usr/bin/svscan").exists() {
        return;
    }
    scratch.service("service/a", WAITS);
    let mut svscan = scratch.daemon(Suite::Reference, "svscan", &["service"], "svscan");
    scratch.wait_up("service/a");
    let output = upgrade_tree(&scratch);
    let version = "runs a version that cannot be upgraded in place";
    let expected = format!(
        "svscanboot: warning: service/a {version}\nsvscanboot: warning: svscan {version}\n"
    );
    assert_eq!((output.code, output.errors()), (1, expected));
    assert!(svscan.runs() && scratch.pid("service/a").is_some());
}
