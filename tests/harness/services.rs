//! Services, and what is done with them.

use super::{Daemon, Output, Scratch, Suite, finish, wait_until};
use daemontools_rs::formats::status::Status;
use std::fs;

/// A service that only waits.
pub(crate) const WAITS: &str = "exec sleep 1000";

/// A service that notes when its process was made, in hundredths of a second
/// since boot, and ends.
pub(crate) const NOTES_AND_ENDS: &str = "cut -d' ' -f22 /proc/$$/stat >> starts";

/// Starts our supervise on `name`.
pub(crate) fn supervise(scratch: &Scratch, name: &str) -> Daemon {
    let daemon = scratch.daemon(Suite::Ours, "supervise", &[name], "supervise");
    scratch.wait_supervised(name);
    daemon
}

/// Does this in the scratch directory.
pub(crate) fn shell(scratch: &Scratch, script: &str) {
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-ec", script]);
    let output = finish(command);
    assert_eq!(
        (output.code, output.errors()),
        (0, String::new()),
        "{script}"
    );
}

/// Sends commands to `name`.
pub(crate) fn svc(scratch: &Scratch, options: &str, name: &str) {
    let output = scratch.run(Suite::Ours, "svc", &[options, name]);
    assert_eq!((output.code, output.errors()), (0, String::new()));
}

/// The status of `name`.
pub(crate) fn status(scratch: &Scratch, name: &str) -> Status {
    let bytes = fs::read(scratch.at(name).join("supervise/status")).unwrap();
    assert_eq!(bytes.len(), Status::BYTES);
    Status::decode(&bytes).unwrap()
}

/// Lets some seconds pass, told by the starts of a service that ends at once.
pub(crate) fn let_time_pass(scratch: &Scratch) {
    let ticks = || scratch.read("clock/starts").lines().count();
    scratch.service("clock", NOTES_AND_ENDS);
    let before = ticks();
    let _clock = scratch.daemon(Suite::Ours, "supervise", &["clock"], "clock");
    wait_until("the clock ticks", || ticks() >= before + 3);
}

/// Runs one of our programs in the directory `here` of the scratch directory,
/// with its `services` as $SVDIR.
pub(crate) fn with_svdir(scratch: &Scratch, here: &str, program: &str, words: &[&str]) -> Output {
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program(program));
    command.current_dir(scratch.at(here)).args(words);
    command.env("SVDIR", scratch.at("services"));
    finish(command)
}

/// Two services `a`, one in the scratch directory itself and one in
/// `services`, and a service `b` there; all are supervised. Here `b` is a file.
pub(crate) fn two_of_a_name(scratch: &Scratch) -> Vec<Daemon> {
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

/// Puts a svscan with a supervise beside it, the same file or another one, into
/// `programs`.
pub(crate) fn programs(scratch: &Scratch, is_same_file: bool) {
    scratch.mkdir("programs");
    let svscan = Suite::Ours.program("svscan");
    fs::hard_link(&svscan, scratch.at("programs/svscan")).unwrap();
    if is_same_file {
        fs::hard_link(&svscan, scratch.at("programs/supervise")).unwrap();
    } else {
        scratch.executable("programs/supervise", fs::read(&svscan).unwrap());
    }
}
