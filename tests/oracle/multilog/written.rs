//! Situations for each thing that 0.76's multilog is known to do.

use super::scene::Scene;
use super::{Situation, situation};
use std::fs;

/// Scripts that say for themselves what they are about, run on [`lines()`].
const SCRIPTS: &[&[&str]] = &[
    &[],
    &["t"],
    &["q", "T", "w", "foo", "", "%", "./d"],
    &["--", "./d"],
    &["tfoo", "./d"],
    &["t", "t", "./d"],
    &["./d", "t"],
    &["e", "t", "./d"],
    &["-*", "./d", "+*", "./e"],
    &["-*7*", "./d", "+*77*", "./e", "-*0", "./f", "+*", "./g"],
    &["+*", "./d"],
    &["-", "./d"],
    &["-*", "+", "./d"],
    &["-*", "e", "+*9", "e", "./d"],
    &["-*", "=st", "+*9", "=su", "./d"],
    &["t", "-line*", "./d", "-* line 1*", "./e", "-@*", "./f"],
    &["-*5", "=st", "./d"],
    &["./d", "./d/e", "./d/e/f"],
    &["."],
    &["./"],
    &["./d/"],
    &["./d/."],
    &["./d/../e"],
    &["SCRATCH/d"],
    &["s4096", "./d"],
    &["s4095", "./d"],
    &["s", "./d"],
    &["s0", "./d"],
    &["s-5000", "./d"],
    &["s5000", "./d", "s6000", "./e", "s", "./f"],
    &["s6095", "./d", "s6096", "./e", "s6097", "./f"],
    &["./d", "s4096", "n2"],
    &["s8000x9", "./d"],
    &["s2147483648", "./d", "s18446744073709551616", "./e"],
    &[
        "s18446744073709556616",
        "./d",
        "s184467440737095566160",
        "./e",
    ],
    &["s4096", "n2", "./d", "n3", "./e", "n", "./f"],
    &["s4096", "n0", "./d", "n1", "./e", "n4x", "./f"],
    &[
        "s4096",
        "n18446744073709551620",
        "./d",
        "n4294967298",
        "./e",
    ],
    &["s4096", "./d", "n100", "./e"],
    &["s4096", "n100", "./d", "t"],
    &["t", "s4096", "n100", "./d", "-* *3*", "./e"],
    &["s4096", "!cat", "./d", "!", "./e"],
    &["s4096", "./d", "!tr a-z A-Z", "./e", "!head -c 5", "./f"],
    &[
        "s4096",
        "n100",
        "!cat <&4; tee /proc/self/fd/5 | tail -n 1",
        "./d",
    ],
    &["s4096", "n4", "!wc -c >&5; cat <&4", "./d"],
    &["s4096", "n3", "!ls /proc/self/fd", "./d"],
    &["s4096", "n3", "!ls", "./d"],
    &["s4096", "n3", "!env | cut -d= -f1 | sort", "./d"],
    &[
        "s4096",
        "n3",
        "!grep -E '^(SigBlk|SigIgn|Umask)' /proc/self/status",
        "./d",
    ],
    &["s4096", "n3", "!basename \"$PWD\"; echo \"$0 $#\"", "./d"],
    &[
        "s4096",
        "n3",
        "!stat -c '%n %a %h' previous processed state newstate current",
        "./d",
    ],
    &["s4096", "n3", "!echo to stderr >&2", "./d"],
    &["s4096", "n3", "!echo in current >>current; cat", "./d"],
    &["=st", "=st", "-*9", "=st"],
    &["=/dev/null", "./d"],
    &["e", "./d"],
    &["t", "e"],
];

/// Scripts with which multilog cannot begin, each for one reason.
const FATAL: &[&[&str]] = &[
    &["./missing/d"],
    &["/dev/null/d"],
    &["./plain"],
    &["./plain/d"],
    &["./d", "./d"],
    &["./d", "./e/../d"],
    &["=missing/st"],
    &["=directory"],
    &["="],
    &["=plain/st"],
    &["=st", "./missing/d"],
    &["./d", "=missing/st"],
    &["./loop"],
    &["./nowhere"],
    &["./locked"],
    &["./odd"],
];

/// What patterns are tried on, and the patterns.
const TEXTS: &[&[u8]] = &[
    b"",
    b"a",
    b"ab",
    b"abc",
    b"a*b",
    b"a**b",
    b"*",
    b"**",
    b"foobar",
    b"foobabar",
    b"bar",
    b" ",
    b"hello: a: b",
    b"hello: a b",
    b"abab",
    b"aab",
    b"\\*",
    b"[a]",
    b"?",
    b"\xff\xfe",
    b"\0",
    b"a\0b",
    b"a\r",
    b"\r",
    b"+x",
    b"-x",
];
const PATTERNS: &[&str] = &[
    "",
    "*",
    "**",
    "***",
    "a",
    "a*",
    "*a",
    "*b",
    "*ab",
    "*bar",
    "**b",
    "**c",
    "a**b",
    "a*b",
    "a*c",
    "*a*",
    "*a*b",
    "*a*b*",
    "hello: *: *",
    "hello",
    "?",
    "[a]",
    "\\*",
    "+x",
    "-x",
    " ",
    "* *",
    "*\r",
    "*aab",
    "a*a*",
];

/// Lengths of lines, in bytes: about those that are shown, and that decide.
const SIZES: [usize; 9] = [0, 1, 199, 200, 201, 999, 1000, 1001, 3000];

fn lines() -> Vec<u8> {
    let lines = (0..700).map(|number| format!("line {number} of those that are logged\n"));
    lines.collect::<String>().into_bytes()
}

pub(super) fn situations() -> Vec<Situation> {
    let mut all = Vec::new();
    for script in SCRIPTS {
        all.push(situation(format!("{script:?}"), move |scene| {
            scene.file("plain", "a file", 0o600);
            scene.run(script, &lines());
            scene.look();
            scene.run_on_pipe(script, &lines());
            scene.look();
        }));
    }
    for script in FATAL {
        all.push(situation(
            format!("{script:?} cannot begin"),
            move |scene| {
                scene.file("plain", "a file", 0o600);
                scene.file("directory/file", "", 0o600);
                scene.scratch.mkdir("w/locked/lock");
                // Its x bit says that it is safe.
                scene.scratch.mkdir("w/odd/current");
                for (to, from) in [("loop", "w/loop"), ("not/there", "w/nowhere")] {
                    std::os::unix::fs::symlink(to, scene.scratch.at(from)).unwrap();
                }
                scene.run(script, &lines());
                if script.len() == 1 {
                    scene.look();
                }
            },
        ));
    }
    for pattern in PATTERNS {
        all.push(situation(
            format!("the pattern {pattern:?}"),
            move |scene| {
                let input = TEXTS.join(b"\n".as_slice());
                let (not, only) = (format!("-{pattern}"), format!("+{pattern}"));
                scene.run(&[not.as_str(), "./d", "-*", &only, "./e"], &input);
                scene.look();
            },
        ));
    }
    for length in SIZES {
        for newline in ["", "\n", "\nx\n", "\nx"] {
            all.push(situation(
                format!("a line of {length} bytes and {newline:?}"),
                move |scene| one_line(scene, length, newline),
            ));
        }
    }
    all.extend(status_files());
    all.extend(files());
    all.extend(leftovers());
    all
}

/// A line whose last byte is seen, or not, by a pattern, with a stamp and without.
fn one_line(scene: &mut Scene, length: usize, newline: &str) {
    for (round, stamps) in ["", "t"].into_iter().enumerate() {
        for before in [0, 26] {
            let mut input = vec![b'x'; length.saturating_sub(before)];
            if let Some(last) = input.last_mut() {
                *last = b'y';
            }
            input.extend(newline.bytes());
            let directories = [0, 1, 2].map(|number| format!("./d{round}{before}{number}"));
            let [all, not, only] = &directories;
            let script = [stamps, "=st", "e", all, "-*y", not, "-*", "+*y", "e", only];
            scene.run(&script, &input);
            scene.run_on_pipe(&script, &input);
            scene.look();
        }
    }
}

fn status_files() -> Vec<Situation> {
    vec![
        situation("a status file keeps its mode and what is behind", |scene| {
            scene.file("st", "old".repeat(700), 0o755);
            scene.run(&["=st"], b"");
            scene.look();
            scene.run(&["=st"], b"new\n");
            scene.look();
        }),
        situation(
            "a later, shorter line leaves nothing of an earlier",
            |scene| {
                scene.run(
                    &["=st"],
                    &[vec![b'x'; 5000], b"\nshort\n".to_vec()].concat(),
                );
                scene.look();
            },
        ),
        situation("a status file may be a link to nothing", |scene| {
            std::os::unix::fs::symlink("target", scene.scratch.at("w/st")).unwrap();
            scene.run(&["=st"], b"new\n");
            scene.look();
        }),
        situation(
            "a status file that cannot be written is tried again",
            |scene| {
                scene.open_pipe();
                scene.write(b"a\n");
                scene.start(&["=/dev/full", "./d"]);
                scene.wait_errors("pausing", 1);
                scene.kill();
                scene.look();
            },
        ),
        situation("what cannot be reached cannot be a status file", |scene| {
            scene.file("closed/st", "", 0o600);
            scene.file("st", "", 0o400);
            for word in ["=closed/st", "=st"] {
                let Some(command) = scene.ordinary(&[word]) else {
                    return;
                };
                scene.set_mode("closed", 0);
                scene.finish(command);
            }
        }),
    ]
}

fn files() -> Vec<Situation> {
    let mut all = Vec::new();
    for length in [4094, 4095, 4096, 4097, 10_000, 1_000_000] {
        for end in ["", "\n", "\nx\n"] {
            all.push(situation(
                format!("a line of {length} bytes and {end:?} goes through files"),
                move |scene| {
                    let input = [vec![b'x'; length], end.as_bytes().to_vec()].concat();
                    let script = [
                        "s4096", "n1000", "./d", "-y*", "./e", "!wc -c", "s5000", "./f",
                    ];
                    scene.run(&script, &input);
                    scene.run_on_pipe(&script, &input);
                    scene.look();
                },
            ));
        }
    }
    for count in 20..27 {
        all.push(situation(
            format!("{count} lines and a tail come to where a file is full"),
            move |scene| {
                let line = "x".repeat(99) + "\n";
                let input = line.repeat(count) + "tail";
                for stamps in ["", "t"] {
                    scene.run(&[stamps, "s4096", "./d"], input.as_bytes());
                    scene.run_on_pipe(&[stamps, "s4096", "./e"], input.as_bytes());
                }
                scene.look();
            },
        ));
    }
    for (size, mode) in [
        (4095, 0o744),
        (4096, 0o744),
        (9000, 0o744),
        (2095, 0o744),
        (9000, 0o644),
    ] {
        for input in ["", "x\n", "x"] {
            all.push(situation(
                format!("current has {size} bytes and mode {mode:o}, and {input:?} comes"),
                move |scene| {
                    scene.file("d/current", &"old\n".repeat(3000).as_bytes()[..size], mode);
                    scene.run(&["s4096", "./d"], input.as_bytes());
                    scene.look();
                },
            ));
        }
    }
    for (count, alien) in [(0, 0), (3, 0), (4, 0), (5, 0), (9, 0), (3, 2), (2, 2)] {
        all.push(situation(
            format!("of {count} finished files and {alien} others some are deleted"),
            move |scene| {
                for number in 0..count {
                    let name = format!("d/@400000003b9aca0{number}00000000.s");
                    scene.file(&name, format!("{number}"), 0o744);
                }
                for number in 0..alien {
                    scene.file(&format!("d/@an-alien-of-24-bytes--{number}"), "", 0o600);
                    scene.file(&format!("d/an-alien-of-25-bytes---{number}"), "", 0o600);
                }
                scene.file("d/current", "", 0o744);
                // Not at the start, and not by what is not full.
                scene.run(&["n5", "./d"], b"x\n");
                scene.look();
                scene.run(&["n5", "s4096", "./d"], &lines()[..3000]);
                scene.look();
                scene.set_mode("d/current", 0o644);
                // At the start, if there is something to finish.
                scene.run(&["n4", "./d"], b"");
                scene.look();
            },
        ));
    }
    all.extend([
        situation("a directory that is there keeps its mode", |scene| {
            scene.file("d/x", "", 0o600);
            scene.set_mode("d", 0o2775);
            scene.run(&["./d"], b"x\n");
            scene.look();
        }),
        situation("the umask does not count", |scene| {
            let script = ["=st", "s4096", "!cat", "./d"];
            let mut shell = scene.through_shell("umask 077; exec \"$0\" \"$@\"", &script);
            scene.scratch.write("input", lines());
            shell.stdin(fs::File::open(scene.scratch.at("input")).unwrap());
            scene.finish(shell);
            scene.look();
        }),
        situation("what is linked twice is not linked again", |scene| {
            for name in ["previous", "processed"] {
                for mode in [0o644, 0o744] {
                    let directory = format!("{name}{mode:o}");
                    let file = format!("{directory}/{name}");
                    scene.file(&file, "old\n", mode);
                    let second = format!("w/{directory}/@400000003b9aca0000000000.s");
                    let from = scene.scratch.at(format!("w/{file}"));
                    fs::hard_link(from, scene.scratch.at(second)).unwrap();
                    scene.run(&[format!("./{directory}")], b"new\n");
                    scene.look();
                }
            }
        }),
        situation(
            "stdin that is a directory, or closed, ends at once",
            |scene| {
                let mut command = scene.multilog(&["./d"]);
                command.stdin(fs::File::open(scene.scratch.path()).unwrap());
                scene.finish(command);
                scene.look();
                let shell = scene.through_shell("exec \"$0\" \"$@\" <&-", &["./d"]);
                scene.finish(shell);
                scene.look();
            },
        ),
        situation("a directory in use cannot be locked", |scene| {
            scene.begin(&["./d"], "d");
            scene.run(&["./d"], b"x\n");
            scene.log(b"y\n", "d/current", "y\n");
            scene.close_and_look();
        }),
        situation("permissions are in the way", |scene| {
            for (name, mode) in [("none", 0), ("read", 0o400), ("no-write", 0o500)] {
                scene.scratch.mkdir(format!("w/{name}"));
                let Some(command) = scene.ordinary(&[format!("./{name}")]) else {
                    return;
                };
                scene.set_mode(name, mode);
                scene.finish(command);
            }
            for (name, mode) in [("lock", 0o000), ("lock", 0o400), ("current", 0o544)] {
                let directory = format!("{name}{mode:o}");
                scene.file(&format!("{directory}/{name}"), "", mode);
                let Some(command) = scene.ordinary(&[format!("./{directory}")]) else {
                    return;
                };
                scene.finish(command);
            }
            scene.look();
        }),
    ]);
    all
}

/// In every state that a multilog that was killed can leave, and in more.
fn leftovers() -> Vec<Situation> {
    const MODES: [Option<u32>; 3] = [None, Some(0o644), Some(0o744)];
    let mut all = Vec::new();
    for current in MODES {
        for previous in MODES {
            for processed in MODES {
                for states in 0..4 {
                    let name = format!(
                        "left over: current {current:?}, previous {previous:?}, processed {processed:?}, states {states}"
                    );
                    all.push(situation(name, move |scene| {
                        let parts = [
                            ("current", current),
                            ("previous", previous),
                            ("processed", processed),
                            ("state", (states & 1 > 0).then_some(0o644)),
                            ("newstate", (states & 2 > 0).then_some(0o644)),
                        ];
                        for directory in ["d", "e"] {
                            for (name, mode) in parts {
                                if let Some(mode) = mode {
                                    let text = format!("{name}\n").repeat(30);
                                    scene.file(&format!("{directory}/{name}"), text, mode);
                                }
                            }
                            let old = format!("{directory}/@400000003b9aca0000000000.s");
                            scene.file(&old, "old\n", 0o744);
                        }
                        // Without a state a processor fails for ever.
                        let has_state = states & 1 > 0 || current != Some(0o744);
                        let processor = if has_state {
                            "!cat <&4; cat"
                        } else {
                            "nothing"
                        };
                        let script = ["n4", "./d", "s4096", processor, "./e"];
                        scene.run(&script, b"new\n");
                        scene.look();
                        scene.run(&script, &lines()[..5000]);
                        scene.look();
                    }));
                }
            }
        }
    }
    all
}
