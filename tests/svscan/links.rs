//! Links of which nobody tells when they lead elsewhere, and those of which one does.

use super::{rename, svscan};
use crate::harness::{
    Scratch, Stranger, Suite, WAITS, children, descriptors, finish, is_alive, is_root,
    let_time_pass, shell, skip_unless, sleeps, wait_until,
};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// `scan/a` leads through the link `rel/current` to `rel/v1`; `rel/v2` is there, too.
fn stage(scratch: &Scratch) {
    scratch.service("rel/v1", WAITS);
    scratch.service("rel/v2", WAITS);
    let links = "mkdir scan; ln -s v1 rel/current; ln -s ../rel/current scan/a";
    shell(scratch, links);
}

/// Switches `rel/current`, and waits for what follows.
fn switch(scratch: &Scratch) {
    let old = scratch.wait_up("rel/v1");
    shell(scratch, "ln -sfn v2 rel/current");
    scratch.wait_up("rel/v2");
    assert!(is_alive(old));
}

#[test]
fn a_link_through_a_directory_that_may_not_be_read_follows_when_that_is_switched() {
    let scratch = Scratch::new();
    let Some(stranger) = Stranger::new("links through closed directories", &scratch) else {
        return;
    };
    stage(&scratch);
    for place in ["scan", "rel/v1", "rel/v2"] {
        stranger.owns(&scratch, place);
    }
    shell(&scratch, "chmod 711 rel");
    let mut command = stranger.command(&scratch, "svscan");
    command.arg("scan");
    let _svscan = scratch.start(command, "svscan");
    switch(&scratch);
    assert_eq!(scratch.read("svscan.err"), "");
}

#[test]
fn a_link_follows_though_there_are_not_watches_enough_and_that_is_told_once() {
    for watches in ["1", "2", "0"] {
        let scratch = Scratch::new();
        let test = "svscan and watches";
        let limit = ("watches", watches);
        let Some(command) = scratch.with_little_inotify(test, limit, "exec svscan scan") else {
            return;
        };
        stage(&scratch);
        // A second one that is not watched whole.
        shell(&scratch, "ln -s ../rel/v2/run scan/file");
        let _svscan = scratch.start(command, "svscan");
        switch(&scratch);
        let line = "svscan: warning: no inotify watch is left, polling every 5 seconds\n";
        assert_eq!(scratch.read("svscan.err"), line, "{watches} watches");
    }
}

#[test]
fn where_all_links_can_be_watched_svscan_never_wakes_up() {
    let scratch = Scratch::new();
    stage(&scratch);
    // To a file, and to a service by an absolute path.
    shell(
        &scratch,
        r#"ln -s ../rel/v1/run scan/file; ln -s "$PWD/rel/v2" scan/b"#,
    );
    let svscan = svscan(&scratch);
    scratch.wait_up("rel/v1");
    scratch.wait_up("rel/v2");
    let_time_pass(&scratch);
    let before = sleeps(svscan.pid());
    // More than the five seconds of what is looked at again.
    let_time_pass(&scratch);
    let_time_pass(&scratch);
    assert_eq!(sleeps(svscan.pid()), before);
    assert_eq!(scratch.read("svscan.err"), "");
}

/// Whether `pid` has an inotify watch for the directory `path`.
fn watches(pid: u32, path: &Path) -> bool {
    let inode = fs::metadata(path).unwrap().ino();
    let watch = format!(" ino:{inode:x} ");
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    infos.flatten().any(|info| {
        let info = fs::read_to_string(info.path()).unwrap_or_default();
        let mut lines = info.lines().filter(|line| line.starts_with("inotify "));
        lines.any(|line| line.contains(&watch))
    })
}

#[test]
fn a_link_through_directories_that_are_not_there_is_followed_when_they_come() {
    let scratch = Scratch::new();
    shell(&scratch, "mkdir scan deep; ln -s ../deep/x/y/a scan/a");
    let svscan = svscan(&scratch);
    let is_watched = |path| watches(svscan.pid(), &scratch.at(path));
    wait_until("it waits for x", || is_watched("deep"));
    for _ in 0..3 {
        shell(&scratch, "mkdir -p deep/x/y");
        wait_until("it waits for a", || is_watched("deep/x/y"));
        scratch.service("deep/x/y/a", WAITS);
        scratch.wait_up("deep/x/y/a");
        shell(&scratch, "svc -dx deep/x/y/a");
        wait_until("it has ended", || children(svscan.pid()).is_empty());
        shell(&scratch, "rm -r deep/x");
        wait_until("it waits for x", || is_watched("deep"));
    }
    shell(&scratch, "mkdir -p new/y");
    scratch.service("new/y/a", WAITS);
    rename(&scratch, "new", "deep/x");
    scratch.wait_up("deep/x/y/a");
    wait_until("one is left", || children(svscan.pid()).len() == 1);
}

#[test]
fn a_link_through_a_hidden_entry_follows_when_that_is_switched_or_replaced() {
    let scratch = Scratch::new();
    stage(&scratch);
    shell(
        &scratch,
        "ln -s ../rel/v1 scan/.current; ln -sfn .current scan/a; ln -s .store scan/b",
    );
    scratch.service("scan/.store", WAITS);
    let svscan = svscan(&scratch);
    scratch.wait_up("rel/v1");
    scratch.wait_up("scan/.store");
    shell(&scratch, "ln -sfn ../rel/v2 scan/.current");
    scratch.wait_up("rel/v2");
    scratch.service("scan/.new", WAITS);
    shell(&scratch, "mv scan/.store old; mv scan/.new scan/.store");
    scratch.wait_up("scan/.store");
    assert_eq!(children(svscan.pid()).len(), 4);
}

#[test]
fn what_comes_into_the_lower_layer_of_an_overlay_is_picked_up() {
    let test = "svscan and overlayfs";
    let scratch = Scratch::new();
    shell(&scratch, "mkdir lower upper work merged");
    // In a mount namespace of its own: nothing is left mounted after it.
    let mount = "mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none merged";
    let mounted = |script: &str| {
        let mut command = scratch.command(Suite::Ours, "unshare");
        command.args(["-m", "sh", "-c", &format!("{mount} && {script}")]);
        command
    };
    let can = is_root(test) && finish(mounted("true")).code == 0;
    if !skip_unless(test, can, "no overlay can be mounted here") {
        return;
    }
    scratch.service("lower/a", WAITS);
    scratch.service("new", WAITS);
    let svscan = scratch.start(mounted("exec svscan merged"), "svscan");
    scratch.wait_up("upper/a");
    shell(&scratch, "mv new lower/b");
    scratch.wait_up("upper/b");
    assert_eq!(scratch.read("svscan.err"), "");
    // What is made in the overlay itself is told by the kernel: both are watched.
    let is_inotify =
        |fd: u32| super::is_inotify(Path::new(&format!("/proc/{}/fd/{fd}", svscan.pid())));
    assert!(descriptors(svscan.pid()).into_iter().any(is_inotify));
}
