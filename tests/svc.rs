//! svc: no look-up of names, and encore's signals.

use crate::harness::{
    Scratch, Suite, WAITS, finish, shell, supervise, two_of_a_name, wait_until, with_svdir,
};
use daemontools_rs::formats::status::Want;

#[test]
fn no_name_is_looked_up_in_svdir() {
    let scratch = Scratch::new();
    let _supervises = two_of_a_name(&scratch);
    let here = ["a", "b", "log", "dangling"];
    for name in ["log", "dangling"] {
        std::os::unix::fs::symlink("b", scratch.at("services").join(name)).unwrap();
    }
    std::os::unix::fs::symlink("gone", scratch.at("dangling")).unwrap();
    let words = [&["-u"], &here[..]].concat();
    let output = with_svdir(&scratch, "", "svc", &words);
    let expected = "svc: warning: unable to chdir to b: not a directory\n\
        svc: warning: unable to chdir to log: file does not exist\n\
        svc: warning: unable to chdir to dangling: file does not exist\n";
    assert_eq!((output.code, output.errors().as_str()), (0, expected));
    scratch.wait_up("a");
    // What came before this command would have been obeyed before it.
    for name in ["services/a", "services/b"] {
        scratch.run(Suite::Ours, "svc", &["-x", name]);
        wait_until("supervise exits", || {
            scratch.run(Suite::Ours, "svok", &[name]).code == 100
        });
        assert_eq!(scratch.pid(name), None);
    }
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
        crate::harness::status(&scratch, "a").want == Want::Once
    });
}
