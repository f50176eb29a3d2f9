//! Processors that fail, crash, hang or do not read.

use super::{Feed, Multilog, command, finished, lines, text, wait_logged, wait_said};
use crate::harness::{Scratch, finish, is_alive, wait_until};
use nix::sys::signal::Signal::{SIGALRM, SIGKILL, SIGTERM};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A multilog with this processor, and lines enough for its first file.
fn begun(processor: &str) -> (Scratch, Feed, Multilog) {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let script = ["s4096", "n100", processor, "./main"];
    let multilog = Multilog::start(&scratch, &script, feed.stdin());
    feed.write_lines(60);
    (scratch, feed, multilog)
}

/// Ends multilog, which is to have said just this.
fn ends(scratch: &Scratch, feed: &mut Feed, mut multilog: Multilog, said: &str) {
    feed.close();
    assert_eq!(multilog.wait(), 0);
    assert_eq!(scratch.read("said"), said);
}

/// Waits until the processor has noted its pid; gives that.
fn wait_pid(scratch: &Scratch) -> u32 {
    wait_until("the processor runs", || scratch.read("pid").ends_with('\n'));
    scratch.read("pid").trim().parse().unwrap()
}

#[test]
fn a_processor_that_fails_is_run_again_on_the_same_file() {
    is_run_again("exit 3", "processor failed in ./main, pausing");
}

#[test]
fn a_processor_that_crashes_is_run_again_on_the_same_file() {
    let said = "processor crashed in ./main, pausing: killed by signal 11";
    is_run_again("kill -SEGV $$", said);
}

/// A processor that does this the first time, of which that is `said`.
fn is_run_again(first: &str, said: &str) {
    let processor = format!(
        "!IFS= read -r line; echo bad; echo bad >&5; \
         test -e ../again || {{ >../again; {first}; }}; echo \"$line\"; cat"
    );
    let (scratch, mut feed, multilog) = begun(&processor);
    wait_logged(&scratch, "main", 59);
    let said = format!("multilog: warning: {said}\n");
    ends(&scratch, &mut feed, multilog, &said);
    // Of the first try nothing is left.
    assert_eq!(text(&scratch, "main"), "bad\n".to_owned() + &lines(60));
    assert_eq!(scratch.read("main/state"), "bad\n");
}

#[test]
fn what_a_processor_does_not_read_is_lost_to_it_only_and_nothing_else_is() {
    let (scratch, mut feed, multilog) = begun("!echo digest");
    wait_logged(&scratch, "main", 59);
    ends(&scratch, &mut feed, multilog, "");
    let names = finished(&scratch, "main");
    assert_eq!(names.len(), 1);
    let name = format!("main/{}", names[0]);
    assert_eq!(scratch.read(&name), "digest\n");
    let mode = fs::metadata(scratch.at(&name)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o744);
}

#[test]
fn a_processor_has_its_descriptors_and_no_others() {
    let (scratch, mut feed, multilog) = begun(
        "!for n in 3 6 7 8 9; do test ! -e /proc/$$/fd/$n || exit; done; \
         for n in 0 1 4 5; do seen=\"$seen$n $(readlink /proc/$$/fd/$n)\n\"; done; \
         seen=\"$seen$(grep -E 'Sig(Blk|Ign)' /proc/$$/status)\"; printf \"$seen\" >../seen",
    );
    wait_logged(&scratch, "main", 59);
    ends(&scratch, &mut feed, multilog, "");
    let main = scratch.at("main");
    let main = main.to_str().unwrap();
    let expected = format!(
        "0 {main}/previous\n1 {main}/processed\n4 {main}/state\n5 {main}/newstate\n\
         SigBlk:\t0000000000000000\nSigIgn:\t"
    );
    let seen = scratch.read("seen");
    assert!(seen.starts_with(&expected), "{seen}");
    // TERM and ALRM are not ignored.
    let ignored = seen.rsplit('\t').next().unwrap().trim();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    assert_eq!(ignored & (1 << 13 | 1 << 14), 0);
}

#[test]
fn state_goes_from_one_file_to_the_next() {
    let (scratch, mut feed, multilog) =
        begun("!n=$(cat <&4); n=$((n + 1)); echo $n >&5; echo file $n; cat");
    feed.write_lines(200);
    wait_logged(&scratch, "main", 259);
    ends(&scratch, &mut feed, multilog, "");
    let names = finished(&scratch, "main");
    for (name, number) in names.iter().zip(1..) {
        let first = format!("file {number}\n");
        assert!(scratch.read(format!("main/{name}")).starts_with(&first));
    }
    assert_eq!(scratch.read("main/state"), format!("{}\n", names.len()));
}

#[test]
fn while_a_processor_works_nothing_is_read_and_nothing_is_lost() {
    let (scratch, mut feed, multilog) =
        begun("!echo $$ >../pid; while ! test -e ../go; do sleep 0.01; done; cat");
    wait_pid(&scratch);
    feed.write_lines(60);
    // Whatever it is told: it waits.
    multilog.signal(SIGALRM);
    assert!(!text(&scratch, "main").contains("0000059"));
    scratch.write("go", "");
    wait_logged(&scratch, "main", 119);
    ends(&scratch, &mut feed, multilog, "");
    assert_eq!(text(&scratch, "main"), lines(120));
}

#[test]
fn told_to_end_it_waits_for_a_processor_that_ends_soon() {
    let (scratch, feed, mut multilog) =
        begun("!echo $$ >../pid; while ! test -e ../go; do sleep 0.01; done; cat");
    wait_pid(&scratch);
    multilog.signal(SIGTERM);
    scratch.write("go", "");
    assert_eq!(multilog.wait(), 0);
    assert_eq!(scratch.read("said"), "");
    assert_eq!(text(&scratch, "main") + &feed.left(), lines(60));
}

#[test]
fn told_to_end_it_ends_a_processor_that_hangs_and_keeps_the_file() {
    let (scratch, mut feed, mut multilog) = begun("!echo $$ >../pid; exec sleep 1000");
    let pid = wait_pid(&scratch);
    feed.write_lines(60);
    multilog.signal(SIGTERM);
    assert_eq!(multilog.wait(), 111);
    let why = "multilog: fatal: unable to process ./main/previous: interrupted system call\n";
    assert_eq!(scratch.read("said"), why);
    wait_until("the processor is ended, too", || !is_alive(pid));
    // Without it, everything is there.
    let script = ["s4096", "n100", "./main"];
    let mut multilog = Multilog::start(&scratch, &script, feed.stdin());
    feed.close();
    assert_eq!(multilog.wait(), 0);
    assert_eq!(text(&scratch, "main"), lines(120));
    assert!(finished(&scratch, "main")[0].ends_with(".u"));
}

#[test]
fn killed_while_a_processor_hangs_nothing_is_lost() {
    let hanging = "!echo $$ >../pid; test -e ../go || exec sleep 1000; cat";
    let (scratch, mut feed, mut multilog) = begun(hanging);
    let pid = wait_pid(&scratch);
    multilog.signal(SIGKILL);
    assert_eq!(multilog.wait(), 1009);
    // It goes on with a file that nobody looks at.
    assert!(is_alive(pid));
    scratch.write("go", "");
    let script = ["s4096", "n100", hanging, "./main"];
    let multilog = Multilog::start(&scratch, &script, feed.stdin());
    feed.write_lines(60);
    wait_logged(&scratch, "main", 119);
    ends(&scratch, &mut feed, multilog, "");
    assert_eq!(text(&scratch, "main"), lines(120));
}

#[test]
fn a_processor_that_is_no_command_is_told_of_and_tried_again() {
    let (scratch, mut feed, multilog) = begun("!no-such-command");
    wait_said(
        &scratch,
        "multilog: warning: processor failed in ./main, pausing\n",
    );
    assert!(scratch.read("said").contains("no-such-command: not found"));
    multilog.signal(SIGKILL);
    drop(multilog);
    let output = {
        let mut again = command(&scratch, &["s4096", "./main"]);
        again.stdin(feed.stdin());
        feed.close();
        finish(again)
    };
    assert_eq!((output.code, output.errors().as_str()), (0, ""));
    assert_eq!(text(&scratch, "main"), lines(60));
}
