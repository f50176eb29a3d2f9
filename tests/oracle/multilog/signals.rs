//! Situations in which a signal comes, something is in the way, or one multilog
//! takes over from another that was killed.

use super::compare;
use super::scene::Scene;
use std::fs;

/// TERM when so many bytes of a line have come, after a whole line or not; whether the
/// end of the line and more come before multilog is told, and whether anybody may write
/// more then.
fn term(
    (stamps, whole): (&'static str, &'static str),
    begun: usize,
    stopped: bool,
    closed: bool,
) -> impl Fn(&mut Scene) {
    move |scene| {
        scene.begin(&[stamps, "=st", "./d", "-*y", "e", "./e"], "e");
        let text = [whole.as_bytes(), &vec![b'x'; begun]].concat();
        scene.write(&text);
        scene.wait_seen();
        let rest = b"z\nunread\nunread, too";
        if stopped {
            scene.while_stopped(&["TERM"], |scene| {
                scene.write(rest);
                if closed {
                    scene.close();
                }
            });
        } else {
            scene.signal("TERM");
            // One that was not in a line is gone.
            scene.write(rest);
            if closed {
                scene.close();
            }
        }
        scene.ends();
        scene.tell_rest();
        scene.look();
    }
}

/// Every number of bytes.
macro_rules! every_beginning {
    ($($before:ident $value:expr;)+) => {$(
        mod $before {
            use super::*;
            fn term_after(begun: usize, stopped: bool, closed: bool) -> impl Fn(&mut Scene) {
                term($value, begun, stopped, closed)
            }
            situations! { term_after
                bytes_0(0, false, false);
                bytes_0_and_closed(0, false, true);
                bytes_0_while_stopped(0, true, false);
                bytes_0_while_stopped_and_closed(0, true, true);
                bytes_1(1, false, false);
                bytes_1_and_closed(1, false, true);
                bytes_1_while_stopped(1, true, false);
                bytes_1_while_stopped_and_closed(1, true, true);
                bytes_973(973, false, false);
                bytes_973_and_closed(973, false, true);
                bytes_973_while_stopped(973, true, false);
                bytes_973_while_stopped_and_closed(973, true, true);
                bytes_974(974, false, false);
                bytes_974_and_closed(974, false, true);
                bytes_974_while_stopped(974, true, false);
                bytes_974_while_stopped_and_closed(974, true, true);
                bytes_1000(1000, false, false);
                bytes_1000_and_closed(1000, false, true);
                bytes_1000_while_stopped(1000, true, false);
                bytes_1000_while_stopped_and_closed(1000, true, true);
                bytes_3000(3000, false, false);
                bytes_3000_and_closed(3000, false, true);
                bytes_3000_while_stopped(3000, true, false);
                bytes_3000_while_stopped_and_closed(3000, true, true);
                bytes_70000(70_000, false, false);
                bytes_70000_and_closed(70_000, false, true);
                bytes_70000_while_stopped(70_000, true, false);
                bytes_70000_while_stopped_and_closed(70_000, true, true);
            }
        }
    )+};
}

every_beginning! {
    nothing ("", "");
    a_line ("", "whole\n");
    nothing_with_stamps ("t", "");
    a_line_with_stamps ("t", "whole\n");
}

const SCRIPT: [&str; 7] = ["s4096", "n4", "./d", "-*y", "./e", "-*", "./f"];

#[test]
fn alrm_finishes_every_current_that_is_not_empty() {
    compare(|scene| {
        scene.begin(&SCRIPT, "f");
        scene.signal("ALRM");
        scene.log(b"x\n", "e/current", "x\n");
        scene.look();
        scene.signal("ALRM");
        scene.wait_finished("e", 1);
        scene.look();
        scene.signal("ALRM");
        scene.log(b"y\n", "d/current", "y\n");
        scene.signal("ALRM");
        scene.wait_finished("d", 2);
        scene.close_and_look();
    });
}

#[test]
fn alrm_does_not_split_a_line_that_was_begun() {
    compare(|scene| {
        scene.begin(&SCRIPT, "f");
        scene.log(b"x\nbegun", "e/current", "x\n");
        scene.signal("ALRM");
        scene.wait_finished("e", 1);
        scene.log(b" and done\n", "e/current", "done\n");
        scene.close_and_look();
    });
}

#[test]
fn alrm_splits_a_long_line_that_was_begun() {
    compare(|scene| {
        scene.begin(&SCRIPT, "f");
        scene.log(&[b'x'; 1500], "e/current", "xxx");
        scene.signal("ALRM");
        scene.wait_finished("e", 1);
        scene.log(b" and done\n", "e/current", "done\n");
        scene.close_and_look();
    });
}

#[test]
fn alrm_finishes_a_current_of_an_earlier_multilog() {
    compare(|scene| {
        scene.file("d/current", "old\n", 0o744);
        scene.begin(&["./d"], "d");
        scene.signal("ALRM");
        scene.wait_finished("d", 1);
        scene.close_and_look();
    });
}

#[test]
fn alrm_sends_current_through_the_processor() {
    compare(|scene| {
        scene.begin(&["!tr a-z A-Z; echo x >&5", "./d"], "d");
        scene.log(b"x\n", "d/current", "x\n");
        scene.signal("ALRM");
        scene.wait_finished("d", 1);
        scene.close_and_look();
    });
}

#[test]
fn of_alrm_and_term_both_count() {
    compare(|scene| {
        scene.begin(&["./d"], "d");
        scene.log(b"x\n", "d/current", "x\n");
        scene.while_stopped(&["TERM", "ALRM"], |scene| scene.write(b"later\n"));
        scene.ends();
        scene.tell_rest();
        scene.look();
    });
}

/// The signal ends it.
fn ends_by(name: &'static str) -> impl Fn(&mut Scene) {
    move |scene| {
        scene.begin(&["t", "=st", "./d"], "d");
        scene.log(b"x\n", "d/current", "x\n");
        scene.signal(name);
        scene.ends();
        scene.look();
        // What comes next finds it not safe.
        scene.write(b"y\n");
        scene.start(&["t", "=st", "./d"]);
        scene.wait_end("d/current", "y\n");
        scene.signal("TERM");
        scene.ends();
        scene.tell_rest();
        scene.look();
    }
}

situations! { ends_by
    hup("HUP");
    int("INT");
    quit("QUIT");
    usr1("USR1");
    kill("KILL");
}

/// The signal does nothing.
fn does_not_mind(name: &'static str) -> impl Fn(&mut Scene) {
    move |scene| {
        scene.begin(&["./d"], "d");
        scene.log(b"x\nbegun", "d/current", "x\n");
        scene.signal(name);
        scene.log(b" done\n", "d/current", "done\n");
        scene.close_and_look();
    }
}

situations! { does_not_mind
    chld("CHLD");
    cont("CONT");
    winch("WINCH");
}

#[test]
fn term_waits_for_a_processor_which_does_not_get_it() {
    compare(|scene| {
        let wait = "!touch ../began; while ! test -e ../go; do sleep 0.05; done; cat";
        scene.begin(&["s4096", "n9", wait, "./d"], "d");
        // What comes behind the full file came with the same read of 0.76.
        scene.write("a line of a processor\n".repeat(126).as_bytes());
        scene.wait_there("began");
        scene.send("TERM");
        scene.file("go", "", 0o644);
        scene.wait_finished("d", 1);
        // 0.76 looks whether it was told to end when it has read something.
        scene.close_and_look();
    });
}

/// What comes while something is in the way.
fn lines() -> String {
    "a line of something\n".repeat(200)
}

/// This is a directory while `current` is full, and then it is not.
fn in_the_way_of_a_rotation(name: &'static str) -> impl Fn(&mut Scene) {
    move |scene| {
        let lines = lines();
        scene.file("d/current", "old\n", 0o744);
        if name != "state" {
            scene.file("d/state", "old\n", 0o644);
        }
        scene.scratch.mkdir(format!("w/d/{name}"));
        let processor = if name == "previous" {
            "nothing"
        } else {
            "!cat <&4; cat"
        };
        scene.begin(&["s4096", processor, "./d"], "d");
        scene.write(lines.as_bytes());
        scene.wait_errors("pausing", 1);
        fs::remove_dir(scene.scratch.at(format!("w/d/{name}"))).unwrap();
        if name == "state" {
            scene.file("d/state", "new\n", 0o644);
        }
        scene.wait_finished("d", 1);
        scene.wait_end("d/current", "something\n");
        scene.close_and_look();
    }
}

situations! { in_the_way_of_a_rotation
    previous("previous");
    processed("processed");
    newstate("newstate");
    state("state");
}

/// This is a directory of that mode while `current` is not safe.
fn in_the_way_of_a_recovery(name: &'static str, mode: u32) -> impl Fn(&mut Scene) {
    move |scene| {
        scene.file("d/current", "old\n", 0o644);
        scene.scratch.mkdir(format!("w/d/{name}"));
        scene.set_mode(&format!("d/{name}"), mode);
        scene.run(&["./d"], b"new\n");
        scene.look();
    }
}

situations! { in_the_way_of_a_recovery
    processed("processed", 0o600);
    newstate("newstate", 0o700);
    state("state", 0o700);
    lock("lock", 0o700);
}

/// The same where it waits until it is gone.
fn for_a_while_in_the_way_of_a_recovery(name: &'static str, mode: u32) -> impl Fn(&mut Scene) {
    move |scene| {
        scene.file("d/current", "old\n", 0o644);
        let name = format!("d/{name}");
        scene.scratch.mkdir(format!("w/{name}"));
        scene.set_mode(&name, mode);
        scene.open_pipe();
        scene.write(b"new\n");
        scene.start(&["./d"]);
        scene.wait_errors("pausing", 1);
        scene.while_stopped(&[], |scene| {
            fs::remove_dir(scene.scratch.at(format!("w/{name}"))).unwrap();
            // If it were not there, 0.76 would go on complaining.
            scene.file(&name, "", 0o644);
        });
        scene.wait_end("d/current", "new\n");
        scene.close_and_look();
    }
}

situations! { for_a_while_in_the_way_of_a_recovery
    previous_of_mode_600("previous", 0o600);
    previous_of_mode_700("previous", 0o700);
    processed_of_mode_700("processed", 0o700);
}

#[test]
fn state_is_missing_and_the_processor_fails() {
    compare(|scene| {
        scene.file("d/current", "old\n", 0o744);
        scene.begin(&["s4096", "!cat", "./d"], "d");
        scene.write(lines().as_bytes());
        scene.wait_errors("pausing", 1);
        scene.file("d/state", "", 0o644);
        scene.wait_finished("d", 1);
        scene.close_and_look();
    });
}

#[test]
fn a_processor_fails_and_is_run_again_from_the_start() {
    compare(|scene| {
        let once = "!echo x; echo y >&5; if test ! -e ../o; then touch ../o; exit 3; fi; cat";
        scene.begin(&["s4096", once, "./d"], "d");
        scene.write(lines().as_bytes());
        scene.wait_finished("d", 1);
        scene.close_and_look();
    });
}

#[test]
fn the_directory_may_not_be_written_for_a_while() {
    compare(|scene| {
        let script = ["s4096", "./d"];
        scene.scratch.mkdir("w/d");
        let Some(command) = scene.ordinary(&script) else {
            return;
        };
        scene.open_pipe();
        scene.start_command(command);
        scene.wait_ready("d");
        scene.set_mode("d", 0o500);
        scene.write(lines().as_bytes());
        scene.wait_errors("pausing", 1);
        scene.set_mode("d", 0o700);
        scene.wait_finished("d", 1);
        scene.close_and_look();
    });
}

/// One is killed while it waits for lines, the next goes on.
fn killed_while_it_waits(stamps: &'static str) -> impl Fn(&mut Scene) {
    move |scene| {
        let lines = line_of_100_bytes();
        let script = [stamps, "=st", "s4096", "n9", "./d", "-*y", "./e"];
        scene.begin(&script, "e");
        scene.log(b"x\nx\n", "e/current", "x\n");
        for count in [1, 10, 20, 30] {
            scene.kill();
            scene.look();
            scene.write(lines.repeat(count).as_bytes());
            let end = format!("{count} lines\n");
            scene.write(format!("y\n{end}").as_bytes());
            scene.start(&script);
            scene.wait_end("e/current", &end);
        }
        scene.close_and_look();
    }
}

situations! { killed_while_it_waits
    without_stamps("");
    with_stamps("t");
}

/// One is killed by its processor, the next goes on.
fn killed_in_a_processor(processor: &'static str) -> impl Fn(&mut Scene) {
    move |scene| {
        let lines = line_of_100_bytes();
        // 25 lines make a file full, and there is nothing more: 0.76 would lose it.
        scene.open_pipe();
        scene.write(lines.repeat(25).as_bytes());
        scene.start(&["s4096", processor, "./d"]);
        scene.ends();
        scene.drain();
        scene.wait_alone();
        scene.look();
        scene.write(b"next\n");
        scene.start(&["s4096", "!cat <&4; cat", "./d"]);
        scene.wait_end("d/current", "next\n");
        scene.close_and_look();
    }
}

situations! { killed_in_a_processor
    at_its_start("!kill -KILL $PPID; exit 1");
    in_its_middle("!cat; echo new >&5; kill -KILL $PPID; exit 1");
}

fn line_of_100_bytes() -> String {
    "a line of one hundred bytes".repeat(4)[..99].to_owned() + "\n"
}
