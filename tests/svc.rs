//! svc beyond the original: bare names in $SVDIR, and encore's signals.

use crate::harness::{Output, Scratch, Suite, finish, wait_until};
use crate::supervise::{WAITS, shell, supervise};
use daemontools_rs::formats::status::Want;

/// Runs one of our programs in the directory `here` of the scratch directory,
/// with its `services` as $SVDIR.
pub(crate) fn with_svdir(scratch: &Scratch, here: &str, program: &str, words: &[&str]) -> Output {
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program(program));
    command.current_dir(scratch.at(here)).args(words);
    command.env("SVDIR", scratch.at("services"));
    finish(command)
}

/// Two services `a`, one in the scratch directory itself and one in
/// `services`, both supervised, and a file `b` beside a service `b`.
pub(crate) fn two_of_a_name(scratch: &Scratch) -> Vec<crate::harness::Daemon> {
    ["a", "services/a", "services/b"]
        .iter()
        .map(|name| {
            scratch.service(name, WAITS);
            scratch.write(format!("{name}/down"), "");
            scratch.write("b", "");
            scratch.mkdir("elsewhere");
            supervise(scratch, name)
        })
        .collect()
}

#[test]
fn a_bare_name_is_looked_up_in_svdir() {
    let scratch = Scratch::new();
    let _supervises = two_of_a_name(&scratch);
    let output = with_svdir(&scratch, "elsewhere", "svc", &["-u", "a", "b"]);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    scratch.wait_up("services/a");
    scratch.wait_up("services/b");
    assert_eq!(scratch.pid("a"), None);
}

#[test]
fn a_directory_here_comes_before_svdir_and_a_file_does_not() {
    let scratch = Scratch::new();
    let _supervises = two_of_a_name(&scratch);
    let output = with_svdir(&scratch, "", "svc", &["-u", "a", "b"]);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    scratch.wait_up("a");
    scratch.wait_up("services/b");
    assert_eq!(scratch.pid("services/a"), None);
}

#[test]
fn a_name_with_a_slash_is_not_looked_up() {
    let scratch = Scratch::new();
    let _supervises = two_of_a_name(&scratch);
    for name in ["./b", "a/", "a/log"] {
        let output = with_svdir(&scratch, "elsewhere", "svc", &["-u", name]);
        let expected = format!("svc: warning: unable to chdir to {name}: file does not exist\n");
        assert_eq!((output.code, output.errors()), (0, expected));
    }
}

#[test]
fn a_bare_name_that_is_nowhere_is_told_by_its_name_here() {
    let scratch = Scratch::new();
    let _supervises = two_of_a_name(&scratch);
    scratch.write("file", "");
    for (name, why) in [
        ("nothing", "file does not exist"),
        ("file", "not a directory"),
    ] {
        let output = with_svdir(&scratch, "", "svc", &["-u", name, "b"]);
        let expected = format!("svc: warning: unable to chdir to {name}: {why}\n");
        assert_eq!((output.code, output.errors()), (0, expected));
        scratch.wait_up("services/b");
    }
}

#[test]
fn an_svdir_relative_to_here_is_found_from_here_for_each_name() {
    let scratch = Scratch::new();
    let _supervises = two_of_a_name(&scratch);
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svc"));
    command.current_dir(scratch.at("elsewhere"));
    command.args(["-u", "a", "b"]).env("SVDIR", "../services");
    let output = finish(command);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    scratch.wait_up("services/a");
    scratch.wait_up("services/b");
}

#[test]
fn an_empty_svdir_is_none() {
    let scratch = Scratch::new();
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svc"));
    command.args(["-u", "no-such-service"]).env("SVDIR", "");
    let expected = "svc: warning: unable to chdir to no-such-service: file does not exist\n";
    assert_eq!(finish(command).errors(), expected);
}

#[test]
fn the_letters_of_encore_are_sent_in_the_order_typed() {
    let scratch = Scratch::new();
    scratch.mkdir("a/supervise");
    shell(&scratch, "mkfifo a/supervise/control");
    let mut command = scratch.command(Suite::Ours, "sh");
    // The reader has it open for writing, too, so that svc finds one at any time.
    let script = "exec 3<>a/supervise/control
        svc -1 -2 -q -w a; svc -wq21 -u a; svc -11u2 a; svc a
        echo >&3
        IFS= read -r line <&3; echo \"$line\"";
    command.args(["-c", script]);
    let output = finish(command);
    assert_eq!((output.text().as_str(), output.code), ("12qwwq21u1u2\n", 0));
}

#[test]
fn the_usage_line_is_that_of_the_original() {
    let scratch = Scratch::new();
    let output = scratch.run(Suite::Ours, "svc", &["-1Zq", "a"]);
    let expected = "svc: illegal option -- Z\nsvc options: u up, d down, o once, x exit, \
        p pause, c continue, h hup, a alarm, i interrupt, t term, k kill\n";
    assert_eq!((output.code, output.errors().as_str()), (100, expected));
}

#[test]
fn svc_waits_for_room_in_the_control_fifo() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    let supervise = supervise(&scratch, "a");
    scratch.wait_up("a");
    supervise.signal("STOP");
    // Fill what supervise does not read now; the last byte must arrive all the same.
    shell(
        &scratch,
        "dd if=/dev/zero of=a/supervise/control bs=4096 count=64 oflag=nonblock 2>/dev/null || :",
    );
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svc"));
    command.args(["-o", "a"]);
    let mut svc = scratch.start(command, "svc");
    let waits = || {
        let channel = std::fs::read_to_string(format!("/proc/{}/stat", svc.pid()));
        channel.unwrap().contains(") S ")
    };
    wait_until("svc waits", waits);
    supervise.signal("CONT");
    assert_eq!(svc.wait(), 0);
    assert_eq!(scratch.read("svc.err"), "");
    wait_until("the command is obeyed", || {
        crate::supervise::status(&scratch, "a").want == Want::Once
    });
}
