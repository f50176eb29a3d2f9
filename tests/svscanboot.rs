//! svscanboot: real trees, as process 1 and not. Each stands in a pid namespace of
//! its own: its environment is empty, so nothing else marks what belongs to it, and
//! with the first process everything in it ends. That it ends in order is in `end`,
//! the files by which it is started are in `places`.

mod end;
mod places;

use crate::harness::{
    Scratch, Suite, World, children_called, command_line, has, is_alive, signal, wait_child,
    wait_until,
};
use daemontools_rs::svscanboot::shell::{DOTS, PATH};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the process `pid` was given as its environment.
fn environment(pid: u32) -> String {
    String::from_utf8(fs::read(format!("/proc/{pid}/environ")).unwrap()).unwrap()
}

/// Waits until readproctitle, the child of `boot`, shows `text` as the newest.
fn wait_title(boot: u32, text: &str) {
    let words = "readproctitle\0service\0errors:\0";
    wait_until(&format!("the title shows {text:?}"), || {
        children_called(boot, "readproctitle").iter().any(|pid| {
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
    fifo(scratch, &format!("{name}/tell"));
}

/// Makes the FIFO `name`, and gives its path.
fn fifo(scratch: &Scratch, name: &str) -> PathBuf {
    let path = scratch.at(name);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    path
}

fn complain(scratch: &Scratch, name: &str, text: &str) {
    fs::write(scratch.at(name).join("tell"), text).unwrap();
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
        "sh -c 'sleep 2147483646 & sleep 2147483646 &'; exec sleep 2147483647",
    );
    let Some(mut world) = World::svscanboot("orphans_are_reaped", &scratch) else {
        return;
    };
    let end = |orphan| {
        signal(orphan, "KILL");
        wait_until("it is reaped", || {
            !Path::new(&format!("/proc/{orphan}")).exists()
        });
    };
    // By svscan, and, when that is killed, by svscanboot.
    end(wait_child(world.scanner(), "sleep"));
    signal(world.scanner(), "KILL");
    end(wait_child(world.first, "sleep"));
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
        children_called(world.first, "svscan")
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
        children_called(world.first, "svscanboot")
            .iter()
            .any(|next| *next != boot && !children_called(*next, "svscan").is_empty())
    });
    let next = wait_child(world.first, "svscanboot");
    let next_scanner = wait_child(next, "svscan");
    assert!(!is_alive(scanner), "one svscan");
    wait_until("both services run below it", || {
        let supervises = children_called(next_scanner, "supervise");
        let mut services: Vec<usize> = supervises
            .iter()
            .map(|pid| {
                children_called(*pid, "sleep").len() + 2 * children_called(*pid, "cat").len()
            })
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
fn the_first_svscan_records_the_boot_and_the_next_one_leaves_that_alone() {
    let scratch = Scratch::new();
    scratch.service("service/one", "exec sleep 2147483647");
    let program = Suite::Ours.program("svscanboot");
    let words = ["--timeline", "boot", "service"];
    let Some(mut world) = World::start("the_first_svscan", &scratch, &program, &words, &[]) else {
        return;
    };
    wait_until("the start is recorded", || {
        let recorded = scratch.read("boot");
        ["executed ", "ready ", "scanned "]
            .iter()
            .all(|word| recorded.contains(word))
    });
    let first = world.scanner();
    let recorded = scratch.read("boot");
    let words = |pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(words(first), "svscan\0--timeline\0boot\0service\0");
    signal(first, "KILL");
    wait_until("there is another", || {
        children_called(world.first, "svscan")
            .iter()
            .any(|pid| *pid != first)
    });
    wait_until("it is svscan", || {
        words(world.scanner()) == "svscan\0service\0"
    });
    assert_eq!(world.end("TERM"), 0);
    assert_eq!(scratch.read("boot"), recorded);
}

#[test]
fn without_a_file_for_the_timeline_nothing_is_started() {
    let scratch = Scratch::new();
    let output = scratch.run(Suite::Ours, "svscanboot", &["--timeline"]);
    let usage = "svscanboot: usage: svscanboot [--shared-group] [--timeline file] [dir]\n";
    assert_eq!((output.code, output.errors()), (100, usage.to_owned()));
}

#[test]
fn there_may_be_more_services_than_descriptors() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    for name in &names {
        scratch.service(format!("service/{name}"), "exec sleep 2147483647");
    }
    let respawn = "ulimit -S -n 30; while :; do svscanboot service; done";
    let shell = Path::new("/bin/sh");
    let test = "there_may_be_more_services";
    let Some(world) = World::start(test, &scratch, shell, &["-c", respawn], &[]) else {
        return;
    };
    let boot = wait_child(world.first, "svscanboot");
    let up = |name: &String| scratch.wait_up(&format!("service/{name}"));
    let old: Vec<u32> = names.iter().map(up).collect();
    signal(boot, "KILL");
    let next = || {
        let mut boots = children_called(world.first, "svscanboot").into_iter();
        let next = boots.find(|next| *next != boot)?;
        Some((next, *children_called(next, "svscan").first()?))
    };
    wait_until("all services run below the next one", || {
        next().is_some_and(|(_, scanner)| children_called(scanner, "supervise").len() == old.len())
    });
    let new: Vec<u32> = names.iter().map(up).collect();
    assert!(old.iter().all(|pid| !new.contains(pid)));
    scratch.mkdir("elsewhere");
    for name in &names {
        let [from, to] = ["service", "elsewhere"].map(|place| scratch.at(place).join(name));
        fs::rename(from, to).unwrap();
    }
    let (next, _) = next().unwrap();
    signal(next, "TERM");
    wait_until("the tree ends", || !is_alive(next));
    for name in &names {
        let line = scratch.svstat(&format!("elsewhere/{name}"));
        assert_eq!(line, "supervise not running", "{name}");
    }
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
    let go = fifo(&scratch, "go");
    let script = "PATH=/usr/bin:/bin svscan service & read -r word <go; exec svscanboot service";
    let shell = Path::new("/bin/sh");
    let Some(mut world) = World::start(test, &scratch, shell, &["-c", script], &[]) else {
        return;
    };
    let reference = world.scanner();
    let old = ["service/pair", "service/pair/log"].map(|name| scratch.wait_up(name));
    fs::write(&go, "go\n").unwrap();
    wait_child(world.first, "readproctitle");
    wait_until("our svscan runs alone", || {
        let scanners = children_called(world.first, "svscan");
        scanners.len() == 1 && scanners[0] != reference
    });
    let scanner = world.scanner();
    wait_until("both supervises are below it", || {
        let supervises = children_called(scanner, "supervise");
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
