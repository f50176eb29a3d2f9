//! How svscan starts a supervise: as a child that goes on as one, where that is the
//! same program, and by exec, where it is not. A service must not see which.

use crate::harness::{
    Daemon, Scratch, Suite, children, descriptors, finish, has, programs, signal, wait_until,
};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Tells all that a service can see of how it was started, but for numbers.
const TELLS: &str = "{ \
    for fd in /proc/self/fd/*; do echo ${fd##*/}; done; \
    grep -E '^(Sig(Blk|Ign|Cgt)|ShdPnd|NoNewPrivs)' /proc/self/status; \
    cat /proc/$PPID/comm; tr '\\0' ' ' </proc/$PPID/cmdline; \
    ulimit -S -n; ulimit -H -n; env | grep -Ev '^(DAEMONTOOLS_RS|PWD)' | sort | cksum; pwd; echo $0; \
    } >told 2>&1; mv told tells; exec sleep 1000";

/// Starts that svscan on `scan`, as a shell does that is given these redirections.
fn svscan(scratch: &Scratch, redirections: &str) -> Daemon {
    let mut command = scratch.command(Suite::Ours, "sh");
    let line = format!("ulimit -S -n 300; exec programs/svscan scan {redirections}");
    command.args(["-c", &line]);
    scratch.start(command, "svscan")
}

fn inode(path: impl AsRef<Path>) -> Option<u64> {
    fs::metadata(path).map(|file| file.ino()).ok()
}

#[test]
fn a_service_does_not_see_whether_its_supervise_was_executed() {
    for redirections in [
        "",
        "<&-",
        ">&- 2>&-",
        "7</dev/null 251>/dev/null",
        "<&- 3>&1 5>&1",
    ] {
        let told = [true, false].map(|is_same_file| {
            let scratch = Scratch::new();
            programs(&scratch, is_same_file);
            for name in ["alone", "pair", "pair/log"] {
                scratch.service(format!("scan/{name}"), TELLS);
            }
            let svscan = svscan(&scratch, redirections);
            let tells = ["alone", "pair", "pair/log"].map(|name| {
                let file = format!("scan/{name}/tells");
                wait_until("the service has told", || scratch.at(&file).exists());
                let text = scratch.read(file);
                text.replace(scratch.at("").to_str().unwrap(), "HERE/")
            });
            let own = inode(format!("/proc/{}/exe", svscan.pid()));
            let supervises = children(svscan.pid());
            assert_eq!(supervises.len(), 3);
            for pid in &supervises {
                let same = inode(format!("/proc/{pid}/exe")) == own;
                assert_eq!(same, is_same_file);
            }
            // Beside those it was given: signals, lock, control twice, ok.
            let counts: Vec<usize> = supervises
                .iter()
                .map(|pid| descriptors(*pid).len())
                .collect();
            (tells, counts)
        });
        assert_eq!(told[0], told[1], "{redirections}");
        assert!(told[0].0[0].contains("supervise\nsupervise alone 300\n"));
    }
}

#[test]
fn a_supervise_is_found_by_its_name() {
    let scratch = Scratch::new();
    programs(&scratch, true);
    scratch.service("scan/a", "exec sleep 1000");
    let svscan = svscan(&scratch, "");
    scratch.wait_up("scan/a");
    let supervise = children(svscan.pid())[0].to_string();
    for (tool, words) in [
        ("pidof", ["supervise"].as_slice()),
        ("pgrep", &["-x", "supervise"]),
        ("killall", &["-v", "-0", "supervise"]),
        ("ps", &["-C", "supervise", "-o", "pid="]),
    ] {
        if !has("a supervise found by its name", &[tool]) {
            continue;
        }
        let mut command = scratch.command(Suite::Ours, tool);
        command.args(words);
        let output = finish(command);
        let said = output.text() + &output.errors();
        let mut numbers = said.split(|letter: char| !letter.is_ascii_digit());
        assert!(numbers.any(|number| number == supervise), "{tool}: {said}");
    }
}

#[test]
fn a_supervise_blocks_no_signal_that_svscan_blocks_or_was_given_blocked() {
    if !has("blocked signals", &["env"]) {
        return;
    }
    for (is_same_file, name) in [
        (true, "TERM"),
        (false, "TERM"),
        // This is the one that svscan waits for.
        (true, "ALRM"),
        (false, "ALRM"),
    ] {
        let scratch = Scratch::new();
        programs(&scratch, is_same_file);
        scratch.service("scan/a", "exec sleep 1000");
        let mut command = scratch.command(Suite::Ours, "env");
        command.args(["--block-signal=TERM", "programs/svscan", "scan"]);
        let svscan = scratch.start(command, "svscan");
        scratch.wait_up("scan/a");
        let old = children(svscan.pid());
        signal(old[0], name);
        wait_until("the supervise has ended", || {
            !children(svscan.pid()).contains(&old[0])
        });
    }
}

#[test]
fn after_an_upgrade_the_next_supervise_is_the_new_program() {
    let scratch = Scratch::new();
    programs(&scratch, true);
    scratch.service("scan/a", "exec sleep 1000");
    let svscan = svscan(&scratch, "");
    scratch.wait_up("scan/a");
    let old = children(svscan.pid());
    let new = fs::read(Suite::Ours.program("supervise")).unwrap();
    scratch.executable("programs/new", new);
    fs::rename(scratch.at("programs/new"), scratch.at("programs/supervise")).unwrap();
    signal(old[0], "KILL");
    wait_until("there is another supervise, of the new file", || {
        let now = children(svscan.pid());
        let new = inode(scratch.at("programs/supervise"));
        // The service is a child, too.
        !now.contains(&old[0])
            && now
                .iter()
                .any(|pid| inode(format!("/proc/{pid}/exe")) == new)
    });
}

#[test]
fn a_supervise_that_cannot_begin_says_so_as_one_that_was_executed() {
    let said = [true, false].map(|is_same_file| {
        let scratch = Scratch::new();
        programs(&scratch, is_same_file);
        scratch.service("scan/a", "exec sleep 1000");
        scratch.write("scan/a/supervise", "in the way");
        let _svscan = svscan(&scratch, "");
        wait_until("it says so", || !scratch.read("svscan.err").is_empty());
        scratch
            .read("svscan.err")
            .lines()
            .next()
            .unwrap()
            .to_owned()
    });
    assert_eq!(
        said,
        ["supervise: fatal: unable to acquire a/supervise/lock: not a directory"; 2]
    );
}

/// The private memory of a process in its heap, in KiB.
fn heap_kib(pid: u32) -> u64 {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let heap = maps.split("[heap]\n").nth(1).unwrap_or_default();
    let private = heap.lines().filter(|line| line.starts_with("Private_"));
    let numbers = private.map(|line| line.split_ascii_whitespace().nth(1).unwrap());
    numbers
        .take(2)
        .map(|text| text.parse::<u64>().unwrap())
        .sum()
}

/// Whether it has svscan's own heap: many addresses, most of which are not usable yet.
fn has_heap_of_svscan(pid: u32) -> bool {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    maps.lines().any(|line| {
        let (begin, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        line.contains(" ---p 00000000 ") && address(end) - address(begin) >= 32 << 20
    })
}

#[test]
fn a_supervise_keeps_nothing_of_what_svscan_knows_however_its_entry_came() {
    let scratch = Scratch::new();
    programs(&scratch, true);
    scratch.mkdir("scan");
    let link = |number: usize| {
        scratch.service(format!("away/{number}"), "exec sleep 1000");
        let entry = scratch.at(format!("scan/{number}"));
        std::os::unix::fs::symlink(scratch.at(format!("away/{number}")), entry).unwrap();
    };
    (0..60).for_each(link);
    let svscan = svscan(&scratch, "");
    for number in 0..60 {
        scratch.wait_up(&format!("scan/{number}"));
    }
    for number in 60..100 {
        link(number);
        scratch.wait_up(&format!("scan/{number}"));
        // svscan has something to write after each start, too.
        let entry = scratch.at("scan/more");
        std::os::unix::fs::symlink(scratch.at(format!("away/{number}")), &entry).unwrap();
        fs::remove_file(entry).unwrap();
    }
    assert!(has_heap_of_svscan(svscan.pid()));
    let supervises = children(svscan.pid());
    assert_eq!(supervises.len(), 100);
    for pid in supervises {
        assert!(!has_heap_of_svscan(pid));
        // With svscan's tables in it, it was 52 and more.
        assert!(heap_kib(pid) <= 36, "{} KiB", heap_kib(pid));
    }
}
