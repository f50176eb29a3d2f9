//! What another user cannot have root's programs do: who may write a service's
//! `supervise/`, who can make processes of any name, whose tree root looks at.
//! `docs/security.md` says who is trusted with what.

use crate::harness::{
    Daemon, Output, Scratch, Suite, World, children_called, finish, is_alive, is_root, wait_child,
    wait_until,
};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::SystemTime;

/// Stays.
const STAYS: &str = "exec sleep 2147483647";

/// Gives `name` and all in it to the user daemon, links in it themselves.
fn give_away(scratch: &Scratch, name: &str) {
    let mut command = scratch.command(Suite::Ours, "chown");
    command.args(["-hR", "daemon:daemon"]).arg(scratch.at(name));
    assert_eq!(finish(command).code, 0);
}

/// A file of root's that nobody else may read.
struct Victim<'a> {
    scratch: &'a Scratch,
    /// When it was changed last.
    modified: i64,
}

impl Victim<'_> {
    fn new(scratch: &Scratch) -> Victim<'_> {
        scratch.write("victim", "eighteen bytes are");
        let file = fs::File::options().write(true).open(scratch.at("victim"));
        let file = file.unwrap();
        let owner_only = fs::Permissions::from_mode(0o600);
        file.set_permissions(owner_only).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let modified = file.metadata().unwrap().mtime();
        Victim { scratch, modified }
    }

    fn assert_whole(&self, what: &str) {
        assert_eq!(self.scratch.read("victim"), "eighteen bytes are", "{what}");
        let metadata = fs::metadata(self.scratch.at("victim")).unwrap();
        assert_eq!(metadata.uid(), 0, "{what}");
        assert_eq!(metadata.mode() & 0o777, 0o600, "{what}");
        assert_eq!(metadata.mtime(), self.modified, "{what}");
    }
}

fn supervise(scratch: &Scratch, name: &str) -> Daemon {
    scratch.daemon(Suite::Ours, "supervise", &[name], "supervise")
}

fn run(scratch: &Scratch, program: &str, words: &[&str]) -> Output {
    scratch.run(Suite::Ours, program, words)
}

/// Puts a link in the place of `name`, or another name for the file.
fn lead(scratch: &Scratch, name: &str, target: &str, is_hard: bool) {
    let path = scratch.at(name);
    let _ = fs::remove_file(&path);
    let target = scratch.at(target);
    match is_hard {
        true => fs::hard_link(target, path).unwrap(),
        false => symlink(target, path).unwrap(),
    }
}

fn fifo(scratch: &Scratch, name: &str) {
    nix::unistd::mkfifo(&scratch.at(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
}

#[test]
fn whoever_owns_supervise_leads_root_to_no_other_file() {
    if !is_root("links in a supervise of another user's") {
        return;
    }
    for is_hard in [false, true] {
        for name in [
            "control",
            "status",
            "status.new",
            "state",
            "svscan",
            "lock",
            "ok",
        ] {
            let scratch = Scratch::new();
            let victim = Victim::new(&scratch);
            scratch.service("a", "echo started >>started; exec sleep 2147483647");
            scratch.mkdir("a/supervise");
            let path = format!("a/supervise/{name}");
            lead(&scratch, &path, "victim", is_hard);
            give_away(&scratch, "a/supervise");
            // A hard link has the owner of the file.
            let root = std::os::unix::fs::chown(scratch.at("victim"), Some(0), Some(0));
            root.unwrap();
            let what = format!("{name}, hard: {is_hard}");
            let mut daemon = supervise(&scratch, "a");
            // Without what it needs it gives up.
            let gives_up = match name {
                "control" => true,
                "ok" | "lock" => !is_hard,
                _ => false,
            };
            if !gives_up {
                wait_until(&what, || scratch.read("a/started").lines().count() == 1);
                scratch.wait_supervised("a");
                run(&scratch, "svc", &["-k", "a"]);
                wait_until(&what, || scratch.read("a/started").lines().count() == 2);
                run(&scratch, "svstat", &["a"]);
                if name == "status" {
                    lead(&scratch, &path, "victim", is_hard);
                    run(&scratch, "svc", &["-c", "a"]);
                }
                run(&scratch, "svcstop", &["a"]);
                let left = run(&scratch, "svc", &["-x", "a"]);
                assert_eq!(left.errors(), "", "{what}");
                assert_eq!(daemon.wait(), 0, "{what}");
            } else {
                assert_eq!(daemon.wait(), 111, "{what}");
                run(&scratch, "svc", &["-dx", "a"]);
                run(&scratch, "svok", &["a"]);
            }
            victim.assert_whole(&what);
        }
    }
}

#[test]
fn root_makes_no_file_where_a_link_leads() {
    if !is_root("links to nothing in a supervise of another user's") {
        return;
    }
    for name in [
        "control",
        "status",
        "status.new",
        "state",
        "svscan",
        "lock",
        "ok",
    ] {
        let scratch = Scratch::new();
        scratch.service("a", STAYS);
        scratch.mkdir("a/supervise");
        lead(&scratch, &format!("a/supervise/{name}"), "made", false);
        give_away(&scratch, "a/supervise");
        let mut daemon = supervise(&scratch, "a");
        if ["control", "lock", "ok"].contains(&name) {
            assert_eq!(daemon.wait(), 111, "{name}");
        } else {
            scratch.wait_up("a");
            scratch.wait_supervised("a");
            run(&scratch, "svcstop", &["a"]);
        }
        assert!(fs::symlink_metadata(scratch.at("made")).is_err(), "{name}");
    }
}

#[test]
fn commands_are_written_to_no_file_but_a_fifo_or_ones_own() {
    if !is_root("a control of another user's") {
        return;
    }
    let scratch = Scratch::new();
    let victim = Victim::new(&scratch);
    scratch.mkdir("a/supervise");
    let control = "a/supervise/control";
    let refused = |what: &str, why: &str| {
        let left = run(&scratch, "svc", &["-dx", "a"]);
        let line = format!("svc: warning: unable to control a: {why}\n");
        assert_eq!(left.errors(), line, "{what}");
        let said = run(&scratch, "svcstop", &["a"]).failure("svcstop", "a");
        let is_told = said.starts_with("supervise/control is not a FIFO;");
        assert!(is_told || why == "not a directory", "{what}: {said}");
    };
    // As if a supervise ran.
    fifo(&scratch, "a/supervise/ok");
    let mut options = fs::File::options();
    let _ok = options
        .read(true)
        .write(true)
        .open(scratch.at("a/supervise/ok"));
    let not_here = "symbolic link loop";
    lead(&scratch, control, "victim", false);
    refused("a link", not_here);
    let _ = fs::remove_file(scratch.at(control));
    symlink("/dev/null", scratch.at(control)).unwrap();
    refused("a link to a device", not_here);
    // As the control of another service, in which its supervise would read them.
    fifo(&scratch, "other");
    let mut other = options.open(scratch.at("other")).unwrap();
    lead(&scratch, control, "other", false);
    refused("a link to a FIFO", not_here);
    // Had they been written, they would be there, and this byte not alone.
    other.write_all(b".").unwrap();
    assert_eq!(other.read(&mut [0; 9]).unwrap(), 1);
    lead(&scratch, control, "victim", true);
    refused("another name of a file", "permission denied");
    victim.assert_whole("after all");
    let _ = fs::remove_file(scratch.at(control));
    scratch.write(control, "");
    give_away(&scratch, control);
    refused("another user's file", "permission denied");
    // It may have been moved there.
    fs::remove_file(scratch.at(control)).unwrap();
    scratch.write(control, "");
    give_away(&scratch, "a/supervise");
    let root = std::os::unix::fs::chown(scratch.at(control), Some(0), Some(0));
    root.unwrap();
    refused("in another user's directory", "permission denied");
    fs::rename(scratch.at("a/supervise"), scratch.at("a/other")).unwrap();
    symlink("other", scratch.at("a/supervise")).unwrap();
    let root = std::os::unix::fs::chown(scratch.at("a/other"), Some(0), Some(0));
    root.unwrap();
    refused("in a directory that is a link", "not a directory");
    assert_eq!(scratch.read(control), "");
    fs::remove_file(scratch.at("a/supervise")).unwrap();
    fs::rename(scratch.at("a/other"), scratch.at("a/supervise")).unwrap();
    let left = run(&scratch, "svc", &["-dx", "a"]);
    assert_eq!((left.errors().as_str(), left.code), ("", 0));
    assert_eq!(scratch.read(control), "dx", "one's own");
}

#[test]
fn control_can_be_delegated_and_stays_of_use_for_root() {
    if !is_root("a control FIFO of another user's") {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", STAYS);
    let mut daemon = supervise(&scratch, "a");
    scratch.wait_up("a");
    scratch.wait_supervised("a");
    give_away(&scratch, "a/supervise/control");
    let anybody_enters = fs::Permissions::from_mode(0o711);
    fs::set_permissions(scratch.at("a/supervise"), anybody_enters).unwrap();
    // 0.76's, where our programs may be closed to the user.
    let svc = Path::new("/usr/bin/svc");
    if svc.exists() {
        let mut command = scratch.command(Suite::Ours, "setpriv");
        command.args(["--reuid", "daemon", "--clear-groups"]);
        command.arg(svc).args(["-d", "a"]);
        assert_eq!(finish(command).errors(), "");
        scratch.wait_down("a");
    }
    assert_eq!(run(&scratch, "svcstart", &["a"]).code, 0);
    assert_eq!(run(&scratch, "svcstop", &["a"]).code, 0);
    assert_eq!(run(&scratch, "svc", &["-x", "a"]).errors(), "");
    assert_eq!(daemon.wait(), 0);
}

#[test]
fn what_stands_in_the_place_of_a_file_blocks_nobody_and_is_not_read_for_ever() {
    if !is_root("FIFOs and endless files in a supervise of another user's") {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("a", STAYS);
    let _daemon = supervise(&scratch, "a");
    scratch.wait_up("a");
    let status = "a/supervise/status";
    fs::remove_file(scratch.at(status)).unwrap();
    fifo(&scratch, status);
    give_away(&scratch, "a/supervise");
    let said = scratch.svstat("a");
    assert_eq!(said, "unable to read supervise/status: bad format");
    lead(&scratch, status, "/dev/zero", false);
    let said = scratch.svstat("a");
    assert_eq!(said, "unable to open supervise/status: symbolic link loop");
    fs::remove_file(scratch.at(status)).unwrap();
    run(&scratch, "svc", &["-c", "a"]);
    wait_until("a status is written", || {
        scratch.svstat("a").starts_with("up")
    });
}

/// Copies sleep(1) to this place: a process of any name.
fn sleeper(scratch: &Scratch, name: &str) {
    let mut install = scratch.command(Suite::Ours, "install");
    install
        .args(["-D", "-m", "755", "/bin/sleep"])
        .arg(scratch.at(name));
    assert_eq!(finish(install).code, 0);
}

/// Waits for the process that runs `forged/supervise`.
fn wait_forged(scratch: &Scratch) -> u32 {
    let runs = |pid: &u32| {
        let program = fs::read_link(format!("/proc/{pid}/exe"));
        program.is_ok_and(|program| program == scratch.at("forged/supervise"))
    };
    let find = || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.find(runs)
    };
    wait_until("the forged supervise runs", || find().is_some());
    find().unwrap()
}

#[test]
fn a_service_of_another_user_cannot_pass_for_a_supervise_at_the_end() {
    let scratch = Scratch::new();
    let victim = Victim::new(&scratch);
    sleeper(&scratch, "forged/supervise");
    scratch.mkdir("lair/supervise");
    symlink(scratch.at("victim"), scratch.at("lair/supervise/control")).unwrap();
    fifo(&scratch, "lair/supervise/ok");
    let setuidgid = Suite::Ours.program("setuidgid").display().to_string();
    // An orphan, in a directory that looks like a service's.
    scratch.script(
        "forge",
        "cd ../../lair || exit
exec 4<>supervise/ok >/dev/null 2>&1
../forged/supervise 2147483647 &",
    );
    scratch.service(
        "service/evil",
        &format!("[ -e forged ] || {setuidgid} daemon ../../forge; : >forged; {STAYS}"),
    );
    if !is_root("a forged supervise at the end") {
        return;
    }
    give_away(&scratch, "lair");
    let program = Suite::Ours.program("svscanboot");
    let test = "a_service_of_another_user";
    let Some(mut world) = World::of_root(test, &scratch, &program, &["service"]) else {
        return;
    };
    let forged = wait_forged(&scratch);
    scratch.wait_up("service/evil");
    wait_until("all is there", || {
        scratch.at("service/evil/forged").exists()
    });
    assert_ne!(fs::metadata(format!("/proc/{forged}")).unwrap().uid(), 0);
    // Nobody waits for it.
    assert_eq!(world.end("TERM"), 0);
    victim.assert_whole("after the end");
}

#[test]
fn a_set_user_id_program_cannot_pass_for_a_supervise_at_the_end() {
    let scratch = Scratch::new();
    let test = "a_set_user_id_program";
    if !is_root("a set-user-ID program named supervise at the end") {
        return;
    }
    // Of another tree.
    scratch.service("victim", STAYS);
    let _daemon = supervise(&scratch, "victim");
    scratch.wait_up("victim");
    sleeper(&scratch, "forged/supervise");
    let set_id = fs::Permissions::from_mode(0o4755);
    fs::set_permissions(scratch.at("forged/supervise"), set_id).unwrap();
    // All that its caller chooses of a program like sudo, which gives all its ids to root.
    scratch.script(
        "forge",
        "cd ../../victim || exit
../forged/supervise 2147483647 >/dev/null 2>&1 &",
    );
    scratch.service(
        "service/evil",
        &format!("[ -e forged ] || ../../forge; : >forged; {STAYS}"),
    );
    let program = Suite::Ours.program("svscanboot");
    let Some(mut world) = World::of_root(test, &scratch, &program, &["service"]) else {
        return;
    };
    wait_forged(&scratch);
    scratch.wait_up("service/evil");
    assert_eq!(world.end("TERM"), 0);
    let said = scratch.svstat("victim");
    assert!(said.starts_with("up"), "{said}");
}

#[test]
fn a_set_user_id_program_cannot_pass_for_roots_readproctitle() {
    if !is_root("a set-user-ID program named readproctitle") {
        return;
    }
    let scratch = Scratch::new();
    sleeper(&scratch, "forged/readproctitle");
    let path = scratch.at("forged/readproctitle");
    let is_shown = |mode: u32, seconds: &str| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = scratch.command(Suite::Ours, &path);
        command.arg(seconds);
        let forged = scratch.start(command, "forged");
        let exe = format!("/proc/{}/exe", forged.pid());
        wait_until("it runs", || {
            fs::read_link(&exe).is_ok_and(|exe| exe == path)
        });
        run(&scratch, "svclog", &[]).text().contains(seconds)
    };
    assert!(is_shown(0o755, "2147483601"));
    assert!(!is_shown(0o4755, "2147483602"));
}

#[test]
fn a_process_of_another_user_cannot_pass_for_an_earlier_svscan() {
    let scratch = Scratch::new();
    scratch.mkdir("service");
    sleeper(&scratch, "forged/svscan");
    let setuidgid = Suite::Ours.program("setuidgid").display().to_string();
    let script = format!(
        "cd service && {setuidgid} daemon ../forged/svscan 2147483647 & \
         read -r word <go; exec svscanboot service"
    );
    fifo(&scratch, "go");
    let shell = Path::new("/bin/sh");
    let test = "a_process_of_another_user";
    let Some(mut world) = World::of_root(test, &scratch, shell, &["-c", &script]) else {
        return;
    };
    let forged = wait_child(world.first, "svscan");
    let is_daemon = || fs::metadata(format!("/proc/{forged}")).unwrap().uid() != 0;
    wait_until("it is daemon's", is_daemon);
    fs::write(scratch.at("go"), "go\n").unwrap();
    wait_until("our svscan runs", || {
        children_called(world.first, "svscan").len() == 2
    });
    assert!(is_alive(forged));
    assert_eq!(world.end("TERM"), 0);
}

#[test]
fn the_services_get_no_descriptor_of_whoever_started_svscanboot() {
    let scratch = Scratch::new();
    scratch.service("service/a", STAYS);
    scratch.service("service/a/log", STAYS);
    scratch.write("secret", "");
    fifo(&scratch, "go");
    let script = "exec 7<secret; read -r word <go; exec svscanboot service";
    let shell = Path::new("/bin/sh");
    let test = "the_services_get_no_descriptor";
    let Some(mut world) = World::of_root(test, &scratch, shell, &["-c", script]) else {
        return;
    };
    fs::write(scratch.at("go"), "go\n").unwrap();
    let scanner = world.scanner();
    let title = wait_child(world.first, "readproctitle");
    let mut services = Vec::new();
    wait_until("both services run", || {
        let supervises = children_called(scanner, "supervise").into_iter();
        services = supervises
            .flat_map(|pid| children_called(pid, "sleep"))
            .collect();
        services.len() == 2
    });
    let has_secret = |pid: u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let mut open = open.flat_map(|entry| fs::read_link(entry.path()));
        open.any(|file| file == scratch.at("secret"))
    };
    for pid in [scanner, title].iter().chain(&services) {
        assert!(!has_secret(*pid), "{pid}");
    }
    for pid in services {
        let mut open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        open.sort();
        assert_eq!(open, ["0", "1", "2"]);
    }
    // A lock that is held for it, by setlock for instance, stays held.
    assert!(has_secret(world.first));
    assert_eq!(world.end("TERM"), 0);
}

#[test]
fn root_takes_no_supervise_from_the_current_directory() {
    if !is_root("an empty element of PATH") {
        return;
    }
    let scratch = Scratch::new();
    sleeper(&scratch, "bin/nothing");
    let mut copy = scratch.command(Suite::Ours, "cp");
    copy.arg(Suite::Ours.program("svscan"))
        .arg(scratch.at("bin/svscan"));
    assert_eq!(finish(copy).code, 0);
    scratch.service("scan/a", STAYS);
    scratch.script("scan/supervise", "echo ran >>../ran; exec sleep 2147483647");
    scratch.write("ran", "");
    give_away(&scratch, "ran");
    let svscan = |user: &str, log: &str| {
        let mut command = scratch.command(Suite::Ours, "/usr/bin/setpriv");
        command.args(["--reuid", user, "--clear-groups"]);
        command.arg(scratch.at("bin/svscan")).arg("scan");
        command.env("PATH", ":/nowhere:");
        command.env_remove("LD_LIBRARY_PATH");
        scratch.start(command, log)
    };
    let _root = svscan("0", "root");
    let line = "svscan: warning: unable to start supervise a: file does not exist\n";
    wait_until("none is found", || scratch.read("root.err").contains(line));
    assert_eq!(scratch.read("ran"), "");
    // As in 0.76.
    let _daemon = svscan("daemon", "daemon");
    wait_until("it is found", || scratch.read("ran") == "ran\n");
}

#[test]
fn a_record_that_cannot_be_read_holds_svcstart_up_for_no_time() {
    let scratch = Scratch::new();
    // Whoever owns supervise/ could do so.
    scratch.service("a", "rm supervise/state; mkfifo supervise/state; exit 3");
    let _daemon = supervise(&scratch, "a");
    scratch.wait_supervised("a");
    let left = run(&scratch, "svcstart", &["a"]);
    assert_eq!(left.code, 1, "{left:?}");
}

#[test]
fn a_record_that_nobody_holds_or_that_has_no_checksum_is_not_believed() {
    let scratch = Scratch::new();
    scratch.service("a", "head -c 1000000 /dev/zero >supervise/state; exit 3");
    scratch.service(
        "b",
        "cp supervise/state supervise/forged; mv supervise/forged supervise/state; exit 3",
    );
    for name in ["a", "b"] {
        let _daemon = supervise(&scratch, name);
        scratch.wait_supervised(name);
        let left = run(&scratch, "svcstart", &[name]);
        assert_eq!(left.code, 1, "{left:?}");
        let left = run(&scratch, "svcstop", &[name]);
        assert_eq!(left.code, 0, "{left:?}");
        // It is made anew, and cut to its size.
        wait_until("there is a record", || {
            let size = fs::metadata(scratch.at(format!("{name}/supervise/state")));
            size.is_ok_and(|size| size.len() == 1024)
        });
    }
}
