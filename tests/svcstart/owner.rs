//! A script is run by the user of the supervise only: tried as root, with an ordinary
//! user's supervise.

use super::{STAYS, reason, svcstart};
use crate::harness::{Daemon, Output, Scratch, Suite, finish, has, is_root, shell, wait_until};
use std::path::PathBuf;
use std::process::Command;

/// An ordinary user, in digits.
const USER: &str = "65534";

/// Whether such a user and root can both be had.
fn can(test: &str) -> bool {
    is_root(test) && has(test, &["setpriv", "unshare", "flock", "supervise"])
}

/// A copy of a program of `suite`: the checkout may be closed to others.
fn copy(scratch: &Scratch, suite: Suite, program: &str) -> PathBuf {
    let copy = scratch.at(format!("{suite:?}")).join(program);
    if !copy.exists() {
        let mut install = scratch.command(suite, "install");
        install.args(["-D", "-m", "755"]);
        install.arg(suite.program(program)).arg(&copy);
        assert_eq!(finish(install).code, 0);
    }
    copy
}

/// A command run by the ordinary user.
fn as_user(scratch: &Scratch, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = scratch.command(Suite::Ours, "setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]);
    command.arg(program);
    command
}

/// The service `name`, which nobody starts by itself, with scripts that tell who they
/// are; everything in it is `owner`'s, who may write it.
fn service(scratch: &Scratch, name: &str, owner: &str) {
    scratch.service(name, STAYS);
    scratch.write(format!("{name}/down"), "");
    scratch.script(format!("{name}/start"), "id -u >> ran; svc -u .");
    scratch.script(format!("{name}/stop"), "id -u >> ran; svc -d .");
    shell(
        scratch,
        &format!("chown -R {owner}:{owner} {name}; chmod 777 {name}"),
    );
}

/// A supervise of the ordinary user's.
fn users_supervise(scratch: &Scratch, suite: Suite, name: &str) -> Daemon {
    let mut command = as_user(scratch, copy(scratch, suite, "supervise"));
    command.arg(name);
    let daemon = scratch.start(command, "supervise");
    scratch.wait_supervised(name);
    daemon
}

fn refused(output: &Output, service: &str, why: &str) {
    assert_eq!(output.code, 1, "{output:?}");
    assert!(reason(output, service).starts_with(why), "{output:?}");
}

#[test]
fn root_runs_no_script_where_the_supervise_is_anothers_whoever_owns_the_directory() {
    if !can("root and the supervise of another user") {
        return;
    }
    for suite in [Suite::Ours, Suite::Reference] {
        let scratch = Scratch::new();
        for owner in ["0", USER] {
            let name = format!("by-{owner}");
            service(&scratch, &name, owner);
            let _supervise = users_supervise(&scratch, suite, &name);
            let output = svcstart(&scratch, &[&name]);
            let why = "its supervise belongs to user 65534, so user 0 does not run its ./start;";
            refused(&output, &name, why);
            let output = scratch.run(Suite::Ours, "svcstop", &[&name]);
            let said = output.failure("svcstop", &name);
            assert!(said.contains("does not run its ./stop;"), "{said}");
            assert_eq!(scratch.read(format!("{name}/ran")), "");
            // Who may not run the script may still send commands.
            shell(&scratch, &format!("rm {name}/start {name}/stop"));
            let output = svcstart(&scratch, &["--settle", "0s", &name]);
            assert_eq!(output.code, 0, "{output:?}");
            let output = scratch.run(Suite::Ours, "svcstop", &[&name]);
            assert_eq!(output.code, 0, "{output:?}");
        }
    }
}

#[test]
fn root_runs_the_script_of_its_own_supervise_whoever_owns_the_directory() {
    if !can("root and its own supervise") {
        return;
    }
    for suite in [Suite::Ours, Suite::Reference] {
        let scratch = Scratch::new();
        service(&scratch, "a", USER);
        let _supervise = scratch.daemon(suite, "supervise", &["a"], "supervise");
        scratch.wait_supervised("a");
        shell(&scratch, &format!("chown -R {USER} a"));
        assert_eq!(svcstart(&scratch, &["a"]).code, 0);
        let output = scratch.run(Suite::Ours, "svcstop", &["a"]);
        assert_eq!(output.code, 0, "{output:?}");
        assert_eq!(scratch.read("a/ran"), "0\n0\n");
    }
}

#[test]
fn a_user_runs_the_scripts_of_his_own_supervise_and_of_no_other() {
    if !can("a user and two supervises") {
        return;
    }
    let scratch = Scratch::new();
    for name in ["his", "roots"] {
        service(&scratch, name, USER);
    }
    let _his = users_supervise(&scratch, Suite::Ours, "his");
    let _roots = scratch.daemon(Suite::Ours, "supervise", &["roots"], "roots");
    scratch.wait_supervised("roots");
    // He may control it all the same.
    shell(&scratch, &format!("chown -R {USER} roots/supervise"));
    let run = |name: &str| {
        let mut command = as_user(&scratch, copy(&scratch, Suite::Ours, "svcstart"));
        command.arg(name);
        copy(&scratch, Suite::Ours, "svc");
        finish(command)
    };
    let output = run("his");
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(scratch.read("his/ran"), format!("{USER}\n"));
    let why = "its supervise belongs to user 0, so user 65534 does not run its ./start;";
    refused(&run("roots"), "roots", why);
    assert_eq!(scratch.read("roots/ran"), "");
}

#[test]
fn a_script_of_roots_may_call_svcstart_as_another_user_who_sees_no_files_of_root() {
    if !can("a script that calls svcstart as another user") {
        return;
    }
    let scratch = Scratch::new();
    service(&scratch, "a", "0");
    let svcstart_copy = copy(&scratch, Suite::Ours, "svcstart");
    let start = format!(
        "setpriv --reuid {USER} --regid {USER} --clear-groups {} --settle 10ms . && echo probed",
        svcstart_copy.display()
    );
    scratch.script("a/start", &start);
    let _supervise = scratch.daemon(Suite::Ours, "supervise", &["a"], "supervise");
    scratch.wait_supervised("a");
    shell(&scratch, &format!("chown -R {USER} a/supervise"));
    let output = svcstart(&scratch, &["--timeout", "30s", "a"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.text().contains("probed"), "{output:?}");
}

/// What it says where it cannot tell.
const UNKNOWN: &str = "root does not run its ./start,";

#[test]
fn a_link_to_what_roots_supervise_has_makes_no_supervise_roots() {
    if !can("a link to root's supervise") {
        return;
    }
    let scratch = Scratch::new();
    service(&scratch, "roots", "0");
    let _roots = scratch.daemon(Suite::Ours, "supervise", &["roots"], "roots");
    scratch.wait_supervised("roots");
    for (name, link) in [
        ("directory", "ln -s ../roots/supervise supervise"),
        (
            "files",
            "mkdir supervise; ln -s ../../roots/supervise/* supervise",
        ),
        (
            "names",
            "mkdir supervise; ln ../roots/supervise/* supervise",
        ),
    ] {
        service(&scratch, name, USER);
        shell(&scratch, &format!("cd {name}; {link}"));
        let output = svcstart(&scratch, &[name]);
        assert_eq!(output.code, 1, "{name}: {output:?}");
        assert_eq!(scratch.read(format!("{name}/ran")), "", "{name}");
    }
}

#[test]
fn a_program_that_became_root_with_the_users_lock_makes_no_supervise_roots() {
    let test = "a set-user-ID program that holds the lock";
    if !can(test) {
        return;
    }
    let scratch = Scratch::new();
    service(&scratch, "a", USER);
    let mut supervise = users_supervise(&scratch, Suite::Ours, "a");
    supervise.signal("KILL");
    supervise.wait();
    shell(&scratch, "install -m 4755 $(command -v sleep) asroot");
    let mut command = as_user(&scratch, "sh");
    // The FIFOs have readers, too.
    let script = "cd a; exec 9>>supervise/lock 8<>supervise/ok 7<>supervise/control; \
                  flock 9; exec ../asroot 1000";
    command.args(["-c", script]);
    let holder = scratch.start(command, "holder");
    let exe = format!("/proc/{}/exe", holder.pid());
    wait_until("the program runs", || {
        std::fs::read_link(&exe).is_ok_and(|exe| exe == scratch.at("asroot"))
    });
    let output = svcstart(&scratch, &["a"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(scratch.read("a/ran"), "");
}

/// Whatever runs it, root's svcstart runs no script of the service in `place`, in which a
/// process of root's alone has `supervise/lock` locked.
fn assert_no_script_runs(scratch: &Scratch, place: &str) {
    scratch.script(format!("{place}/start"), "id -u >> ran");
    shell(scratch, &format!("chown -h {USER} {place} {place}/*"));
    refused(&svcstart(scratch, &[place]), place, UNKNOWN);
    assert_eq!(scratch.read(format!("{place}/ran")), "");
}

#[test]
fn roots_multilog_makes_no_supervise_roots() {
    if !can("a log directory that looks like a service") {
        return;
    }
    let scratch = Scratch::new();
    let script = "mkdir a; chown 65534 a; mkfifo in; exec multilog ./a <>in";
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-c", script]);
    let _multilog = scratch.start(command, "multilog");
    wait_until("it logs", || scratch.at("a/current").exists());
    // What the owner of the directory may do.
    shell(
        &scratch,
        "cd a; ln -s . supervise; mkfifo ok control; head -c 18 /dev/zero >status",
    );
    let _readers = scratch.start(
        {
            let mut command = scratch.command(Suite::Ours, "sh");
            let script = "exec 8<>a/ok 7<>a/control; : >ready; exec sleep 1000";
            command.args(["-c", script]);
            command
        },
        "readers",
    );
    wait_until("the FIFOs have readers", || scratch.at("ready").exists());
    assert_no_script_runs(&scratch, "a");
}

#[test]
fn a_program_that_gave_all_its_ids_to_root_makes_no_supervise_roots() {
    if !can("a set-user-ID program that is all root's") {
        return;
    }
    let scratch = Scratch::new();
    service(&scratch, "a", USER);
    // As sudo does: then its name and where it is are all that its caller has chosen.
    shell(
        &scratch,
        "mkdir names; install -m 4755 $(command -v flock) asroot; ln -s ../asroot names/supervise
        mkdir a/supervise; cd a/supervise; mkfifo ok control; head -c 18 /dev/zero >status",
    );
    let mut command = scratch.command(Suite::Ours, "sh");
    let script = "cd a; exec 8<>supervise/ok 7<>supervise/control; \
                  exec ../names/supervise supervise/lock sleep 1000";
    command.args(["-c", script]);
    let holder = scratch.start(command, "holder");
    wait_until("it holds the lock", || {
        let children = format!("/proc/{0}/task/{0}/children", holder.pid());
        std::fs::read_to_string(children).is_ok_and(|children| !children.is_empty())
    });
    assert_no_script_runs(&scratch, "a");
}

#[test]
fn where_proc_does_not_tell_root_runs_no_script() {
    if !can("svcstart without /proc") {
        return;
    }
    let scratch = Scratch::new();
    service(&scratch, "a", "0");
    let _supervise = scratch.daemon(Suite::Ours, "supervise", &["a"], "supervise");
    scratch.wait_supervised("a");
    let svcstart = Suite::Ours.program("svcstart");
    for (options, before) in [
        ("-m", "mount -t tmpfs none /proc"),
        // The supervise is in another pid namespace.
        ("-mpf", "mount -t proc none /proc"),
    ] {
        let mut command = scratch.command(Suite::Ours, "unshare");
        let script = format!("{before} && exec {} a", svcstart.display());
        command.args([options, "sh", "-c", &script]);
        refused(&finish(command), "a", UNKNOWN);
    }
    assert_eq!(scratch.read("a/ran"), "");
}
