//! setlock: ours and daemontools' own exclude each other; waiting; signals.

use crate::harness::{Scratch, Suite, has, wait_until};

#[test]
fn ours_and_the_references_exclude_each_other() {
    let test = "locks of both suites";
    if !has(test, &["setlock"]) {
        return;
    }
    for (holder, other) in [
        (Suite::Ours, Suite::Reference),
        (Suite::Reference, Suite::Ours),
        (Suite::Ours, Suite::Ours),
    ] {
        let scratch = Scratch::new();
        let theirs = other.program("setlock");
        let theirs = theirs.to_str().unwrap();
        let output = scratch.run(
            holder,
            "setlock",
            &["lock", theirs, "-n", "lock", "echo", "ran"],
        );
        assert_eq!(
            output.errors(),
            "setlock: fatal: unable to lock lock: temporary failure\n"
        );
        assert_eq!(output.code, 111);
        let output = scratch.run(other, "setlock", &["-n", "lock", "echo", "free"]);
        assert_eq!(output.text(), "free\n");
    }
}

#[test]
fn one_waits_until_the_lock_is_free_and_can_be_ended_meanwhile() {
    let scratch = Scratch::new();
    let holder = ["lock", "sh", "-c", "echo > held; exec sleep 1000"];
    let holder = scratch.daemon(Suite::Ours, "setlock", &holder, "holder");
    wait_until("the lock is held", || scratch.at("held").exists());
    let waiting = scratch.daemon(Suite::Ours, "setlock", &["lock", "touch", "got"], "waiting");
    let mut ended = scratch.daemon(Suite::Ours, "setlock", &["lock", "touch", "never"], "ended");
    for one in [&waiting, &ended] {
        let stack = format!("/proc/{}/syscall", one.pid());
        wait_until("it waits in flock", || {
            let call = std::fs::read_to_string(&stack).unwrap_or_default();
            call.starts_with(&format!("{} ", libc::SYS_flock))
        });
    }
    ended.signal("TERM");
    assert_eq!(ended.wait(), 1015);
    assert!(!scratch.at("got").exists());
    holder.signal("KILL");
    wait_until("the next one has it", || scratch.at("got").exists());
    assert!(!scratch.at("never").exists());
}

#[test]
fn a_descriptor_that_was_closed_at_the_start_stays_closed() {
    let scratch = Scratch::new();
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-c", "exec setlock lock sh -c 'ls /proc/$$/fd' <&-"]);
    let output = crate::harness::finish(command);
    assert!(output.err.is_empty(), "{output:?}");
    let text = output.text();
    assert!(!text.lines().any(|line| line == "0"), "{text}");
    assert!(text.lines().any(|line| line == "3"), "{text}");
}
