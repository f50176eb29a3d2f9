//! svscan: which entries of a directory get a supervise, under which name, with
//! what, and when another one.

use super::compare;
use super::stage::{Stage, open_fifo};
use crate::harness::{children, finish, is_alive, signal, unsafe_free_uid, wait_until};

/// A service in the scan directory that says under which name it is supervised.
const NAMED: &str = "PATH=/usr/bin:/bin
tr '\\0' '\\n' </proc/$PPID/cmdline | tail -n +2 >>name
pwd -P >>name
exec sleep 1000";

/// What svscan finds when it starts: what is in the scan directory besides the service
/// `s`, made by a shell in there, and the entries that get a supervise. The function
/// `service` makes a service.
fn finds(script: &'static str, up: &'static [&str]) -> impl Fn(&mut Stage) {
    move |stage| {
        scan(stage, script);
        stage.start("svscan", &["scan"]);
        up.iter().for_each(|name| wait_name(stage, name, 1));
        // Whatever is not up by a second look is not looked for.
        second_look(stage);
        let list = "cd scan; for d in .[!.]* *; do
            test -d \"$d/supervise\" && echo \"$d: $(svok \"$d\" && cat \"$d/name\")\"
            test -d \"$d/log/supervise\" && echo \"$d/log: $(svok \"$d/log\" && cat \"$d/log/name\")\"
            done; true";
        wait_until("all supervises are ready", || {
            let mut command = stage.command("/bin/sh");
            let script = "for d in scan/*/ scan/*/log/; do
                test ! -d \"$d/supervise\" || svok \"$d\" || exit 1; done";
            command.args(["-c", script]);
            finish(command).code == 0
        });
        stage.sh(list);
        stage.sh("svstat scan/*/");
        stage.tell_errors();
    }
}

situations! { finds
    one_service("", &["s"]);
    three_services("service a; service b", &["a", "b", "s"]);
    names_with_a_dot_before_them("service .hidden; service ...", &["s"]);
    names_with_a_dot_in_them("service a.b; service a.", &["a.b", "a.", "s"]);
    things_that_are_no_directories("touch file; mkfifo fifo", &["s"]);
    a_link_to_a_file("ln -s run s/file; ln -s s/run file", &["s"]);
    a_link_to_a_service_elsewhere("service ../a; ln -s ../a a", &["a", "s"]);
    a_dangling_link("ln -s gone dangling", &["s"]);
    a_loop_of_links("ln -s loop loop", &["s"]);
    a_link_through_a_file("ln -s s/run/gone through", &["s"]);
    odd_names("service 'two words'; service \"two\nlines\"", &["two words", "two\nlines", "s"]);
    names_like_options("service -x; service --; service -", &["-x", "--", "-", "s"]);
    a_name_of_255_bytes("service \"$long\"", &["s"]);
    a_name_that_is_no_utf_8("service \"$(printf 'in\\377valid')\"", &["s"]);
    a_log_that_is_a_plain_file("touch s/log", &["s"]);
    a_log_that_is_a_dangling_link("ln -s gone s/log", &["s"]);
    a_log_that_is_a_loop_of_links("service a; ln -s log a/log", &["s"]);
    a_service_that_is_normally_down("touch s/down; service a", &["a"]);
    a_log("service s/log", &["s", "s/log"]);
    a_log_that_is_a_link("service ../a; ln -s ../../a s/log", &["s", "s/log"]);
    a_log_that_has_a_log("service s/log; service s/log/log", &["s", "s/log"]);
}

#[test]
fn finds_two_links_to_one_service() {
    compare(|stage| {
        scan(stage, "service ../a; ln -s ../a b; ln -s ../a c");
        stage.start("svscan", &["scan"]);
        wait_name(stage, "s", 1);
        second_look(stage);
        stage.sh("grep -c / a/name; ls scan");
        stage.tell_errors();
    });
}

#[test]
fn warns() {
    compare(|stage| {
        scan(stage, "ln -s gone dangling; service a; ln -s log a/log");
        stage.start("svscan", &["scan"]);
        stage.wait_errors("stat dangling:", 1);
        stage.wait_errors("stat a/log:", 1);
        stage.tell_errors();
    });
}

#[test]
fn finds_a_service_that_cannot_be_run() {
    compare(|stage| {
        scan(stage, "mkdir a s/log");
        stage.start("svscan", &["scan"]);
        stage.wait_errors("a/run", 2);
        stage.wait_errors("log/run", 2);
        wait_name(stage, "s", 1);
        stage.tell_errors();
    });
}

/// What svscan is given.
fn given(words: &'static [&str]) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.sh("mkdir scan; touch file; ln -s circle circle");
        stage.run("svscan", words);
    }
}

situations! { given
    a_directory_that_is_not_there(&["missing"]);
    the_empty_name(&[""]);
    a_plain_file(&["file"]);
    an_option(&["-x"]);
    two_dashes_and_a_directory(&["--", "scan"]);
    a_loop_of_links_and_a_directory(&["circle", "scan"]);
}

#[test]
fn may_not_enter_its_directory() {
    compare(|stage| {
        stage.scratch.mkdir("scan");
        stage.deny("scan", 0);
        stage.run_as_ordinary_user("", "svscan", &["scan"]);
    });
}

#[test]
fn may_not_read_its_directory() {
    compare(|stage| {
        stage.scratch.mkdir("scan");
        stage.deny("scan", 0o111);
        if let Some(command) = stage.as_ordinary_user("svscan") {
            let mut command = command;
            command.arg("scan");
            stage.start_command(command);
            stage.wait_errors("svscan", 1);
            stage.tell_errors();
        }
    });
}

/// How svscan is called, and in which directory.
fn called(words: &'static [&str], directory: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        scan(stage, "mkdir ../other; service ../other/t");
        let mut command = stage.command(stage.program("svscan"));
        command.args(words).current_dir(stage.scratch.at(directory));
        stage.start_command(command);
        wait_name(stage, "s", 1);
        second_look(stage);
        stage.sh("cat scan/s/name; ls other/t");
        stage.tell_errors();
    }
}

situations! { called
    with_a_directory_too_many(&["scan", "other"], ".");
    without_a_directory(&[], "scan");
    with_a_long_way_to_where_it_is(&["../scan/."], "scan");
}

/// Where svscan looks for supervise, and what is there, made by a shell.
fn looks_for_supervise(path: &'static str, script: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        // Root's svscan ignores an empty element, ours on purpose.
        if path.starts_with(':') && unsafe_free_uid() == 0 {
            return;
        }
        scan(stage, "service s/log");
        stage.sh("mkdir empty bin good");
        let supervise = stage.program("supervise");
        // A copy: the checkout may be closed to others.
        let mut install = stage.command("install");
        install.args(["-m", "755"]).arg(supervise);
        install.arg(stage.scratch.at("good/supervise"));
        assert_eq!(finish(install).code, 0);
        stage.sh(script);
        let here = stage.scratch.path().to_string_lossy().into_owned();
        let mut command = stage.command("/usr/bin/env");
        command
            .arg(format!("PATH={}", path.replace("SCRATCH", &here)))
            .arg(stage.alone("svscan"))
            .arg("scan");
        stage.start_command(command);
        for half in ["s", "s/log"] {
            if !stage.scratch.at("scan").join(half).exists() {
                continue;
            }
            wait_until("it is supervised, or that is impossible", || {
                let ok = stage.scratch.at(format!("scan/{half}/supervise/ok"));
                stage.errors_with(&format!(" {half}: ")) > 0 || open_fifo(&ok).is_ok()
            });
        }
        stage.tell_errors();
    }
}

situations! { looks_for_supervise
    there_is_none("SCRATCH/empty", "");
    it_may_not_be_executed("SCRATCH/bin", "touch bin/supervise");
    only_another_may_be_executed("SCRATCH/bin:SCRATCH/good", "touch bin/supervise");
    it_is_no_program("SCRATCH/bin", "echo true >bin/supervise; chmod +x bin/supervise");
    a_file_is_in_the_way("SCRATCH/file:SCRATCH/good", "touch file");
    it_is_in_the_scan_directory(
        ":SCRATCH/empty",
        "rm -r scan/s/log; ln -s \"$PWD/good/supervise\" scan/supervise; chmod 777 scan/s",
    );
}

/// What a service and its log get of what svscan, started in this way, got.
fn bequeaths(prefix: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        scan(stage, "service s/log");
        for name in ["scan/s/run", "scan/s/log/run"] {
            stage.script(name, super::supervise::HEIR);
        }
        stage.start_by(prefix, "svscan", &["scan"]);
        for name in ["scan/s/got", "scan/s/log/got"] {
            stage.wait_file(name, "end\n", 1);
            let got = stage.scratch.read(name);
            stage.say(got);
        }
    }
}

situations! { bequeaths
    started_as_usual("env --default-signal");
    started_with_sigpipe_ignored("env --ignore-signal=PIPE");
    started_with_sigchld_and_sigint_ignored("env --ignore-signal=CHLD,INT");
    started_with_signals_blocked("env --block-signal=TERM,CHLD");
    started_with_limits("prlimit --nofile=77:99");
    started_in_a_session_of_its_own("setsid --wait");
}

#[test]
fn a_service_and_its_log_are_connected_though_either_dies() {
    compare(|stage| {
        scan(stage, "mkdir s/log");
        stage.script(
            "scan/s/run",
            "exec 2>/dev/null; n=$(ls | grep -c ^line); : >line$n
             echo line $n; exec sleep 1000",
        );
        stage.script("scan/s/log/run", "exec cat >>text");
        stage.start("svscan", &["scan"]);
        stage.wait_file("scan/s/log/text", "line", 1);
        for (half, lines) in [("scan/s", 2), ("scan/s/log", 2), ("scan/s", 3)] {
            stage.run("svc", &["-k", half]);
            stage.wait_file("scan/s/log/text", "line", lines);
        }
        stage.say(stage.scratch.read("scan/s/log/text"));
        stage.tell_errors();
    });
}

/// svscan dies of the signal, its services live.
fn dies_of(signal: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        scan(stage, "service s/log");
        stage.start("svscan", &["scan"]);
        for service in ["s", "s/log"] {
            wait_name(stage, service, 1);
        }
        let pid = stage.scratch.wait_up("scan/s");
        stage.daemon().signal(signal);
        stage.ends();
        stage.say(format!("the service lives: {}", is_alive(pid)));
        stage.run("svok", &["scan/s"]);
        stage.run("svstat", &["scan/s", "scan/s/log"]);
        stage.tell_errors();
    }
}

situations! { dies_of
    term("TERM");
    hup("HUP");
    int("INT");
    kill("KILL");
    quit("QUIT");
    usr1("USR1");
}

/// What svscan makes of a change: what is in the scan directory besides the service `s`,
/// and what happens then.
fn compare_change(script: &str, play: impl Fn(&mut Stage)) {
    compare(|stage| {
        scan(stage, script);
        stage.start("svscan", &["scan"]);
        wait_name(stage, "s", 1);
        stage.scratch.wait_up("scan/s");
        play(stage);
        stage.sh("cd scan; for n in */name */log/name; do echo \"$n\"; cat \"$n\"; done 2>&1");
        stage.tell_errors();
    });
}

#[test]
fn a_supervise_that_was_told_to_exit_is_started_again() {
    compare_change("", |stage| {
        stage.run("svc", &["-dx", "scan/s"]);
        wait_name(stage, "s", 2);
    });
}

#[test]
fn a_logs_supervise_that_was_told_to_exit_is_started_again() {
    compare_change("service s/log", |stage| {
        wait_name(stage, "s/log", 1);
        stage.run("svc", &["-dx", "scan/s/log"]);
        wait_name(stage, "s/log", 2);
    });
}

#[test]
fn a_supervise_that_was_killed_is_started_again() {
    compare_change("", |stage| {
        let service = stage.scratch.wait_up("scan/s");
        kill_supervise(service);
        // Under 0.76 there would be two: see tests/adoption.rs.
        signal(service, "KILL");
        wait_name(stage, "s", 2);
    });
}

#[test]
fn a_service_that_was_removed_is_not_started_again() {
    compare_change("", |stage| {
        stage.sh("mv scan/s scan/.s; svc -dx scan/.s");
        second_look(stage);
        stage.run("svok", &["scan/.s"]);
    });
}

#[test]
fn a_service_that_was_removed_with_its_log_is_not_started_again() {
    compare_change("service s/log", |stage| {
        wait_name(stage, "s/log", 1);
        stage.sh("mv scan/s scan/.s; svc -dx scan/.s scan/.s/log");
        second_look(stage);
        stage.sh("svok scan/.s; echo $?; svok scan/.s/log; echo $?");
    });
}

#[test]
fn a_link_that_is_removed_just_after_svc_dx_leaves_no_supervise_behind() {
    compare_change("service ../a; ln -s ../a a", |stage| {
        wait_name(stage, "a", 1);

        second_look(stage);
        stage.sh("svc -dx scan/a; while svok scan/a; do sleep 0.05; done; rm scan/a");
        second_look(stage);
        stage.run("svok", &["a"]);
        tell_supervises(stage);
    });
}

// Not by `compare_change`: a supervise may or may not be too late for its last status.
#[test]
fn a_directory_removed_just_after_svc_dx_log_leaves_no_supervise_behind() {
    compare(|stage: &mut Stage| {
        scan(stage, "service a/log; service a");
        stage.start("svscan", &["scan"]);
        for name in ["a", "a/log"] {
            wait_name(stage, name, 1);
        }
        let pids = ["a", "a/log"].map(|name| stage.scratch.wait_up(&format!("scan/{name}")));
        second_look(stage);
        // rm fails if a last status is written after it has read the directory.
        stage.sh("cd scan/a; svc -dx . log; cd ..; until rm -rf a 2>&-; do :; done; ls a");
        pids.iter().for_each(|pid| stage.wait_gone(*pid));
        second_look(stage);
        stage.sh("ls scan");
        tell_supervises(stage);
    });
}

#[test]
fn a_service_that_was_removed_goes_on_until_it_is_stopped() {
    compare_change("", |stage| {
        stage.sh("mv scan/s s");
        second_look(stage);
        stage.run("svok", &["s"]);
    });
}

#[test]
fn a_service_that_is_renamed_goes_on_then_it_has_its_new_name() {
    compare_change("", |stage| {
        stage.sh("mv scan/s scan/t");
        second_look(stage);
        stage.sh("cat scan/t/name; svc -dx scan/t");
        wait_name(stage, "t", 2);
    });
}

#[test]
fn a_service_that_is_replaced_goes_on_and_so_does_the_new_one() {
    compare_change("", |stage| {
        let old = stage.scratch.wait_up("scan/s");
        stage.sh("mkdir new; cp scan/s/run new; mv scan/s old; mv new scan/s");
        wait_name(stage, "s", 1);
        stage.say(format!("the old one lives: {}", is_alive(old)));
        stage.run("svok", &["old"]);
    });
}

#[test]
fn a_link_that_is_turned_to_another_service_gets_another_supervise() {
    compare_change("service ../a; ln -s ../a a", |stage| {
        wait_name(stage, "a", 1);
        stage.sh("mkdir b; cp a/run b; ln -sfn ../b scan/a");
        wait_name(stage, "a", 1);
        stage.sh("cat a/name");
        stage.run("svok", &["a"]);
    });
}

#[test]
fn a_service_that_comes_back_in_time_has_one_supervise() {
    compare_change("", |stage| {
        let old = stage.scratch.wait_up("scan/s");
        stage.sh("mv scan/s s; mv s scan/s");
        second_look(stage);
        stage.say(format!("the old one lives: {}", is_alive(old)));
    });
}

#[test]
fn a_log_that_is_added_to_a_known_service_is_not_noticed() {
    compare_change("", |stage| {
        stage.sh("mkdir log; cp scan/s/run log; mv log scan/s/log");
        second_look(stage);
        stage.run("svok", &["scan/s/log"]);
    });
}

#[test]
fn a_log_that_is_added_while_the_service_is_away_is_noticed() {
    compare_change("", |stage| {
        stage.sh("mv scan/s s; svc -dx s; while svok s; do sleep 0.05; done");
        second_look(stage);
        stage.sh("mkdir s/log; cp s/run s/log/run; mv s scan/s");
        wait_name(stage, "s/log", 1);
        wait_name(stage, "s", 2);
    });
}

#[test]
fn a_plain_file_that_becomes_a_service_is_taken_up() {
    compare_change("touch a", |stage| {
        second_look(stage);
        stage.sh("mkdir a; cp scan/s/run a; rm scan/a; mv a scan/a");
        wait_name(stage, "a", 1);
    });
}

#[test]
fn a_dangling_link_whose_target_comes_is_taken_up() {
    compare_change("ln -s ../a a", |stage| {
        stage.wait_errors("stat a:", 1);
        stage.sh("mkdir a.new; cp scan/s/run a.new; mv a.new a");
        wait_name(stage, "a", 1);
    });
}

#[test]
fn a_hidden_service_that_is_shown_is_taken_up() {
    compare_change("service .a", |stage| {
        stage.sh("mv scan/.a scan/a");
        wait_name(stage, "a", 1);
    });
}

/// Makes the scan directory with the service `s` and what `script` adds.
pub(super) fn scan(stage: &mut Stage, script: &str) {
    stage.script("run", NAMED);
    let service = "service() { mkdir -p -- \"$1\"; cp -- \"$run\" \"./$1/run\"; }";
    stage.sh(&format!(
        "run=$PWD/run; mkdir scan; cd scan; {service}
         long=$(printf %0255d 0); service s; {script}"
    ));
}

/// Waits until the service `name` has been started so often by a supervise.
pub(super) fn wait_name(stage: &Stage, name: &str, times: usize) {
    stage.wait_file(&format!("scan/{name}/name"), "/", times);
}

/// Waits until svscan has looked around once more, and has taken up something
/// that was not there before: all else it wanted to start is started, too.
pub(super) fn second_look(stage: &mut Stage) {
    let scratch = &stage.scratch;
    let name = (0..).map(|n| format!("zz-later{n}"));
    let name = name
        .into_iter()
        .find(|name| !scratch.at("scan").join(name).exists());
    let name = name.unwrap();
    stage.script(&format!("{name}/run"), NAMED);
    std::fs::rename(scratch.at(&name), scratch.at("scan").join(&name)).unwrap();
    wait_name(stage, &name, 1);
    stage.scratch.wait_up(&format!("scan/{name}"));
}

/// Tells which supervises are svscan's children.
fn tell_supervises(stage: &mut Stage) {
    let pids = children(stage.daemon().pid()).into_iter();
    let mut words: Vec<_> = pids
        .map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
        .collect();
    words.sort();
    stage.say(words.concat());
}

/// Kills the supervise of the service process `pid`.
fn kill_supervise(pid: u32) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let parent = stat.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap();
    signal(parent.parse().unwrap(), "KILL");
}
