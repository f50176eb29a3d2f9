//! `make demo` and `make install`, with the programs of this build.

use crate::harness::{Scratch, Suite, finish, wait_until};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `make demo` runs, with all its files below `tmp` here. Whoever runs the
/// tests may ignore SIGINT; the demo must not.
fn demo(scratch: &Scratch) -> Command {
    scratch.mkdir("tmp");
    let mut command = scratch.command(Suite::Ours, "env");
    command
        .args(["--default-signal=INT", "sh"])
        .arg(root().join("tools/demo"))
        .arg(Suite::Ours.directory())
        .env("TMPDIR", scratch.at("tmp"))
        .env_remove("DEMO_SECONDS");
    command
}

fn nothing_is_left(scratch: &Scratch) {
    wait_until("no process is left", || scratch.processes().is_empty());
    assert_eq!(fs::read_dir(scratch.at("tmp")).unwrap().count(), 0);
}

#[test]
fn the_demo_shows_the_main_job_and_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let mut command = demo(&scratch);
    command.env("DEMO_SECONDS", "0");
    let output = finish(command);
    assert_eq!((output.code, output.errors().as_str()), (0, ""));
    let text = output.text();
    let mut rest = text.as_str();
    for shown in [
        "$ svcstart service/hello\nStarting service/hello .",
        "OK\n$ svstat service/hello service/hello/log\nservice/hello: up (pid ",
        "$ kill -KILL ",
        " runs: back after ",
        " ms\n",
        "$ svcstop service/hello\nStopping service/hello .",
        "OK\n$ svstat service/hello\nservice/hello: down ",
        "$ svcstart service/hello\nStarting service/hello .",
        "OK\n",
        "It goes on for 0 seconds.",
    ] {
        let at = rest.find(shown);
        rest = &rest[at.unwrap_or_else(|| panic!("{shown:?} is not in\n{text}"))..][shown.len()..];
    }
    nothing_is_left(&scratch);
}

#[test]
fn the_demo_stays_until_ctrl_c_and_leaves_nothing_behind() {
    for seconds in [None, Some("1000")] {
        let scratch = Scratch::new();
        let mut command = demo(&scratch);
        if let Some(seconds) = seconds {
            command.env("DEMO_SECONDS", seconds);
        }
        command.process_group(0);
        let mut demo = scratch.start(command, "demo");
        wait_until("it goes on", || {
            scratch.read("demo.out").contains("# It goes on ")
        });
        // The terminal sends it to all of them.
        let group = format!("-{}", demo.pid());
        let mut kill = scratch.command(Suite::Ours, "/bin/kill");
        kill.args(["-s", "INT", "--", &group]);
        assert_eq!(finish(kill).code, 0);
        assert_eq!(demo.wait(), 130, "{}", scratch.read("demo.err"));
        nothing_is_left(&scratch);
    }
}

#[test]
fn make_install_puts_everything_below_destdir_and_prefix() {
    if !crate::harness::has("make install", &["make"]) {
        return;
    }
    let scratch = Scratch::new();
    let mut command = scratch.command(Suite::Ours, "make");
    command.arg("-C").arg(root());
    // Not built anew: the programs of the tests will do.
    command.args(["-s", "-o", "build", "install", "PREFIX=/usr"]);
    command.arg(format!("BUILT={}", Suite::Ours.directory().display()));
    command.arg(format!("DESTDIR={}", scratch.at("root").display()));
    let output = finish(command);
    assert_eq!(output.code, 0, "{output:?}");
    let is_executable = |path: &str| {
        fs::metadata(scratch.at(path)).is_ok_and(|m| m.is_file() && m.permissions().mode() & 1 == 1)
    };
    for program in [
        "supervise",
        "svscan",
        "svc",
        "svok",
        "svstat",
        "svcstart",
        "svcstop",
        "svcreset",
        "svcrestart",
        "setuidgid",
        "softlimit",
        "multilog",
    ] {
        assert!(is_executable(&format!("root/usr/bin/{program}")));
        let page = format!("root/usr/share/man/man8/{program}.8");
        assert!(scratch.at(&page).is_file(), "{page}");
    }
    // All are one file.
    let file = |path: &str| fs::metadata(scratch.at(path)).unwrap().ino();
    for program in ["softlimit", "setuidgid", "envuidgid"] {
        assert_eq!(
            file(&format!("root/usr/bin/{program}")),
            file("root/usr/bin/daemontools-rs")
        );
    }
    assert!(is_executable("root/usr/bin/daemontools-rs-nss"));
    let run = |words: &[&str]| {
        let mut command = scratch.command(Suite::Ours, scratch.at("root/usr/bin").join(words[0]));
        finish({
            command.args(&words[1..]);
            command
        })
    };
    assert_eq!(run(&["softlimit", "echo", "x"]).text(), "x\n");
    assert_eq!(
        run(&["daemontools-rs", "softlimit", "echo", "x"]).text(),
        "x\n"
    );
    assert_eq!(
        run(&["daemontools-rs", "svok"]).errors(),
        "svok: usage: svok dir\n"
    );
    // As under its own name: what the process is called, and what is not open.
    let mut shell = scratch.command(Suite::Ours, "sh");
    shell.args([
        "-c",
        "root/usr/bin/daemontools-rs fghack sh -c 'cat /proc/$PPID/comm'
        root/usr/bin/daemontools-rs softlimit sh -c 'test -e /dev/fd/0 || echo closed' <&-",
    ]);
    assert_eq!(finish(shell).text(), "fghack\nclosed\n");
    for program in ["daemontools-rs", "daemontools-rs-nss"] {
        assert_eq!(
            run(&[program, "setuidgid"]).errors(),
            "setuidgid: usage: setuidgid account child\n"
        );
        let unknown = run(&[program, "nosuch"]);
        assert_eq!(unknown.errors(), format!("{program}: no program nosuch\n"));
        assert_eq!(unknown.code, 100);
        let version = run(&[program, "--version"]);
        let expected = format!("{program} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!((version.text(), version.code), (expected, 0));
    }
    for program in ["svcstart", "svclog", "svctimeline"] {
        let expected = format!("{program} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(run(&[program, "--version"]).text(), expected);
    }
    let example = "root/usr/share/daemontools-rs/service-examples/hello/run";
    assert!(is_executable(example), "{example}");
    // What starts it at boot is where it was put.
    for (file, line) in [
        (
            "daemontools-rs.service",
            "\nExecStart=/usr/bin/svscanboot\n",
        ),
        ("inittab", ":respawn:/usr/bin/svscanboot\n"),
    ] {
        let text = scratch.read(format!("root/usr/share/daemontools-rs/boot/{file}"));
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("/usr/local"), "{text}");
    }
    // In a container they are where this file puts them.
    let dockerfile = "root/usr/share/daemontools-rs/boot/Dockerfile";
    let ours = fs::read_to_string(root().join("docs/boot/Dockerfile")).unwrap();
    assert_eq!(scratch.read(dockerfile), ours);
}

#[test]
fn make_uninstall_removes_what_make_install_made_and_nothing_else() {
    if !crate::harness::has("make uninstall", &["make"]) {
        return;
    }
    let scratch = Scratch::new();
    let make = |target: &str| {
        let mut command = scratch.command(Suite::Ours, "make");
        command.arg("-C").arg(root());
        command.args(["-s", "-o", "build", target, "PREFIX=/usr"]);
        command.arg(format!("BUILT={}", Suite::Ours.directory().display()));
        command.arg(format!("DESTDIR={}", scratch.at("root").display()));
        let output = finish(command);
        assert_eq!(output.code, 0, "{output:?}");
        output.errors()
    };
    scratch.mkdir("root/usr/bin");
    scratch.executable("root/usr/bin/svc", "another package's");
    scratch.write("root/usr/bin/other", "other");
    let warning = "root/usr/bin/svc is replaced: it was not part of daemontools-rs\n";
    let errors = make("install");
    assert!(errors.starts_with("install: warning: "), "{errors}");
    assert!(errors.ends_with(warning), "{errors}");
    assert_eq!(make("install"), "", "an upgrade replaces its own only");
    // Somebody put his own in the place of one of ours.
    fs::remove_file(scratch.at("root/usr/bin/svok")).unwrap();
    scratch.write("root/usr/bin/svok", "his own");
    assert_eq!(make("uninstall"), "");
    let left = |directory: &str| {
        let entries = fs::read_dir(scratch.at(directory)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(left("root/usr/bin"), ["other", "svok"]);
    assert_eq!(left("root/usr/share/man/man8"), ["svok.8"]);
    assert_eq!(left("root/usr/share"), ["man"]);
    assert_eq!(make("uninstall"), "", "there is nothing to remove");
}

#[test]
fn of_the_one_file_a_link_is_the_program_it_is_named_after_however_it_is_called() {
    use std::os::unix::process::CommandExt;
    let scratch = Scratch::new();
    let one = fs::read(Suite::Ours.program("daemontools-rs")).unwrap();
    scratch.executable("daemontools-rs", one);
    fs::hard_link(scratch.at("daemontools-rs"), scratch.at("softlimit")).unwrap();
    std::os::unix::fs::symlink("softlimit", scratch.at("limit")).unwrap();
    std::os::unix::fs::symlink("daemontools-rs", scratch.at("pgrphack")).unwrap();
    for (file, called) in [
        ("softlimit", "softlimit"),
        ("softlimit", "-sh"),
        ("softlimit", ""),
        ("softlimit", "svc"),
        ("softlimit", "daemontools-rs"),
        ("limit", "limit"),
        ("pgrphack", "bin/pgrphack"),
    ] {
        let mut command = scratch.command(Suite::Ours, scratch.at(file));
        command.arg0(called).args(["echo", "ran"]);
        let output = finish(command);
        let seen = (output.text(), output.errors(), output.code);
        assert_eq!(seen, ("ran\n".into(), String::new(), 0), "{file} {called}");
    }
}
