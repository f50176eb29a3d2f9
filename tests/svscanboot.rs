//! svscanboot: real trees, as process 1 and not, to their end. Each stands in a pid
//! namespace of its own: its environment is empty, so nothing else marks what
//! belongs to it, and with the first process everything in it ends.

use crate::harness::{
    Daemon, Scratch, Suite, finish, has, is_alive, signal, skip_unless, wait_until,
};
use crate::readproctitle::command_line;
use daemontools_rs::boot::machine::{GRACE, LOOK, REST, STOP};
use daemontools_rs::boot::shell::{DOTS, PATH};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A pid namespace and its process 1, with its pid as seen from here.
struct World {
    _unshare: Option<Daemon>,
    first: u32,
}

impl World {
    /// Starts one whose process 1 is `program` with `words`; None, having said
    /// why, if that cannot be had here.
    fn start(
        test: &str,
        scratch: &Scratch,
        program: &Path,
        words: &[&str],
        variables: &[(&str, &Path)],
    ) -> Option<World> {
        let unshare = || {
            let mut command = scratch.command(Suite::Ours, "unshare");
            command.args(["-Urpf", "--mount-proc", "--kill-child"]);
            command
        };
        let mut probe = unshare();
        probe.arg("true");
        let can = has(test, &["unshare"]) && finish(probe).code == 0;
        if !skip_unless(test, can, "no user namespaces here") {
            return None;
        }
        let mut command = unshare();
        command.arg(program).args(words);
        command.envs(variables.iter().copied());
        let daemon = scratch.start(command, "world");
        let name = program.file_name().unwrap().to_str().unwrap();
        let first = wait_child(daemon.pid(), name);
        Some(World {
            _unshare: Some(daemon),
            first,
        })
    }

    /// Starts svscanboot as process 1, over the directory `service`.
    fn svscanboot(test: &str, scratch: &Scratch) -> Option<World> {
        let program = Suite::Ours.program("svscanboot");
        World::start(test, scratch, &program, &["service"], &[])
    }

    /// Sends process 1 `name` and waits for its end; its exit code.
    fn end(&mut self, name: &str) -> i32 {
        signal(self.first, name);
        self._unshare.take().unwrap().wait()
    }

    fn scanner(&self) -> u32 {
        wait_child(self.first, "svscan")
    }

    fn title(&self) -> u32 {
        wait_child(self.first, "readproctitle")
    }
}

/// The children of `parent` that are called `name`.
fn children(parent: u32, name: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let Some((before, behind)) = stat.rsplit_once(')') else {
                return false;
            };
            // The kernel keeps fifteen bytes of a name.
            before.split_once('(').unwrap().1 == &name[..name.len().min(15)]
                && behind.split_ascii_whitespace().nth(1) == Some(&parent.to_string())
                && is_alive(*pid)
        })
        .collect()
}

fn wait_child(parent: u32, name: &str) -> u32 {
    let mut found = None;
    wait_until(&format!("{name} runs"), || {
        found = children(parent, name).first().copied();
        found.is_some()
    });
    found.unwrap()
}

/// What the process `pid` was given as its environment.
fn environment(pid: u32) -> String {
    String::from_utf8(fs::read(format!("/proc/{pid}/environ")).unwrap()).unwrap()
}

/// Waits until readproctitle, the child of `boot`, shows `text` as the newest.
fn wait_title(boot: u32, text: &str) {
    let words = "readproctitle\0service\0errors:\0";
    wait_until(&format!("the title shows {text:?}"), || {
        children(boot, "readproctitle").iter().any(|pid| {
            let line = command_line(*pid);
            let shown = String::from_utf8_lossy(&line);
            shown.starts_with(words) && shown.trim_end_matches('\0').ends_with(text)
        })
    });
}

/// A service that says on stderr what is written into its FIFO `tell`.
fn complainer(scratch: &Scratch, name: &str) {
    scratch.service(
        name,
        "exec 3<>tell; while read -r line <&3; do echo \"$line\" >&2; done",
    );
    let fifo = scratch.at(name).join("tell");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

fn complain(scratch: &Scratch, name: &str, text: &str) {
    fs::write(scratch.at(name).join("tell"), text).unwrap();
}

/// Something that stays until TERM, and then says `last words` on stdout.
const TALKER: &str = "trap 'kill $!; i=0
while [ $i -lt 2000 ]; do echo \"line $i\"; i=$((i + 1)); done
echo \"service ended\" >>order; echo \"last words\"; exit' TERM
sleep 2147483647 & echo ready; wait";

fn last_words() -> String {
    let lines: String = (0..2000).map(|i| format!("line {i}\n")).collect();
    format!("ready\n{lines}last words\n")
}

#[test]
fn process_1_ends_all_in_order_and_no_line_is_lost() {
    for name in ["TERM", "INT"] {
        let scratch = Scratch::new();
        scratch.service("service/slow", TALKER);
        // A log that takes its time, and is told to stop only if it does not end.
        scratch.service(
            "service/slow/log",
            "while read -r line; do echo \"$line\"; done >>all; echo 'log ended' >>../order",
        );
        scratch.service("service/fast", TALKER);
        let multilog = Suite::Ours.program("multilog");
        scratch.service(
            "service/fast/log",
            &format!("exec {} s1000000 ./main", multilog.display()),
        );
        scratch.service("service/unlogged", "exec sleep 2147483647");
        let Some(mut world) = World::svscanboot("process_1_ends", &scratch) else {
            return;
        };
        for log in ["slow/log/all", "fast/log/main/current"] {
            let log = Path::new("service").join(log);
            wait_until("it is ready", || scratch.read(&log) == "ready\n");
        }
        scratch.wait_up("service/unlogged");
        assert_eq!(world.end(name), 0);
        assert_eq!(scratch.read("service/slow/log/all"), last_words());
        assert_eq!(scratch.read("service/fast/log/main/current"), last_words());
        let mode = fs::metadata(scratch.at("service/fast/log/main/current")).unwrap();
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(mode.permissions().mode() & 0o777, 0o744, "finished");
        let order = scratch.read("service/slow/order");
        let mut lines: Vec<&str> = order.lines().collect();
        lines.dedup();
        // A log whose pipe ends before its `x` came is started again, and reads nothing.
        assert_eq!(lines, ["service ended", "log ended"]);
    }
}

#[test]
fn the_services_have_nothing_but_path_and_ps_shows_the_words_of_the_original() {
    let scratch = Scratch::new();
    scratch.service("service/sleeper", "exec sleep 2147483647");
    let Some(mut world) = World::svscanboot("the_services_have_nothing", &scratch) else {
        return;
    };
    let (title, scanner) = (world.title(), world.scanner());
    let supervise = wait_child(scanner, "supervise");
    let sleep = wait_child(supervise, "sleep");
    for pid in [title, scanner, supervise] {
        assert_eq!(environment(pid), format!("PATH={PATH}\0"));
    }
    // sh, which executes `run`, adds PWD and the like.
    assert!(!environment(sleep).contains("DAEMONTOOLS"));
    assert_eq!(command_line(scanner), b"svscan\0service\0");
    let dots = ".".repeat(DOTS);
    let line = format!("readproctitle\0service\0errors:\0{dots}\0");
    assert_eq!(command_line(title), line.as_bytes());
    for (number, open) in [(0, "/dev/null"), (1, "pipe:"), (2, "pipe:")] {
        let link = fs::read_link(format!("/proc/{sleep}/fd/{number}")).unwrap();
        assert!(link.to_str().unwrap().starts_with(open), "{link:?}");
    }
    for pid in [world.first, title] {
        for (number, is_null) in [(0, pid == world.first), (1, true), (2, true)] {
            let link = fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
            assert_eq!(link == Path::new("/dev/null"), is_null, "{pid} {link:?}");
        }
    }
    for pid in [title, scanner] {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let session = stat.rsplit_once(')').unwrap().1;
        let session = session.split_ascii_whitespace().nth(3).unwrap();
        let own = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let own = own.split("NSsid:").nth(1).unwrap();
        let own = own.split('\n').next().unwrap();
        assert!(own.split_ascii_whitespace().any(|id| id == session));
        assert_eq!(session, pid.to_string(), "a session of its own");
    }
    assert_eq!(world.end("TERM"), 0);
}

#[test]
fn orphans_are_reaped() {
    let scratch = Scratch::new();
    scratch.service(
        "service/sire",
        "sh -c 'sleep 2147483646 &'; exec sleep 2147483647",
    );
    let Some(mut world) = World::svscanboot("orphans_are_reaped", &scratch) else {
        return;
    };
    let orphan = wait_child(world.first, "sleep");
    signal(orphan, "KILL");
    wait_until("it is reaped", || {
        !Path::new(&format!("/proc/{orphan}")).exists()
    });
    assert_eq!(world.end("TERM"), 0);
}

#[test]
fn svscan_that_is_killed_is_back_and_the_services_do_not_notice() {
    let scratch = Scratch::new();
    scratch.service("service/sleeper", "exec sleep 2147483647");
    let Some(mut world) = World::svscanboot("svscan_that_is_killed", &scratch) else {
        return;
    };
    let pid = scratch.wait_up("service/sleeper");
    let old = world.scanner();
    signal(old, "KILL");
    wait_until("another svscan runs", || {
        children(world.first, "svscan")
            .iter()
            .any(|pid| *pid != old)
    });
    let scanner = world.scanner();
    scratch.service("new", "exec sleep 2147483647");
    scratch.link("new");
    scratch.wait_up("service/new");
    wait_child(scanner, "supervise");
    assert_eq!(scratch.pid("service/sleeper"), Some(pid));
    // Both supervises, that of the dead svscan and that of the new one, end in order.
    assert_eq!(world.end("TERM"), 0);
    for name in ["service/sleeper", "new"] {
        let said = scratch.svstat(name);
        assert_eq!(said, "supervise not running");
    }
}

#[test]
fn readproctitle_that_is_killed_is_back_and_no_line_is_lost() {
    let scratch = Scratch::new();
    complainer(&scratch, "service/complainer");
    let Some(mut world) = World::svscanboot("readproctitle_that_is_killed", &scratch) else {
        return;
    };
    complain(&scratch, "service/complainer", "first\n");
    wait_title(world.first, "....first\n");
    let old = world.title();
    signal(old, "STOP");
    wait_until("it has stopped", || {
        let status = fs::read_to_string(format!("/proc/{old}/status")).unwrap();
        status.contains("State:\tT")
    });
    complain(&scratch, "service/complainer", "second\n");
    complain(&scratch, "service/complainer", "third\n");
    signal(old, "KILL");
    wait_title(world.first, "....second\nthird\n");
    assert_ne!(world.title(), old);
    assert_eq!(world.end("TERM"), 0);
}

#[test]
fn services_do_not_wait_for_a_readproctitle_that_fails() {
    let scratch = Scratch::new();
    scratch.mkdir("bin");
    for program in ["svscanboot", "svscan", "supervise"] {
        let mut copy = Command::new("cp");
        copy.arg(Suite::Ours.program(program))
            .arg(scratch.at("bin"));
        assert!(copy.status().unwrap().success());
    }
    scratch.script("bin/readproctitle", "exit 111");
    scratch.service(
        "service/noisy",
        "head -c 150000 /dev/zero >&2; echo >through; exec sleep 2147483647",
    );
    let program = scratch.at("bin/svscanboot");
    let test = "services_do_not_wait";
    let Some(mut world) = World::start(test, &scratch, &program, &["service"], &[]) else {
        return;
    };
    wait_until("it is through", || {
        scratch.at("service/noisy/through").exists()
    });
    assert_eq!(world.end("TERM"), 0);
}

#[test]
fn the_next_svscanboot_clears_the_way() {
    let scratch = Scratch::new();
    scratch.service("service/pair", "exec sleep 2147483647");
    scratch.service("service/pair/log", "exec cat");
    // As from inittab.
    let respawn = "while :; do svscanboot service; done";
    let shell = Path::new("/bin/sh");
    let test = "the_next_svscanboot";
    let Some(world) = World::start(test, &scratch, shell, &["-c", respawn], &[]) else {
        return;
    };
    let boot = wait_child(world.first, "svscanboot");
    let scanner = wait_child(boot, "svscan");
    let old: Vec<u32> = ["service/pair", "service/pair/log"]
        .map(|name| scratch.wait_up(name))
        .into();
    signal(boot, "KILL");
    wait_until("the next one starts svscan", || {
        children(world.first, "svscanboot")
            .iter()
            .any(|next| *next != boot && !children(*next, "svscan").is_empty())
    });
    let next = wait_child(world.first, "svscanboot");
    let next_scanner = wait_child(next, "svscan");
    assert!(!is_alive(scanner), "one svscan");
    wait_until("both services run below it", || {
        let supervises = children(next_scanner, "supervise");
        let mut services: Vec<usize> = supervises
            .iter()
            .map(|pid| children(*pid, "sleep").len() + 2 * children(*pid, "cat").len())
            .collect();
        services.sort_unstable();
        services == [1, 2]
    });
    for (name, old) in ["service/pair", "service/pair/log"].iter().zip(old) {
        assert_ne!(scratch.pid(name), Some(old), "{name}");
    }
    signal(next, "TERM");
    wait_until("the tree ends", || !is_alive(next));
}

#[test]
fn a_tree_of_the_original_is_taken_over() {
    let test = "a_tree_of_the_original";
    if !has(test, &["svscan", "supervise"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("service/pair", "exec sleep 2147483647");
    scratch.service("service/pair/log", "exec cat");
    let fifo = scratch.at("go");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = "PATH=/usr/bin:/bin svscan service & read -r word <go; exec svscanboot service";
    let shell = Path::new("/bin/sh");
    let Some(mut world) = World::start(test, &scratch, shell, &["-c", script], &[]) else {
        return;
    };
    let reference = world.scanner();
    let old = ["service/pair", "service/pair/log"].map(|name| scratch.wait_up(name));
    fs::write(&fifo, "go\n").unwrap();
    wait_child(world.first, "readproctitle");
    wait_until("our svscan runs alone", || {
        let scanners = children(world.first, "svscan");
        scanners.len() == 1 && scanners[0] != reference
    });
    let scanner = world.scanner();
    wait_until("both supervises are below it", || {
        let supervises = children(scanner, "supervise");
        let inode = |path: &str| fs::metadata(path).map(|file| file.ino()).ok();
        let ours = inode(Suite::Ours.program("supervise").to_str().unwrap());
        supervises.len() == 2
            && supervises
                .iter()
                .all(|pid| inode(&format!("/proc/{pid}/exe")) == ours)
    });
    for (name, old) in ["service/pair", "service/pair/log"].iter().zip(old) {
        wait_until("it is another process", || {
            scratch.pid(name).is_some_and(|pid| pid != old)
        });
    }
    assert_eq!(world.end("TERM"), 0);
}

#[test]
fn a_service_whose_entry_is_gone_ends_in_order_too() {
    let scratch = Scratch::new();
    scratch.mkdir("service");
    scratch.service("pair", TALKER);
    scratch.service("pair/log", "cat >>all; echo 'log ended' >>../order");
    scratch.link("pair");
    scratch.service("service/renamed", "exec sleep 2147483647");
    let Some(mut world) = World::svscanboot("a_service_whose_entry_is_gone", &scratch) else {
        return;
    };
    wait_until("it is ready", || scratch.read("pair/log/all") == "ready\n");
    scratch.wait_up("service/renamed");
    fs::remove_file(scratch.at("service/pair")).unwrap();
    fs::rename(
        scratch.at("service/renamed"),
        scratch.at("service/.renamed"),
    )
    .unwrap();
    assert_eq!(world.end("TERM"), 0);
    assert_eq!(scratch.read("pair/log/all"), last_words());
    assert!(
        scratch
            .read("pair/order")
            .starts_with("service ended\nlog ended\n")
    );
    for name in ["pair", "pair/log", "service/.renamed"] {
        assert_eq!(scratch.svstat(name), "supervise not running");
    }
}

#[test]
fn a_service_with_two_names_gets_term_once() {
    let scratch = Scratch::new();
    scratch.mkdir("service");
    // The second TERM would end it before it has written the last line.
    let once = "trap 'echo TERM >>told; trap - TERM; kill $!; exec 3<>slow; read -r line <&3' TERM
sleep 2147483647 & echo ready >told; wait; echo ended >>told";
    scratch.service("one", once);
    let fifo = scratch.at("one/slow");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    scratch.link("one");
    std::os::unix::fs::symlink("../one", scratch.at("service/two")).unwrap();
    let Some(mut world) = World::svscanboot("a_service_with_two_names", &scratch) else {
        return;
    };
    wait_until("it is ready", || scratch.read("one/told") == "ready\n");
    signal(world.first, "TERM");
    wait_until("it is told", || scratch.read("one/told") == "ready\nTERM\n");
    wait_until("svscan is gone", || {
        children(world.first, "svscan").is_empty()
    });
    fs::write(&fifo, "go\n").unwrap();
    assert_eq!(world.end("TERM"), 0);
    assert_eq!(scratch.read("one/told"), "ready\nTERM\nended\n");
}

#[test]
fn what_hangs_on_to_the_pipe_of_a_log_does_not_hold_up_the_end_for_ever() {
    let scratch = Scratch::new();
    scratch.service(
        "service/runaway",
        "sleep 2147483646 & exec sleep 2147483647",
    );
    scratch.service("service/runaway/log", "exec cat >>all");
    let Some(mut world) = World::svscanboot("what_hangs_on", &scratch) else {
        return;
    };
    scratch.wait_up("service/runaway");
    scratch.wait_up("service/runaway/log");
    let supervise = children(world.scanner(), "supervise");
    wait_until("it is in the background", || {
        let sleeps = supervise.iter().flat_map(|pid| children(*pid, "sleep"));
        sleeps.count() == 1
            && fs::read_dir("/proc").unwrap().flatten().any(|entry| {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                line == b"sleep\x002147483646\0"
            })
    });
    assert_eq!(world.end("TERM"), 0);
}

#[test]
fn the_directory_is_the_argument_or_that_of_svdir() {
    let scratch = Scratch::new();
    scratch.service("elsewhere/sleeper", "exec sleep 2147483647");
    let program = Suite::Ours.program("svscanboot");
    let root = scratch.at("elsewhere");
    let test = "the_directory_is";
    let variables: [(&str, &Path); 1] = [("SVDIR", &root)];
    let Some(mut world) = World::start(test, &scratch, &program, &[], &variables) else {
        return;
    };
    scratch.wait_up("elsewhere/sleeper");
    let line = format!("svscan\0{}\0", root.display());
    assert_eq!(command_line(world.scanner()), line.as_bytes());
    assert_eq!(world.end("TERM"), 0);
}

#[test]
fn a_directory_that_is_not_there_is_told_at_once() {
    let scratch = Scratch::new();
    let left = scratch.run(Suite::Ours, "svscanboot", &["nowhere"]);
    assert_eq!(left.code, 111);
    assert_eq!(
        left.errors(),
        "svscanboot: fatal: unable to read nowhere: file does not exist\n"
    );
}

fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/boot")
        .join(name)
}

#[test]
fn the_systemd_unit_is_valid() {
    if !has("the_systemd_unit_is_valid", &["systemd-analyze"]) {
        return;
    }
    let scratch = Scratch::new();
    let unit = fs::read_to_string(installed("daemontools-rs.service")).unwrap();
    let place = "/usr/local/bin/svscanboot";
    assert!(unit.contains(&format!("\nExecStart={place}\n")));
    let program = Suite::Ours.program("svscanboot");
    let unit = unit.replace(place, program.to_str().unwrap());
    scratch.write("daemontools-rs.service", unit);
    let mut command = scratch.command(Suite::Ours, "systemd-analyze");
    command.args(["verify", "--man=no", "./daemontools-rs.service"]);
    let left = finish(command);
    assert_eq!((left.code, left.errors().as_str()), (0, ""));
}

#[test]
fn the_pages_say_what_the_files_for_boot_say() {
    let page = fs::read_to_string(installed("../svscanboot.md")).unwrap();
    for name in ["inittab", "daemontools-rs.service", "Dockerfile"] {
        assert!(page.contains(&format!("boot/{name}")), "{name}");
    }
    let inittab = fs::read_to_string(installed("inittab")).unwrap();
    let dockerfile = fs::read_to_string(installed("Dockerfile")).unwrap();
    let unit = fs::read_to_string(installed("daemontools-rs.service")).unwrap();
    assert!(page.contains(inittab.lines().last().unwrap()));
    for line in dockerfile.lines().rev().take(3) {
        assert!(page.contains(&format!("    {line}\n")), "{line}");
    }
    let longest = GRACE + (STOP + GRACE) + (REST + GRACE) + GRACE;
    // Each limit of a service or its log may be seen to be over a look later.
    assert!(longest + 4 * LOOK < Duration::from_secs(100));
    let longest = format!("little more than {} seconds", longest.as_secs());
    assert!(
        page.contains(&longest) && unit.contains(&longest),
        "{longest}"
    );
    for line in ["KillMode=mixed", "TimeoutStopSec=100", "OOMPolicy=continue"] {
        assert!(unit.contains(&format!("\n{line}\n")) && page.contains(line));
    }
}

#[test]
fn the_container_of_the_dockerfile_runs_and_ends() {
    let scratch = Scratch::new();
    let dockerfile = fs::read_to_string(installed("Dockerfile")).unwrap();
    let command = dockerfile.lines().last().unwrap();
    assert_eq!(command, r#"CMD ["/usr/local/bin/svscanboot", "/service"]"#);
    scratch.mkdir("service");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("service-examples/hello");
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(example).arg(scratch.at("service"));
    assert!(copy.status().unwrap().success());
    let Some(mut world) = World::svscanboot("the_container", &scratch) else {
        return;
    };
    let log = "service/hello/log/hello.log";
    wait_until("it says hello", || scratch.read(log).starts_with("hello"));
    assert_eq!(world.end("TERM"), 0);
}
