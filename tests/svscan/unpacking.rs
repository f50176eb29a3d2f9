//! Directories that are unpacked where svscan sees them: a `down` holds, a `log` is seen,
//! and nothing of ours is in them before they are complete.

use super::svscan;
use crate::harness::{Daemon, Scratch, Suite, WAITS, children, descriptors, shell, wait_until};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The time from one step of a slow unpacker to the next.
const GAP: Duration = Duration::from_millis(80);
/// On a busy machine a gap may get so long that svscan may take what is there for all.
pub(super) const TOO_LONG: Duration = Duration::from_millis(200);
/// How often a test is tried on a busy machine.
const TRIES: usize = 20;

/// What a package holds.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Run,
    Down,
    Log,
    LogRun,
    Supervise,
}

use Part::{Down, Log, LogRun, Run, Supervise};

/// The orders in which it is unpacked.
const ORDERS: [[Part; 5]; 6] = [
    [Run, Down, Log, LogRun, Supervise],
    [Run, Log, LogRun, Supervise, Down],
    [Run, Supervise, Down, Log, LogRun],
    [Down, Run, Log, LogRun, Supervise],
    [Log, Run, LogRun, Down, Supervise],
    [Down, Log, LogRun, Supervise, Run],
];

/// How a file is made.
#[derive(Clone, Copy)]
enum Style {
    /// As tar does: with its mode, then its contents.
    Tar,
    /// As dpkg does: under another name, then its mode, then its name.
    Dpkg,
    /// As rsync does.
    Rsync,
}

const STYLES: [Style; 3] = [Style::Tar, Style::Dpkg, Style::Rsync];

/// Makes the file `path` of a package.
fn put(path: &Path, style: Style, contents: &str) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let first = match style {
        Style::Tar => path.to_owned(),
        Style::Dpkg => path.with_file_name(format!("{name}.dpkg-new")),
        Style::Rsync => path.with_file_name(format!(".{name}.aB3dE9")),
    };
    fs::write(&first, "").unwrap();
    fs::set_permissions(&first, Permissions::from_mode(0o755)).unwrap();
    fs::write(&first, contents).unwrap();
    fs::rename(first, path).unwrap();
}

fn unpack(scratch: &Scratch, place: &Path, part: Part, style: Style) {
    let log = "#!/bin/sh\nexec cat >> got\n";
    match part {
        Run => put(&place.join("run"), style, &format!("#!/bin/sh\n{WAITS}\n")),
        Down => put(&place.join("down"), style, ""),
        Log => fs::create_dir(place.join("log")).unwrap(),
        LogRun => put(&place.join("log/run"), style, log),
        Supervise => {
            let name = place.file_name().unwrap();
            let target = scratch.at("kept").join(name);
            symlink(target, place.join("supervise")).unwrap();
        }
    }
}

/// Whether a supervise of ours has been at work in `place`.
fn is_touched(scratch: &Scratch, place: &Path) -> bool {
    let name = place.file_name().unwrap();
    scratch.at("kept").join(name).exists()
        || fs::symlink_metadata(place.join("supervise")).is_ok_and(|m| m.is_dir())
        || place.join("log/supervise").exists()
}

/// Unpacks packages in all orders and styles at the directory `store`, step by step and
/// slowly. Tells whether no step took too long.
fn unpack_slowly(scratch: &Scratch, store: &str) -> bool {
    let mut packages: Vec<(PathBuf, [Part; 5], Style)> = Vec::new();
    for (number, order) in ORDERS.into_iter().enumerate() {
        for (other, style) in STYLES.into_iter().enumerate() {
            let place = scratch.at(store).join(format!("s{number}{other}"));
            packages.push((place, order, style));
        }
    }
    let mut previous = Instant::now();
    for (place, _, style) in &packages {
        match style {
            Style::Dpkg => {
                let temporary = place.with_extension("dpkg-new");
                fs::create_dir(&temporary).unwrap();
                fs::rename(temporary, place).unwrap();
            }
            Style::Tar | Style::Rsync => fs::create_dir(place).unwrap(),
        }
    }
    for step in 0..ORDERS[0].len() {
        let begin = Instant::now();
        wait_until("the gap has passed", || begin.elapsed() >= GAP);
        let begin = Instant::now();
        for (place, order, style) in &packages {
            unpack(scratch, place, order[step], *style);
        }
        let mut places = packages.iter().map(|(place, ..)| place);
        let touched = places.find(|place| is_touched(scratch, place));
        if previous.elapsed() >= TOO_LONG {
            return false;
        }
        assert_eq!(touched, None, "before it was complete");
        previous = begin;
    }
    true
}

/// All of them are supervised, down, and pairs, by one supervise each.
fn assert_all_hold(scratch: &Scratch, store: &str) {
    for entry in fs::read_dir(scratch.at(store)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let service = format!("{store}/{name}");
        scratch.wait_supervised(&service);
        scratch.wait_supervised(&format!("{service}/log"));
        let status = scratch.svstat(&service);
        assert!(status.starts_with("down"), "{status}");
        assert!(scratch.at("kept").join(name).join("status").exists());
    }
}

/// Has `run` try it in a new place until the machine was fast enough.
pub(super) fn retry_if_slow(what: &str, run: impl Fn(&Scratch) -> bool) {
    let is_fast_enough = (0..TRIES).any(|_| run(&Scratch::new()));
    crate::harness::skip_unless(what, is_fast_enough, "this machine is too busy");
}

#[test]
fn what_is_unpacked_in_place_slowly_is_picked_up_when_it_is_complete() {
    retry_if_slow("unpacking in place", |scratch| {
        shell(scratch, "mkdir kept scan");
        let svscan = svscan(scratch);
        if !unpack_slowly(scratch, "scan") {
            return false;
        }
        assert_all_hold(scratch, "scan");
        assert_eq!(children(svscan.pid()).len(), 36);
        let said = scratch.read("svscan.err");
        // A `run` that was only being written when it was executed would be told here.
        assert_eq!(said, "");
        true
    });
}

/// Makes a link for each package of [`unpack_slowly`] in `store`.
fn link_all(scratch: &Scratch) {
    shell(
        scratch,
        "mkdir -p scan; for n in 0 1 2 3 4 5; do
            ln -s ../store/s${n}0 ../store/s${n}1 ../store/s${n}2 scan; done",
    );
}

/// Removes all that the links lead to, and makes room for it again.
fn remove_all(scratch: &Scratch, svscan: &Daemon) {
    shell(scratch, "mv store gone; svc -dx gone/*/log gone/*");
    wait_until("all are gone", || children(svscan.pid()).is_empty());
    shell(scratch, "rm -rf gone kept; mkdir kept store");
}

#[test]
fn what_is_unpacked_slowly_where_a_link_leads_is_picked_up_when_it_is_complete() {
    retry_if_slow("unpacking behind links", |scratch| {
        shell(scratch, "mkdir kept store");
        link_all(scratch);
        let svscan = svscan(scratch);
        wait_until("all are missed", || {
            let said = scratch.read("svscan.err");
            said.lines().filter(|line| line.contains("stat s")).count() >= 18
        });
        // A package is installed, removed and installed again.
        for _ in 0..2 {
            if !unpack_slowly(scratch, "store") {
                return false;
            }
            assert_all_hold(scratch, "store");
            assert_eq!(children(svscan.pid()).len(), 36);
            remove_all(scratch, &svscan);
        }
        true
    });
}

#[test]
fn what_is_unpacked_slowly_below_a_path_that_was_not_there_is_picked_up_when_it_is_complete() {
    retry_if_slow("unpacking below a new path", |scratch| {
        shell(scratch, "mkdir kept");
        link_all(scratch);
        let _svscan = svscan(scratch);
        wait_until("all are missed", || {
            let said = scratch.read("svscan.err");
            said.lines().filter(|line| line.contains("stat s")).count() >= 18
        });
        shell(scratch, "mkdir store");
        let is_fast_enough = unpack_slowly(scratch, "store");
        if is_fast_enough {
            assert_all_hold(scratch, "store");
        }
        is_fast_enough
    });
}

#[test]
fn without_inotify_what_is_unpacked_slowly_is_picked_up_when_it_is_complete() {
    retry_if_slow("unpacking without inotify", |scratch| {
        shell(scratch, "mkdir kept scan");
        let test = "unpacking without inotify";
        let Some(command) = scratch.without_inotify(test, "exec svscan scan") else {
            return true;
        };
        scratch.service("scan/first", WAITS);
        let _svscan = scratch.start(command, "svscan");
        scratch.wait_up("scan/first");
        shell(scratch, "mv scan/first scan/.first");
        let is_fast_enough = unpack_slowly(scratch, "scan");
        if is_fast_enough {
            shell(scratch, "mv scan/.first first");
            assert_all_hold(scratch, "scan");
        }
        is_fast_enough
    });
}

/// A template of a service that is down and has a log.
fn template(scratch: &Scratch) {
    scratch.service("template", WAITS);
    scratch.service("template/log", "exec cat >> got");
    scratch.write("template/down", "");
    shell(scratch, "tar -C template -cf template.tar .; mkdir store");
}

#[test]
fn what_tar_and_cp_make_where_links_lead_stays_down_and_has_its_log() {
    retry_if_slow("tar and cp behind links", |scratch| {
        template(scratch);
        shell(
            scratch,
            "mkdir scan; for n in 0 1 2 3 4 5 6 7 8 9; do ln -s ../store/$n scan; done",
        );
        let svscan = svscan(scratch);
        for _ in 0..2 {
            for number in 0..10 {
                let begin = Instant::now();
                let place = format!("store/{number}");
                shell(
                    scratch,
                    &match number % 2 {
                        0 => format!("mkdir {place}; tar -C {place} -xf template.tar"),
                        _ => format!("cp -r template {place}"),
                    },
                );
                if begin.elapsed() >= TOO_LONG {
                    return false;
                }
            }
            for number in 0..10 {
                let place = format!("store/{number}");
                scratch.wait_supervised(&place);
                scratch.wait_supervised(&format!("{place}/log"));
                assert_eq!(scratch.pid(&place), None, "{}", scratch.svstat(&place));
            }
            remove_all(scratch, &svscan);
        }
        true
    });
}

#[test]
fn a_new_link_to_a_directory_that_is_being_made_waits_for_it() {
    retry_if_slow("a link to what is being made", |scratch| {
        template(scratch);
        let _svscan = svscan(scratch);
        let begin = Instant::now();
        shell(
            scratch,
            "mkdir store/a; cp template/run store/a; ln -s ../store/a scan; mkdir store/a/log
             cp template/log/run store/a/log; touch store/a/down",
        );
        if begin.elapsed() >= TOO_LONG {
            return false;
        }
        assert_a_holds(scratch);
        true
    });
}

/// Waits for both supervises of `store/a`, which has a `down` and a `log`.
fn assert_a_holds(scratch: &Scratch) {
    scratch.wait_supervised("store/a");
    scratch.wait_supervised("store/a/log");
    assert_eq!(scratch.pid("store/a"), None);
}

#[test]
fn a_target_that_is_removed_and_made_again_and_again_is_the_last_one_in_the_end() {
    retry_if_slow("a target that is made again", |scratch| {
        template(scratch);
        shell(scratch, "mkdir scan; ln -s ../store/a scan/a");
        let _svscan = svscan(scratch);
        for last in [false, false, false, true] {
            let begin = Instant::now();
            shell(
                scratch,
                "rm -rf store/a; mkdir store/a; cp template/run store/a",
            );
            wait_until("the gap has passed", || begin.elapsed() >= GAP);
            if last {
                shell(scratch, "cp -r template/down template/log store/a");
            }
            if begin.elapsed() >= TOO_LONG {
                return false;
            }
        }
        assert_a_holds(scratch);
        true
    });
}

#[test]
fn nothing_is_made_in_a_directory_before_it_has_a_run() {
    let scratch = Scratch::new();
    let _svscan = svscan(&scratch);
    shell(
        &scratch,
        "mkdir store store/a; ln -s ../store/a scan/a; mkdir scan/b",
    );
    // Time for many looks, but not for the last one.
    let begin = Instant::now();
    wait_until("some time has passed", || {
        begin.elapsed() >= Duration::from_secs(2)
    });
    assert!(!scratch.at("scan/a/supervise").exists() && !scratch.at("scan/b/supervise").exists());
    scratch.script("scan/a/run", WAITS);
    scratch.script("scan/b/run", WAITS);
    scratch.wait_up("scan/a");
    scratch.wait_up("scan/b");
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn what_an_unpacker_has_not_renamed_yet_is_waited_for() {
    retry_if_slow("temporary files", |scratch| {
        let _svscan = svscan(scratch);
        let begin = Instant::now();
        let moves = [
            ("a/down.dpkg-new", "a/down"),
            ("b/.down.aB3dE9", "b/down"),
            ("c/log/run;5f3a1b2c", "c/log/run"),
        ];
        for (temporary, _) in moves {
            let place = scratch.at("scan").join(temporary);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            put(&place, Style::Tar, "#!/bin/sh\nexec cat >> got\n");
        }
        if begin.elapsed() >= TOO_LONG {
            return false;
        }
        for name in ["a", "b", "c"] {
            scratch.script(format!("scan/{name}/run"), WAITS);
        }
        wait_until("it has long been quiet", || begin.elapsed() >= 8 * TOO_LONG);
        let is_touched = ["a", "b", "c"].map(|name| {
            let supervise = scratch.at("scan").join(name).join("supervise");
            supervise.exists()
        });
        if begin.elapsed() >= 20 * TOO_LONG {
            return false;
        }
        assert_eq!(is_touched, [false; 3]);
        for (from, to) in moves {
            fs::rename(scratch.at("scan").join(from), scratch.at("scan").join(to)).unwrap();
        }
        for name in ["scan/a", "scan/b", "scan/c/log"] {
            scratch.wait_supervised(name);
        }
        assert_eq!((scratch.pid("scan/a"), scratch.pid("scan/b")), (None, None));
        scratch.wait_up("scan/c");
        true
    });
}

#[test]
fn what_an_unpacker_has_written_but_not_renamed_is_waited_for_beyond_five_seconds() {
    let scratch = Scratch::new();
    shell(&scratch, "mkdir kept");
    let _svscan = svscan(&scratch);
    let place = scratch.at("scan/a");
    // dpkg makes directories under another name, too.
    shell(&scratch, "mkdir scan/a.dpkg-new; mv scan/a.dpkg-new scan/a");
    for name in ["run", "down"] {
        let path = place.join(format!("{name}.dpkg-new"));
        put(&path, Style::Tar, &format!("#!/bin/sh\n{WAITS}\n"));
    }
    let begin = Instant::now();
    wait_until("the five seconds are over", || {
        begin.elapsed() >= Duration::from_secs(7)
    });
    unpack(&scratch, &place, Supervise, Style::Dpkg);
    shell(
        &scratch,
        "cd scan/a && mv down.dpkg-new down && mv run.dpkg-new run",
    );
    scratch.wait_supervised("scan/a");
    assert!(scratch.at("kept/a/status").exists());
    assert_eq!(scratch.pid("scan/a"), None);
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_log_directory_without_a_run_is_not_complete() {
    let scratch = Scratch::new();
    let _svscan = svscan(&scratch);
    shell(&scratch, "mkdir -p new/log; mv new scan/.a");
    scratch.script("scan/.a/run", WAITS);
    shell(&scratch, "cp -r scan/.a scan/a");
    let begin = Instant::now();
    wait_until("it has long been quiet", || begin.elapsed() >= 8 * TOO_LONG);
    assert!(!scratch.at("scan/a/supervise").exists());
    scratch.script("scan/a/log/run", "exec cat >> got");
    scratch.wait_up("scan/a");
    scratch.wait_up("scan/a/log");
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn what_has_no_run_when_svscan_starts_may_just_be_unpacked() {
    retry_if_slow("unpacking while svscan starts", |scratch| {
        template(scratch);
        let begin = Instant::now();
        shell(scratch, "mkdir -p scan/a");
        let svscan = scratch.daemon(Suite::Ours, "svscan", &["scan"], "svscan");
        wait_until("svscan has started", || descriptors(svscan.pid()).len() > 5);
        if begin.elapsed() >= TOO_LONG {
            return false;
        }
        shell(scratch, "tar -C scan/a -xf template.tar");
        if begin.elapsed() >= TOO_LONG {
            return false;
        }
        scratch.wait_supervised("scan/a");
        scratch.wait_supervised("scan/a/log");
        assert_eq!(scratch.pid("scan/a"), None);
        assert_eq!(scratch.read("svscan.err"), "");
        true
    });
}
