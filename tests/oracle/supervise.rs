//! supervise: every command in every state, the files it keeps, its errors at
//! the start, programs that cannot be run, what a service gets, and signals.

use super::compare;
use super::stage::{RECORDER, Stage, open_fifo, stubborn};
use crate::harness::{has, is_alive, signal, wait_until};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A state of a service: whether it is normally down, whether it is unwilling to go
/// down, and the commands that lead there.
pub(super) type State = (bool, bool, &'static [&'static str]);

/// What a command does in a state.
pub(super) fn command(letter: &'static str, state: State) -> impl Fn(&mut Stage) {
    move |stage| {
        let (is_normally_down, is_stubborn, steps) = state;
        if is_stubborn {
            begin(stage, is_normally_down, &stubborn());
        } else {
            begin(stage, is_normally_down, RECORDER);
        }
        // What follows shows what is not in the status.
        for step in steps.iter().copied().chain([letter, "c", "k"]) {
            stage.svc(step);
        }
        stage.files("s/supervise");
        stage.tell_errors();
    }
}

/// Every command in each of these states.
macro_rules! every_command {
    ($($state:ident $value:expr;)+) => {$(
        mod $state {
            use super::*;
            fn gets(letter: &'static str) -> impl Fn(&mut Stage) {
                command(letter, $value)
            }
            situations! { gets
                u("u");
                d("d");
                o("o");
                p("p");
                c("c");
                h("h");
                a("a");
                i("i");
                t("t");
                k("k");
                x("x");
            }
        }
    )+};
}

/// Commands after one another, each given when the last has had its effect.
pub(super) fn sequence(is_normally_down: bool, steps: &'static [&str]) -> impl Fn(&mut Stage) {
    move |stage| {
        begin(stage, is_normally_down, RECORDER);
        for step in steps {
            stage.svc(step);
        }
    }
}

/// What commands do, by the `compare` of the module this is in.
macro_rules! commands {
    () => {
        every_command! {
            down (true, false, &[]);
            up (false, false, &[]);
            paused (false, false, &["p"]);
            up_once (true, false, &["o"]);
            leaving (false, false, &["x"]);
            leaving_and_paused (false, false, &["px"]);
            leaving_and_up_once (true, false, &["o", "x"]);
            down_again (false, false, &["d"]);
            up_and_unwilling_to_go_down (false, true, &[]);
            paused_and_unwilling_to_go_down (false, true, &["p"]);
            up_but_wanted_down (false, true, &["d"]);
        }

        situations! { sequence
            down_and_up_in_one_write_starts_it_again(false, &["du"]);
            up_and_down_in_one_write_stops_it(false, &["ud"]);
            kill_and_up_in_one_write_starts_it_again(false, &["ku"]);
            up_and_once_in_one_write_starts_it_once(true, &["uo", "k"]);
            once_and_up_in_one_write_starts_it_for_good(true, &["ou", "k"]);
            pause_and_continue_in_one_write(false, &["pc"]);
            pause_and_down_in_one_write(false, &["pd"]);
            a_paused_service_is_terminated_when_it_continues(false, &["p", "t", "c"]);
            a_paused_service_gets_all_its_signals_when_it_continues(
                false,
                &["p", "h", "i", "a", "c"],
            );
            signals_come_in_the_order_they_were_sent(false, &["hia"]);
            a_service_that_runs_once_may_be_told_to_stay_up(true, &["o", "u", "k", "d"]);
            a_service_that_is_up_may_be_told_to_run_once(false, &["o", "t", "u", "o", "k"]);
            a_service_may_be_started_once_again_and_again(true, &["o", "k", "o", "k", "o", "k"]);
            exit_cannot_be_taken_back(false, &["x", "u", "k"]);
            down_and_exit_in_one_write(false, &["dx"]);
            exit_and_down_in_one_write(false, &["xd"]);
            exit_on_a_service_that_is_down_leaves_the_rest_unread(true, &["xu"]);
            up_and_exit_in_one_write_starts_it_once_more(true, &["ux", "k"]);
        }

        #[test]
        fn does_not_mind_unknown_commands() {
            compare(|stage| {
                begin(stage, false, RECORDER);
                let known = |byte: &u8| b"udopchaitkx12qw".contains(byte);
                let bytes: Vec<u8> = (0..=255).filter(|byte| !known(byte)).collect();
                stage.send(&bytes);
                stage.send(b"z\nh\0i");
            });
        }

        #[test]
        fn obeys_a_command_that_waits_for_it() {
            compare(|stage| {
                stage.service(RECORDER);
                stage.sh("touch s/down; mkdir s/supervise; mkfifo s/supervise/control");
                let path = stage.scratch.at("s/supervise/control");
                let mut options = std::fs::OpenOptions::new();
                let mut fifo = options.read(true).write(true).open(path).unwrap();
                fifo.write_all(b"u").unwrap();
                stage.supervise();
                stage.wait_file("s/record", "start", 1);
                stage.settle();
                stage.look();
            });
        }
    };
}

commands! {}
pub(super) use {commands, every_command};

#[test]
fn obeys_a_control_that_is_a_plain_file() {
    compare(|stage| {
        stage.service(RECORDER);
        stage.sh("mkdir s/supervise; touch s/down; printf zx >s/supervise/control");
        stage.start("supervise", &["s"]);
        stage.ends();
        // Not the errors: ours says that it is no FIFO.
        stage.files("s/supervise");
    });
}

/// A broken start: what is prepared by a shell in the scratch directory, which has the
/// service `s`, and what supervise is given.
fn given(script: &'static str, words: &'static [&str]) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.service(RECORDER);
        stage.sh(script);
        stage.run("supervise", words);
        stage.files("s");
        if stage.scratch.at("s/supervise").is_dir() {
            stage.files("s/supervise");
        }
    }
}

situations! { given
    no_argument("", &[]);
    two_arguments("", &["s", "s"]);
    an_option_which_is_a_directory("", &["-x"]);
    two_dashes_and_a_directory("", &["--", "s"]);
    a_long_option_which_is_a_directory("", &["--help"]);
    the_empty_name("", &[""]);
    a_directory_that_is_not_there("", &["missing"]);
    a_plain_file("", &["s/run"]);
    a_dangling_link("ln -s gone dangling", &["dangling"]);
    a_loop_of_links("ln -s circle circle", &["circle"]);
    a_directory_in_which_nothing_can_be_made("", &["/proc"]);
    another_directory_in_which_nothing_can_be_made("", &["/proc/self/fd"]);
    down_is_a_loop_of_links("ln -s down s/down", &["s"]);
    down_is_a_link_through_a_file("ln -s run/down s/down", &["s"]);
    supervise_is_a_plain_file("touch s/supervise", &["s"]);
    supervise_is_a_link_to_a_plain_file("ln -s run s/supervise", &["s"]);
    supervise_is_a_loop_of_links("ln -s supervise s/supervise", &["s"]);
    supervise_is_a_link_through_nothing("ln -s gone/gone s/supervise", &["s"]);
    supervise_is_a_link_through_a_file("ln -s run/gone s/supervise", &["s"]);
    supervise_is_a_fifo("mkfifo s/supervise", &["s"]);
    the_lock_is_a_directory("mkdir -p s/supervise/lock", &["s"]);
    the_lock_is_a_link_through_nothing(
        "mkdir s/supervise; ln -s /gone/lock s/supervise/lock",
        &["s"],
    );
    the_lock_is_a_fifo_nobody_reads("mkdir s/supervise; mkfifo s/supervise/lock", &["s"]);
    control_is_a_directory("mkdir -p s/supervise/control", &["s"]);
    control_is_a_dangling_link("mkdir s/supervise; ln -s gone s/supervise/control", &["s"]);
    ok_is_a_dangling_link("mkdir s/supervise; ln -s gone s/supervise/ok", &["s"]);
    ok_is_a_loop_of_links("mkdir s/supervise; ln -s ok s/supervise/ok", &["s"]);
}

/// A start that goes on: what is prepared, as above.
fn goes_on_though(script: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.service(RECORDER);
        stage.sh(script);
        stage.start("supervise", &["s"]);
        stage.wait_file("s/record", "start", 1);
        // 0.76 listens from then on; without a status nothing else tells.
        stage.run("svc", &["-k", "s"]);
        stage.wait_file("s/record", "start", 2);
        stage.run("svc", &["-dx", "s"]);
        stage.ends();
        stage.tell_errors();
        stage.run("svstat", &["s"]);
        stage.run("svok", &["s"]);
        stage.files(".");
        stage.files("s");
        stage.files("s/supervise");
    }
}

situations! { goes_on_though
    supervise_is_a_link_to_a_directory("mkdir elsewhere; ln -s ../elsewhere s/supervise");
    supervise_is_a_dangling_link("ln -s ../elsewhere s/supervise");
    supervise_is_a_dangling_link_of_a_whole_path("ln -s \"$PWD/elsewhere\" s/supervise");
    supervise_is_there_already("mkdir -m 755 s/supervise; touch s/supervise/old");
    the_fifos_are_there_already(
        "mkdir s/supervise; mkfifo -m 666 s/supervise/control s/supervise/ok",
    );
    a_long_status_is_there_already(
        "mkdir s/supervise; echo much longer than a status >s/supervise/status",
    );
    a_lock_is_there_already("mkdir s/supervise; echo lock >s/supervise/lock");
    a_new_status_was_left_behind(
        "mkdir s/supervise; echo much longer than a status >s/supervise/status.new",
    );
    ok_is_a_plain_file("mkdir s/supervise; touch s/supervise/ok");
    ok_is_a_directory("mkdir -p s/supervise/ok");
    the_status_is_a_directory("mkdir -p s/supervise/status");
    the_new_status_is_a_directory("mkdir -p s/supervise/status.new");
    down_is_a_dangling_link("ln -s gone s/down");
}

/// The files it makes with this umask.
fn umask(umask: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.service(RECORDER);
        let mut command = stage.command("/bin/sh");
        let script = format!("umask {umask}; exec \"$0\" s");
        command
            .args(["-c", &script])
            .arg(stage.program("supervise"));
        stage.start_command(command);
        stage.wait_file("s/record", "start", 1);
        stage.sh("svc -dx s");
        stage.ends();
        stage.tell_errors();
        stage.files("s");
        stage.files("s/supervise");
    }
}

situations! { umask
    of_000("000");
    of_022("022");
    of_027("027");
    of_037("037");
    of_077("077");
}

/// It cannot start with this mode of a path.
fn cannot_start(path: &'static str, mode: u32) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.service(RECORDER);
        if path != "s" {
            stage.sh("mkdir s/supervise; touch s/supervise/lock");
        }
        stage.deny(path, mode);
        stage.run_as_ordinary_user("", "supervise", &["s"]);
    }
}

situations! { cannot_start
    the_directory_is_closed_to_it("s", 0o000);
    the_directory_may_only_be_read("s", 0o444);
    nothing_may_be_made_in_the_directory("s", 0o555);
    supervise_is_closed_to_it("s/supervise", 0o000);
    nothing_may_be_made_in_supervise("s/supervise", 0o555);
    the_lock_is_closed_to_it("s/supervise/lock", 0o000);
    the_lock_may_only_be_read("s/supervise/lock", 0o444);
}

/// The order in which it makes its files.
fn order_of_files(script: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        if !has("the order of supervise's files", &["strace"]) {
            return;
        }
        stage.service(RECORDER);
        stage.sh(script);
        stage.scratch.write("s/down", "");
        stage.start_by("strace -o calls", "supervise", &["s"]);
        stage.scratch.wait_supervised("s");
        stage.run("svc", &["-x", "s"]);
        stage.ends();
        // 0.76 closes on exec by a call of its own, and has other numbers; ours
        // follows no link, and puts a new file in the place of an old one.
        let mut calls = stage.scratch.read("calls").replace("|O_EXCL", "|O_TRUNC");
        for flag in ["|O_CLOEXEC", "|O_NOCTTY", "|O_NOFOLLOW"] {
            calls = calls.replace(flag, "");
        }
        for call in calls.lines().filter(|call| call.contains("\"supervise")) {
            let (call, _) = call.rsplit_once(" = ").unwrap_or_default();
            // The record is only ours.
            if !call.starts_with("readlink") && !call.contains("\"supervise/state\"") {
                stage.say(call.trim_end());
            }
            if call.starts_with("open") && call.contains("/ok") {
                return;
            }
        }
    }
}

situations! { order_of_files
    in_a_new_directory("");
    where_they_are_already("mkdir s/supervise; mkfifo s/supervise/control s/supervise/ok");
    behind_a_dangling_link("ln -s ../elsewhere s/supervise");
}

#[test]
fn gives_way_to_another_one() {
    compare(|stage| {
        begin(stage, false, RECORDER);
        for name in ["s", "./s", "s/."] {
            stage.run("supervise", &[name]);
        }
        stage.look();
        stage.svc("dx");
        stage.run("svc", &["-u", "s"]);
        stage.files("s/supervise");
    });
}

/// On a service that cannot be run: how `s/run` is made.
fn run_is(script: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.scratch.mkdir("s");
        stage.sh(script);
        fails_again_and_again(stage, "s".as_bytes());
    }
}

situations! { run_is
    missing("");
    not_executable("echo '#!/bin/sh' >s/run");
    a_directory("mkdir s/run");
    a_fifo("mkfifo -m 755 s/run");
    without_the_name_of_an_interpreter("echo true >s/run; chmod +x s/run");
    empty(">s/run; chmod +x s/run");
    of_an_interpreter_that_is_missing("echo '#!/nothing' >s/run; chmod +x s/run");
    of_an_interpreter_that_is_none("echo '#!/etc/passwd' >s/run; chmod +x s/run");
    of_an_interpreter_that_is_a_directory("echo '#!/' >s/run; chmod +x s/run");
    a_dangling_link("ln -s nothing s/run");
    a_loop_of_links("ln -s run s/run");
}

/// It names its service as it was given.
fn names(name: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        let name = name.replace("SCRATCH", &stage.scratch.path().to_string_lossy());
        fails_again_and_again(stage, name.as_bytes());
    }
}

situations! { names
    with_a_dot_before_it("./s");
    with_a_slash_behind_it("s/");
    a_dot(".");
    two_words("two words");
    two_lines("two\nlines");
    the_whole_path("SCRATCH/s");
}

#[test]
fn names_a_service_that_is_no_utf_8() {
    compare(|stage| {
        fails_again_and_again(stage, super::zoo::invalid_name().as_bytes());
    });
}

/// It starts a service again that ends in this way.
fn starts_again_after(ending: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.service(&format!("echo start >>record; {ending}"));
        stage.start("supervise", &["s"]);
        stage.wait_file("s/record", "start", 3);
        stage.run("svc", &["-dx", "s"]);
        stage.ends();
        stage.run("svstat", &["s"]);
        stage.tell_errors();
    }
}

situations! { starts_again_after
    exit_0("exit 0");
    exit_100("exit 100");
    exit_111("exit 111");
    kill("kill -9 $$");
    term("kill -TERM $$");
}

/// svstat, asked fast during the crash loop of a service that ends in this way.
fn svstat_in_a_crash_loop(ending: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.service(&format!("echo start >>record; {ending}"));
        stage.start("supervise", &["s"]);
        stage.scratch.wait_supervised("s");
        stage.poll_svstat(4);
        stage.run("svc", &["-dx", "s"]);
        stage.ends();
        stage.run("svstat", &["s"]);
    }
}

situations! { svstat_in_a_crash_loop
    at_once("exit 1");
    by_a_signal("kill -9 $$");
    within_the_second("exec sleep 0.3");
}

/// A `run` that tells what it got.
pub(super) const HEIR: &str = r#"
exec 4>>got
{
echo "cwd $(pwd -P)"
echo "$# arguments, called $0"
tr '\0' ' ' </proc/$$/cmdline; echo
tr '\0' '\n' </proc/$$/environ | grep -e ^A= -e ^EMPTY -e ^= -e ^DAEMONTOOLS -e ^LANG | sort
tr '\0' '\n' </proc/$$/environ | grep -c =
for fd in /proc/$$/fd/*; do echo "${fd##*/}"; readlink "$fd"; done
grep -e ^SigBlk -e ^SigIgn /proc/self/status
grep -e 'open files' -e core -e processes /proc/$$/limits
umask; nice
read -r _ _ _ _ group session _ </proc/$$/stat
read -r _ _ _ _ its_group its_session _ </proc/$PPID/stat
test $group = $its_group && test $session = $its_session && echo same group and session
tr '\0' '\n' </proc/$PPID/cmdline | tail -n +2
echo end
} >&4 2>/dev/null
exec sleep 1000"#;

/// What a service gets whose supervise was started in this way.
fn bequeaths(prefix: &'static str, is_normally_down: bool) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.service(HEIR);
        stage.scratch.mkdir("elsewhere");
        stage.sh("ln -s ../s elsewhere/s; mkfifo pipe");
        if is_normally_down {
            stage.scratch.write("s/down", "");
        }
        match prefix.strip_prefix("sh -c ") {
            Some(redirections) => {
                let script = format!("exec \"$0\" s {redirections}");
                let mut command = stage.command("/bin/sh");
                command
                    .args(["-c", &script])
                    .arg(stage.program("supervise"));
                stage.start_command(command);
            }
            None => stage.start_by(prefix, "supervise", &["s"]),
        }
        if is_normally_down {
            let control = stage.scratch.at("s/supervise/control");
            wait_until("supervise listens", || {
                open_fifo(&control).is_ok_and(|mut fifo| fifo.write_all(b"o").is_ok())
            });
        }
        stage.wait_file("s/got", "end\n", 1);
        let got = stage.scratch.read("s/got");
        stage.say(got);
    }
}

/// What a service gets that is normally up, and one that is normally down.
macro_rules! inheritances {
    ($($name:ident($prefix:expr);)+) => {
        mod normally_up {
            use super::*;
            situations! { bequeaths $($name($prefix, false);)+ }
        }
        mod normally_down {
            use super::*;
            situations! { bequeaths $($name($prefix, true);)+ }
        }
    };
}

inheritances! {
    as_usual("env --default-signal");
    with_sigpipe_ignored("env --ignore-signal=PIPE");
    in_the_background_of_a_shell("env --ignore-signal=INT,QUIT");
    with_sigchld_ignored("env --ignore-signal=CHLD");
    with_other_signals_ignored("env --ignore-signal=HUP,TERM,USR1,USR2,TSTP");
    with_signals_blocked("env --block-signal=TERM,HUP");
    with_sigchld_and_sigpipe_blocked("env --block-signal=CHLD,PIPE");
    with_an_odd_environment("env A=1 EMPTY= =odd");
    from_another_directory("env --chdir=elsewhere --");
    nicely("nice -n 5");
    in_a_session_of_its_own("setsid --wait");
    with_limits("prlimit --nofile=77:99 --core=0:0");
    without_stdin("sh -c <&-");
    without_stdout("sh -c >&-");
    without_stderr("sh -c 2>&-");
    without_any_descriptor("sh -c <&- >&- 2>&-");
    with_more_descriptors("sh -c 3</dev/null 9>>kept");
    with_a_fifo_as_stdin("sh -c <>pipe 7<>pipe");
}

#[test]
fn a_background_process_of_a_service_survives_it() {
    compare(|stage| {
        stage.service(&format!("sleep 1000 & echo $! >background\n{RECORDER}"));
        stage.supervise();
        let background: u32 = stage.scratch.read("s/background").trim().parse().unwrap();
        stage.svc("d");
        stage.say(format!("it lives: {}", is_alive(background)));
        stage.svc("x");
    });
}

#[test]
fn supervise_does_not_lose_itself_when_its_directory_is_renamed() {
    compare(|stage| {
        begin(stage, false, RECORDER);
        stage.sh("mv s t; ln -s t s");
        stage.svc("k");
        stage.svc("dx");
        stage.tell_errors();
    });
}

#[test]
fn supervise_goes_on_when_its_files_are_removed() {
    compare(|stage| {
        begin(stage, false, RECORDER);
        // So that 0.76 is past its first second.
        stage.svc("k");
        stage.svc("h");
        let pid = stage.scratch.pid("s").unwrap();
        stage.sh("rm -r s/supervise");
        signal(pid, "KILL");
        stage.wait_file("s/record", "start", 3);
        stage.wait_errors("status.new", 2);
        stage.tell_errors();
        stage.run("svstat", &["s"]);
        stage.run("svok", &["s"]);
        stage.run("svc", &["-d", "s"]);
    });
}

/// The signal ends supervise; its service lives.
fn dies_of(signal: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        begin(stage, false, RECORDER);
        stage.svc("h");
        let service = stage.scratch.pid("s").unwrap();
        stage.daemon().signal(signal);
        stage.ends();
        stage.say(format!("the service lives: {}", is_alive(service)));
        stage.look();
        stage.run("svc", &["-d", "s"]);
        stage.tell_errors();
        stage.files("s/supervise");
        // Under 0.76 there would be two: see tests/adoption.rs.
        crate::harness::signal(service, "KILL");
        stage.wait_gone(service);
        stage.supervise();
        stage.svc("h");
    }
}

// But for SIGPIPE.
situations! { dies_of
    term("TERM");
    hup("HUP");
    int("INT");
    quit("QUIT");
    alrm("ALRM");
    usr1("USR1");
    usr2("USR2");
    kill("KILL");
    abrt("ABRT");
    vtalrm("VTALRM");
    prof("PROF");
    xcpu("XCPU");
    xfsz("XFSZ");
    io("IO");
    pwr("PWR");
}

/// The signal does not end supervise.
fn does_not_mind(signal: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        begin(stage, false, RECORDER);
        stage.daemon().signal(signal);
        stage.svc("h");
        stage.svc("k");
    }
}

situations! { does_not_mind
    chld("CHLD");
    cont("CONT");
    winch("WINCH");
    urg("URG");
}

#[test]
fn goes_on_where_it_was_stopped() {
    compare(|stage| {
        begin(stage, false, RECORDER);
        stage.svc("h");
        let service = stage.scratch.pid("s").unwrap();
        stage.daemon().signal("STOP");
        signal(service, "KILL");
        stage.run("svstat", &["s"]);
        stage.daemon().signal("CONT");
        stage.wait_file("s/record", "start", 2);
        stage.settle();
        stage.look();
        stage.svc("d");
    });
}

/// Starts supervise on a service and tells what there is then.
pub(super) fn begin(stage: &mut Stage, is_normally_down: bool, run: &str) {
    stage.service(run);
    if is_normally_down {
        stage.scratch.write("s/down", "");
    }
    stage.supervise();
    stage.look();
}

/// Supervises the directory `name`, whose `run` cannot be run, and tells what is said.
fn fails_again_and_again(stage: &mut Stage, name: &[u8]) {
    let name = std::ffi::OsStr::from_bytes(name);
    let directory = stage.scratch.at(name);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    let _ = symlink(&directory, stage.scratch.at("service"));
    let mut command = stage.command(stage.program("supervise"));
    command.arg(name);
    stage.start_command(command);
    stage.wait_errors("unable to start", 3);
    stage.tell_errors();
    stage.run("svok", &["service"]);
    stage.run("svc", &["-dx", "service"]);
    stage.ends();
    stage.run("svstat", &["service"]);
    let status = directory.join("supervise/status");
    stage.tell_status(&status);
}
