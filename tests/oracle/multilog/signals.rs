//! Situations in which a signal comes, something is in the way, or one multilog
//! takes over from another that was killed.

use super::{Situation, situation};
use std::fs;

/// The beginning of a line, when TERM comes: so many bytes, after a whole line
/// or not.
const BEGINNINGS: [usize; 7] = [0, 1, 973, 974, 1000, 3000, 70_000];

pub(super) fn situations() -> Vec<Situation> {
    let mut all = Vec::new();
    for stamps in ["", "t"] {
        for begun in BEGINNINGS {
            for whole in ["", "whole\n"] {
                // Whether the end of the line and more come before multilog is told,
                // and whether anybody may write more then.
                for (stopped, closed) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    let name = format!(
                        "TERM after {whole:?} and {begun} bytes of a line, stamps {stamps:?}, \
                         stopped {stopped}, closed {closed}"
                    );
                    all.push(situation(name, move |scene| {
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
                    }));
                }
            }
        }
    }
    all.extend(alarms());
    all.extend(others());
    all.extend(obstacles());
    all.extend(kills());
    all
}

fn alarms() -> Vec<Situation> {
    let script = ["s4096", "n4", "./d", "-*y", "./e", "-*", "./f"];
    vec![
        situation(
            "ALRM finishes every current that is not empty",
            move |scene| {
                scene.begin(&script, "f");
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
            },
        ),
        situation("ALRM does not split a line that was begun", move |scene| {
            scene.begin(&script, "f");
            scene.log(b"x\nbegun", "e/current", "x\n");
            scene.signal("ALRM");
            scene.wait_finished("e", 1);
            scene.log(b" and done\n", "e/current", "done\n");
            scene.close_and_look();
        }),
        situation("ALRM splits a long line that was begun", move |scene| {
            scene.begin(&script, "f");
            scene.log(&[b'x'; 1500], "e/current", "xxx");
            scene.signal("ALRM");
            scene.wait_finished("e", 1);
            scene.log(b" and done\n", "e/current", "done\n");
            scene.close_and_look();
        }),
        situation("ALRM finishes a current of an earlier multilog", |scene| {
            scene.file("d/current", "old\n", 0o744);
            scene.begin(&["./d"], "d");
            scene.signal("ALRM");
            scene.wait_finished("d", 1);
            scene.close_and_look();
        }),
        situation("ALRM sends current through the processor", |scene| {
            scene.begin(&["!tr a-z A-Z; echo x >&5", "./d"], "d");
            scene.log(b"x\n", "d/current", "x\n");
            scene.signal("ALRM");
            scene.wait_finished("d", 1);
            scene.close_and_look();
        }),
        situation("of ALRM and TERM both count", |scene| {
            scene.begin(&["./d"], "d");
            scene.log(b"x\n", "d/current", "x\n");
            scene.while_stopped(&["TERM", "ALRM"], |scene| scene.write(b"later\n"));
            scene.ends();
            scene.tell_rest();
            scene.look();
        }),
    ]
}

fn others() -> Vec<Situation> {
    let mut all = Vec::new();
    for name in ["HUP", "INT", "QUIT", "USR1", "KILL"] {
        all.push(situation(format!("{name} ends it"), move |scene| {
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
        }));
    }
    for name in ["CHLD", "CONT", "WINCH"] {
        all.push(situation(format!("{name} does nothing"), move |scene| {
            scene.begin(&["./d"], "d");
            scene.log(b"x\nbegun", "d/current", "x\n");
            scene.signal(name);
            scene.log(b" done\n", "d/current", "done\n");
            scene.close_and_look();
        }));
    }
    all.push(situation(
        "TERM waits for a processor, which does not get it",
        |scene| {
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
        },
    ));
    all
}

/// Something is in the way, and then it is not.
fn obstacles() -> Vec<Situation> {
    let lines = "a line of something\n".repeat(200);
    let mut all = Vec::new();
    for name in ["previous", "processed", "newstate", "state"] {
        let lines = lines.clone();
        all.push(situation(
            format!("{name} is a directory while current is full"),
            move |scene| {
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
            },
        ));
    }
    for (name, mode) in [
        ("processed", 0o600),
        ("newstate", 0o700),
        ("state", 0o700),
        ("lock", 0o700),
    ] {
        all.push(situation(
            format!("{name} is a directory while current is not safe"),
            move |scene| {
                scene.file("d/current", "old\n", 0o644);
                scene.scratch.mkdir(format!("w/d/{name}"));
                scene.set_mode(&format!("d/{name}"), mode);
                scene.run(&["./d"], b"new\n");
                scene.look();
            },
        ));
    }
    for (name, mode) in [
        ("previous", 0o600),
        ("previous", 0o700),
        ("processed", 0o700),
    ] {
        all.push(situation(
            format!("{name} is a directory of mode {mode:o} while current is not safe"),
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
            },
        ));
    }
    all.push(situation("state is missing, and the processor fails", {
        let lines = lines.clone();
        move |scene| {
            scene.file("d/current", "old\n", 0o744);
            scene.begin(&["s4096", "!cat", "./d"], "d");
            scene.write(lines.as_bytes());
            scene.wait_errors("pausing", 1);
            scene.file("d/state", "", 0o644);
            scene.wait_finished("d", 1);
            scene.close_and_look();
        }
    }));
    all.push(situation(
        "a processor fails, and is run again from the start",
        {
            let lines = lines.clone();
            move |scene| {
                let once =
                    "!echo x; echo y >&5; if test ! -e ../o; then touch ../o; exit 3; fi; cat";
                scene.begin(&["s4096", once, "./d"], "d");
                scene.write(lines.as_bytes());
                scene.wait_finished("d", 1);
                scene.close_and_look();
            }
        },
    ));
    all.push(situation(
        "the directory may not be written for a while",
        move |scene| {
            let script = ["s4096", "./d"];
            scene.scratch.mkdir("w/d");
            let Some(command) = scene.ordinary(&script) else {
                return;
            };
            scene.open_pipe();
            scene.start_command(command);
            scene.wait_ready("d");
            scene.set_mode("d", 0o500);
            scene.write(lines.as_bytes());
            scene.wait_errors("pausing", 1);
            scene.set_mode("d", 0o700);
            scene.wait_finished("d", 1);
            scene.close_and_look();
        },
    ));
    all
}

/// One is killed, the next goes on.
fn kills() -> Vec<Situation> {
    let lines = "a line of one hundred bytes".repeat(4)[..99].to_owned() + "\n";
    let mut all = Vec::new();
    for stamps in ["", "t"] {
        let lines = lines.clone();
        all.push(situation(
            format!("killed while it waits for lines, {stamps:?}"),
            move |scene| {
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
            },
        ));
    }
    for (when, processor) in [
        ("at the start of", "!kill -KILL $PPID; exit 1"),
        (
            "in the middle of",
            "!cat; echo new >&5; kill -KILL $PPID; exit 1",
        ),
    ] {
        let lines = lines.clone();
        all.push(situation(
            format!("killed {when} a processor"),
            move |scene| {
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
            },
        ));
    }
    all
}
