//! The names of finished files, and which are deleted, whatever stands there already.

use super::{Feed, Multilog, finished, line, lines, text, wait_logged};
use crate::harness::{Scratch, Suite, finish, has};
use std::fs::{self, File};

/// Sends numbered lines through a multilog with this script; it must say nothing.
fn log(scratch: &Scratch, suite: Suite, count: usize, script: &[&str]) {
    scratch.write("input", lines(count));
    let mut command = scratch.command(suite, suite.program("multilog"));
    command.args(script);
    command.stdin(File::open(scratch.at("input")).unwrap());
    let output = finish(command);
    assert_eq!((output.code, output.errors()), (0, String::new()));
}

/// Makes finished files of these names.
fn old(scratch: &Scratch, names: &[&str]) {
    for name in names {
        scratch.write(format!("main/{name}"), "old\n");
    }
}

const FUTURE: [&str; 3] = [
    "@500000000000000500000000.s",
    "@500000000000000600000000.u",
    "@50000000000000073b9ac9ff.s",
];

#[test]
fn when_the_clock_was_wrong_once_the_newest_lines_are_kept() {
    for suite in [Suite::Ours, Suite::Reference] {
        if suite == Suite::Reference && !has("names from the future", &["multilog"]) {
            continue;
        }
        let scratch = Scratch::new();
        scratch.mkdir("main");
        old(&scratch, &FUTURE);
        log(&scratch, suite, 1000, &["s4096", "n4", "./main"]);
        let names = finished(&scratch, "main");
        let all = lines(1000);
        let kept = text(&scratch, "main");
        if suite == Suite::Reference {
            // All but the rest in `current` is lost.
            assert_eq!(names, FUTURE);
            continue;
        }
        assert!(kept.len() > 3 * 2000 && all.ends_with(&kept), "{kept}");
        // As little above the last one as can be.
        assert_eq!(names.len(), 3);
        assert!(
            names
                .iter()
                .all(|name| name.starts_with("@500000000000000800000")),
            "{names:?}"
        );
        // One that is left over at the start is above them, too.
        fs::set_permissions(
            scratch.at("main/current"),
            std::os::unix::fs::PermissionsExt::from_mode(0o644),
        )
        .unwrap();
        log(&scratch, suite, 0, &["n10", "./main"]);
        let more = finished(&scratch, "main");
        assert_eq!(more.len(), 4);
        assert!(more[3] > names[2] && more[3].ends_with(".u"), "{more:?}");
    }
}

#[test]
fn names_that_cannot_be_exceeded_are_deleted_first() {
    let strange = [
        "@ffffffffffffffffffffffff.s",
        "@this-is-an-alien-of-mine-with-a-name",
        "@4000000037C219BF2EF02E94.s",
        "@4000000037c219bf2ef02e94.s.gz",
    ];
    let scratch = Scratch::new();
    scratch.mkdir("main");
    old(&scratch, &strange);
    old(&scratch, &["@400000003b9aca0000000000.s"]);
    // One file is finished; five of six stay.
    log(&scratch, Suite::Ours, 70, &["s4096", "n6", "./main"]);
    let names = finished(&scratch, "main");
    assert_eq!(names.len(), 5);
    assert!(!names.contains(&strange[2].to_owned()), "{names:?}");
    log(&scratch, Suite::Ours, 70, &["s4096", "n3", "./main"]);
    let names = finished(&scratch, "main");
    let right = |name: &String| name.starts_with("@40000000") && name.len() == 27;
    assert!(names.len() == 2 && names.iter().all(right), "{names:?}");
    // The one just finished is the one that stays.
    old(&scratch, &strange);
    log(&scratch, Suite::Ours, 1000, &["s4096", "n2", "./main"]);
    let names = finished(&scratch, "main");
    assert!(names.len() == 1 && right(&names[0]), "{names:?}");
    assert!(lines(1000).ends_with(&text(&scratch, "main")));
}

#[test]
fn however_many_are_too_many_they_are_deleted() {
    let scratch = Scratch::new();
    scratch.mkdir("main");
    for number in 0..1000 {
        scratch.write(format!("main/@400000003b9aca00{number:08}.s"), "old\n");
    }
    log(&scratch, Suite::Ours, 70, &["s4096", "n10", "./main"]);
    let names = finished(&scratch, "main");
    assert_eq!(names.len(), 9);
    assert_eq!(names[0], "@400000003b9aca0000000992.s");
    assert!(text(&scratch, "main").ends_with(&lines(70)));
}

#[test]
fn a_file_that_a_backup_has_linked_is_kept_all_the_same() {
    for suite in [Suite::Ours, Suite::Reference] {
        if suite == Suite::Reference && !has("a linked current", &["multilog"]) {
            continue;
        }
        let scratch = Scratch::new();
        scratch.mkdir("backup");
        let mut feed = Feed::new();
        let spawn = |feed: &Feed| {
            let mut command = scratch.command(suite, suite.program("multilog"));
            command.args(["s4096", "n100", "./main"]);
            Multilog::spawn(&scratch, command, feed.stdin())
        };
        let link = |name: &str| {
            let backup = scratch.at(format!("backup/{name}"));
            fs::hard_link(scratch.at("main/current"), backup).unwrap();
        };
        // It is finished because it is full, and because its multilog was killed.
        let multilog = spawn(&feed);
        feed.write_lines(11);
        wait_logged(&scratch, "main", 10);
        link("first");
        feed.write_lines(82);
        wait_logged(&scratch, "main", 92);
        link("second");
        drop(multilog);
        let mut multilog = spawn(&feed);
        feed.close();
        assert_eq!(multilog.wait(), 0);
        let logged = text(&scratch, "main");
        if suite == Suite::Ours {
            assert_eq!(logged, lines(93));
            assert!(finished(&scratch, "main").len() >= 2);
        } else {
            // The original loses what was linked.
            assert!(!logged.contains(&line(0)) && !logged.contains(&line(92)));
        }
    }
}
