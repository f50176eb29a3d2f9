//! Situations for each thing that 0.76's multilog is known to do.

use super::compare;
use super::scene::Scene;
use std::fs;

fn lines() -> Vec<u8> {
    let lines = (0..700).map(|number| format!("line {number} of those that are logged\n"));
    lines.collect::<String>().into_bytes()
}

/// A script, run on [`lines()`].
fn script(script: &'static [&str]) -> impl Fn(&mut Scene) {
    move |scene| {
        scene.file("plain", "a file", 0o600);
        scene.run(script, &lines());
        scene.look();
        scene.run_on_pipe(script, &lines());
        scene.look();
    }
}

situations! { script
    nothing(&[]);
    stamps_only(&["t"]);
    unknown_words(&["q", "T", "w", "foo", "", "%", "./d"]);
    two_dashes_are_an_unknown_word(&["--", "./d"]);
    t_with_letters_behind_it(&["tfoo", "./d"]);
    t_twice(&["t", "t", "./d"]);
    t_behind_a_directory(&["./d", "t"]);
    t_behind_another_action(&["e", "t", "./d"]);
    none_and_then_all(&["-*", "./d", "+*", "./e"]);
    some_and_some_of_these(&["-*7*", "./d", "+*77*", "./e", "-*0", "./f", "+*", "./g"]);
    all(&["+*", "./d"]);
    the_empty_pattern(&["-", "./d"]);
    none_and_then_the_empty_pattern(&["-*", "+", "./d"]);
    an_error_line_for_some(&["-*", "e", "+*9", "e", "./d"]);
    a_status_of_some(&["-*", "=st", "+*9", "=su", "./d"]);
    patterns_and_stamps(&["t", "-line*", "./d", "-* line 1*", "./e", "-@*", "./f"]);
    a_status_of_those_that_do_not_end_in_5(&["-*5", "=st", "./d"]);
    directories_in_directories(&["./d", "./d/e", "./d/e/f"]);
    the_current_directory(&["."]);
    the_current_directory_with_a_slash(&["./"]);
    a_directory_with_a_slash(&["./d/"]);
    a_directory_with_a_dot(&["./d/."]);
    a_directory_through_another(&["./d/../e"]);
    a_directory_by_its_whole_path(&["SCRATCH/d"]);
    the_smallest_size(&["s4096", "./d"]);
    a_size_below_the_smallest(&["s4095", "./d"]);
    a_size_without_digits(&["s", "./d"]);
    size_0(&["s0", "./d"]);
    a_negative_size(&["s-5000", "./d"]);
    sizes_of_directories(&["s5000", "./d", "s6000", "./e", "s", "./f"]);
    sizes_of_directories_that_differ_by_one(&["s6095", "./d", "s6096", "./e", "s6097", "./f"]);
    a_size_behind_the_directory(&["./d", "s4096", "n2"]);
    a_size_with_letters_behind_it(&["s8000x9", "./d"]);
    sizes_of_2_to_the_31st_and_more(&["s2147483648", "./d", "s18446744073709551616", "./e"]);
    sizes_beyond_2_to_the_64th(&["s18446744073709556616", "./d", "s184467440737095566160", "./e"]);
    numbers_of_directories(&["s4096", "n2", "./d", "n3", "./e", "n", "./f"]);
    numbers_below_the_smallest(&["s4096", "n0", "./d", "n1", "./e", "n4x", "./f"]);
    numbers_beyond_2_to_the_64th(&["s4096", "n18446744073709551620", "./d", "n4294967298", "./e"]);
    a_number_behind_the_directory(&["s4096", "./d", "n100", "./e"]);
    t_behind_a_number_and_a_directory(&["s4096", "n100", "./d", "t"]);
    stamps_sizes_and_a_pattern(&["t", "s4096", "n100", "./d", "-* *3*", "./e"]);
    a_processor_and_none_afterwards(&["s4096", "!cat", "./d", "!", "./e"]);
    processors_of_directories(&["s4096", "./d", "!tr a-z A-Z", "./e", "!head -c 5", "./f"]);
    a_processor_with_a_state(
        &["s4096", "n100", "!cat <&4; tee /proc/self/fd/5 | tail -n 1", "./d"],
    );
    a_processor_that_writes_its_state(&["s4096", "n4", "!wc -c >&5; cat <&4", "./d"]);
    the_descriptors_of_a_processor(&["s4096", "n3", "!ls /proc/self/fd", "./d"]);
    the_files_a_processor_sees(&["s4096", "n3", "!ls", "./d"]);
    the_environment_of_a_processor(&["s4096", "n3", "!env | cut -d= -f1 | sort", "./d"]);
    the_signals_of_a_processor(
        &["s4096", "n3", "!grep -E '^(SigBlk|SigIgn|Umask)' /proc/self/status", "./d"],
    );
    where_a_processor_runs(&["s4096", "n3", "!basename \"$PWD\"; echo \"$0 $#\"", "./d"]);
    the_modes_a_processor_sees(
        &["s4096", "n3", "!stat -c '%n %a %h' previous processed state newstate current", "./d"],
    );
    a_processor_that_writes_to_stderr(&["s4096", "n3", "!echo to stderr >&2", "./d"]);
    a_processor_that_writes_to_current(&["s4096", "n3", "!echo in current >>current; cat", "./d"]);
    status_files_three_times(&["=st", "=st", "-*9", "=st"]);
    dev_null_as_a_status_file(&["=/dev/null", "./d"]);
    error_lines_and_a_directory(&["e", "./d"]);
    error_lines_with_stamps(&["t", "e"]);
}

/// A script with which multilog cannot begin, for one reason.
fn cannot_begin(script: &'static [&str]) -> impl Fn(&mut Scene) {
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
    }
}

situations! { cannot_begin
    a_directory_in_one_that_is_missing(&["./missing/d"]);
    a_directory_below_dev_null(&["/dev/null/d"]);
    a_file_as_a_directory(&["./plain"]);
    a_directory_below_a_file(&["./plain/d"]);
    a_directory_twice(&["./d", "./d"]);
    a_directory_twice_by_another_path(&["./d", "./e/../d"]);
    a_status_file_in_a_missing_directory(&["=missing/st"]);
    a_directory_as_a_status_file(&["=directory"]);
    the_empty_name_as_a_status_file(&["="]);
    a_status_file_below_a_file(&["=plain/st"]);
    a_missing_directory_behind_a_status_file(&["=st", "./missing/d"]);
    a_missing_status_file_behind_a_directory(&["./d", "=missing/st"]);
    a_loop_of_links(&["./loop"]);
    a_link_to_nowhere(&["./nowhere"]);
    a_directory_as_the_lock(&["./locked"]);
    a_directory_as_current(&["./odd"]);
}

/// What patterns are tried on.
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
/// Which of them match.
fn pattern(pattern: &'static str) -> impl Fn(&mut Scene) {
    move |scene| {
        let input = TEXTS.join(b"\n".as_slice());
        let (not, only) = (format!("-{pattern}"), format!("+{pattern}"));
        scene.run(&[not.as_str(), "./d", "-*", &only, "./e"], &input);
        scene.look();
    }
}

situations! { pattern
    empty("");
    star("*");
    two_stars("**");
    three_stars("***");
    a("a");
    a_star("a*");
    star_a("*a");
    star_b("*b");
    star_ab("*ab");
    star_bar("*bar");
    two_stars_b("**b");
    two_stars_c("**c");
    a_two_stars_b("a**b");
    a_star_b("a*b");
    a_star_c("a*c");
    star_a_star("*a*");
    star_a_star_b("*a*b");
    star_a_star_b_star("*a*b*");
    hello_with_stars("hello: *: *");
    hello("hello");
    question_mark("?");
    brackets("[a]");
    backslash_star("\\*");
    plus_x("+x");
    minus_x("-x");
    blank(" ");
    star_blank_star("* *");
    star_carriage_return("*\r");
    star_aab("*aab");
    a_star_a_star("a*a*");
}

/// A line of so many bytes, about those that are shown, and that decide; its last byte is
/// seen, or not, by a pattern, with a stamp and without.
fn line(length: usize, newline: &'static str) -> impl Fn(&mut Scene) {
    move |scene| {
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
}

situations! { line
    of_0_bytes(0, "");
    of_0_bytes_and_a_newline(0, "\n");
    of_0_bytes_and_another_line(0, "\nx\n");
    of_0_bytes_and_half_a_line(0, "\nx");
    of_1_bytes(1, "");
    of_1_bytes_and_a_newline(1, "\n");
    of_1_bytes_and_another_line(1, "\nx\n");
    of_1_bytes_and_half_a_line(1, "\nx");
    of_199_bytes(199, "");
    of_199_bytes_and_a_newline(199, "\n");
    of_199_bytes_and_another_line(199, "\nx\n");
    of_199_bytes_and_half_a_line(199, "\nx");
    of_200_bytes(200, "");
    of_200_bytes_and_a_newline(200, "\n");
    of_200_bytes_and_another_line(200, "\nx\n");
    of_200_bytes_and_half_a_line(200, "\nx");
    of_201_bytes(201, "");
    of_201_bytes_and_a_newline(201, "\n");
    of_201_bytes_and_another_line(201, "\nx\n");
    of_201_bytes_and_half_a_line(201, "\nx");
    of_999_bytes(999, "");
    of_999_bytes_and_a_newline(999, "\n");
    of_999_bytes_and_another_line(999, "\nx\n");
    of_999_bytes_and_half_a_line(999, "\nx");
    of_1000_bytes(1000, "");
    of_1000_bytes_and_a_newline(1000, "\n");
    of_1000_bytes_and_another_line(1000, "\nx\n");
    of_1000_bytes_and_half_a_line(1000, "\nx");
    of_1001_bytes(1001, "");
    of_1001_bytes_and_a_newline(1001, "\n");
    of_1001_bytes_and_another_line(1001, "\nx\n");
    of_1001_bytes_and_half_a_line(1001, "\nx");
    of_3000_bytes(3000, "");
    of_3000_bytes_and_a_newline(3000, "\n");
    of_3000_bytes_and_another_line(3000, "\nx\n");
    of_3000_bytes_and_half_a_line(3000, "\nx");
}

#[test]
fn a_status_file_keeps_its_mode_and_what_is_behind() {
    compare(|scene| {
        scene.file("st", "old".repeat(700), 0o755);
        scene.run(&["=st"], b"");
        scene.look();
        scene.run(&["=st"], b"new\n");
        scene.look();
    });
}

#[test]
fn a_later_shorter_line_leaves_nothing_of_an_earlier() {
    compare(|scene| {
        scene.run(
            &["=st"],
            &[vec![b'x'; 5000], b"\nshort\n".to_vec()].concat(),
        );
        scene.look();
    });
}

#[test]
fn a_status_file_may_be_a_link_to_nothing() {
    compare(|scene| {
        std::os::unix::fs::symlink("target", scene.scratch.at("w/st")).unwrap();
        scene.run(&["=st"], b"new\n");
        scene.look();
    });
}

#[test]
fn a_status_file_that_cannot_be_written_is_tried_again() {
    compare(|scene| {
        scene.open_pipe();
        scene.write(b"a\n");
        scene.start(&["=/dev/full", "./d"]);
        scene.wait_errors("pausing", 1);
        scene.kill();
        scene.look();
    });
}

#[test]
fn what_cannot_be_reached_cannot_be_a_status_file() {
    compare(|scene| {
        scene.file("closed/st", "", 0o600);
        scene.file("st", "", 0o400);
        for word in ["=closed/st", "=st"] {
            let Some(command) = scene.ordinary(&[word]) else {
                return;
            };
            scene.set_mode("closed", 0);
            scene.finish(command);
        }
    });
}

/// A line of so many bytes that goes through files.
fn line_through_files(length: usize, end: &'static str) -> impl Fn(&mut Scene) {
    move |scene| {
        let input = [vec![b'x'; length], end.as_bytes().to_vec()].concat();
        let script = [
            "s4096", "n1000", "./d", "-y*", "./e", "!wc -c", "s5000", "./f",
        ];
        scene.run(&script, &input);
        scene.run_on_pipe(&script, &input);
        scene.look();
    }
}

situations! { line_through_files
    of_4094_bytes(4094, "");
    of_4094_bytes_and_a_newline(4094, "\n");
    of_4094_bytes_and_another_line(4094, "\nx\n");
    of_4095_bytes(4095, "");
    of_4095_bytes_and_a_newline(4095, "\n");
    of_4095_bytes_and_another_line(4095, "\nx\n");
    of_4096_bytes(4096, "");
    of_4096_bytes_and_a_newline(4096, "\n");
    of_4096_bytes_and_another_line(4096, "\nx\n");
    of_4097_bytes(4097, "");
    of_4097_bytes_and_a_newline(4097, "\n");
    of_4097_bytes_and_another_line(4097, "\nx\n");
    of_10000_bytes(10_000, "");
    of_10000_bytes_and_a_newline(10_000, "\n");
    of_10000_bytes_and_another_line(10_000, "\nx\n");
    of_1000000_bytes(1_000_000, "");
    of_1000000_bytes_and_a_newline(1_000_000, "\n");
    of_1000000_bytes_and_another_line(1_000_000, "\nx\n");
}

/// So many lines and a tail come to where a file is full.
fn to_where_a_file_is_full(count: usize) -> impl Fn(&mut Scene) {
    move |scene| {
        let line = "x".repeat(99) + "\n";
        let input = line.repeat(count) + "tail";
        for stamps in ["", "t"] {
            scene.run(&[stamps, "s4096", "./d"], input.as_bytes());
            scene.run_on_pipe(&[stamps, "s4096", "./e"], input.as_bytes());
        }
        scene.look();
    }
}

situations! { to_where_a_file_is_full
    lines_20(20);
    lines_21(21);
    lines_22(22);
    lines_23(23);
    lines_24(24);
    lines_25(25);
    lines_26(26);
}

/// `current` has this size and mode when the input comes.
fn current(size: usize, mode: u32, input: &'static str) -> impl Fn(&mut Scene) {
    move |scene| {
        scene.file("d/current", &"old\n".repeat(3000).as_bytes()[..size], mode);
        scene.run(&["s4096", "./d"], input.as_bytes());
        scene.look();
    }
}

situations! { current
    of_4095_bytes_and_mode_744_when_nothing_comes(4095, 0o744, "");
    of_4095_bytes_and_mode_744_when_a_line_comes(4095, 0o744, "x\n");
    of_4095_bytes_and_mode_744_when_half_a_line_comes(4095, 0o744, "x");
    of_4096_bytes_and_mode_744_when_nothing_comes(4096, 0o744, "");
    of_4096_bytes_and_mode_744_when_a_line_comes(4096, 0o744, "x\n");
    of_4096_bytes_and_mode_744_when_half_a_line_comes(4096, 0o744, "x");
    of_9000_bytes_and_mode_744_when_nothing_comes(9000, 0o744, "");
    of_9000_bytes_and_mode_744_when_a_line_comes(9000, 0o744, "x\n");
    of_9000_bytes_and_mode_744_when_half_a_line_comes(9000, 0o744, "x");
    of_2095_bytes_and_mode_744_when_nothing_comes(2095, 0o744, "");
    of_2095_bytes_and_mode_744_when_a_line_comes(2095, 0o744, "x\n");
    of_2095_bytes_and_mode_744_when_half_a_line_comes(2095, 0o744, "x");
    of_9000_bytes_and_mode_644_when_nothing_comes(9000, 0o644, "");
    of_9000_bytes_and_mode_644_when_a_line_comes(9000, 0o644, "x\n");
    of_9000_bytes_and_mode_644_when_half_a_line_comes(9000, 0o644, "x");
}

/// Of so many finished files and others some are deleted.
fn deletes_of(count: usize, alien: usize) -> impl Fn(&mut Scene) {
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
    }
}

situations! { deletes_of
    files_0(0, 0);
    files_3(3, 0);
    files_4(4, 0);
    files_5(5, 0);
    files_9(9, 0);
    files_3_and_2_others(3, 2);
    files_2_and_2_others(2, 2);
}

#[test]
fn a_directory_that_is_there_keeps_its_mode() {
    compare(|scene| {
        scene.file("d/x", "", 0o600);
        scene.set_mode("d", 0o2775);
        scene.run(&["./d"], b"x\n");
        scene.look();
    });
}

#[test]
fn the_umask_does_not_count() {
    compare(|scene| {
        let script = ["=st", "s4096", "!cat", "./d"];
        let mut shell = scene.through_shell("umask 077; exec \"$0\" \"$@\"", &script);
        scene.scratch.write("input", lines());
        shell.stdin(fs::File::open(scene.scratch.at("input")).unwrap());
        scene.finish(shell);
        scene.look();
    });
}

#[test]
fn what_is_linked_twice_is_not_linked_again() {
    compare(|scene| {
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
    });
}

#[test]
fn stdin_that_is_a_directory_or_closed_ends_at_once() {
    compare(|scene| {
        let mut command = scene.multilog(&["./d"]);
        command.stdin(fs::File::open(scene.scratch.path()).unwrap());
        scene.finish(command);
        scene.look();
        let shell = scene.through_shell("exec \"$0\" \"$@\" <&-", &["./d"]);
        scene.finish(shell);
        scene.look();
    });
}

#[test]
fn a_directory_in_use_cannot_be_locked() {
    compare(|scene| {
        scene.begin(&["./d"], "d");
        scene.run(&["./d"], b"x\n");
        scene.log(b"y\n", "d/current", "y\n");
        scene.close_and_look();
    });
}

#[test]
fn permissions_are_in_the_way() {
    compare(|scene| {
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
    });
}

/// In every state that a multilog that was killed can leave, and in more: the modes of
/// `current`, `previous` and `processed`, and which of `state` and `newstate` are there.
fn left_over(
    (current, previous): (Option<u32>, Option<u32>),
    processed: Option<u32>,
    states: u32,
) -> impl Fn(&mut Scene) {
    move |scene| {
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
    }
}

/// With every `processed`, and all states.
macro_rules! every_leftover {
    ($($name:ident $value:expr;)+) => {$(
        mod $name {
            use super::*;
            fn with(processed: Option<u32>, states: u32) -> impl Fn(&mut Scene) {
                left_over($value, processed, states)
            }
            situations! { with
                processed_missing_and_no_states(None, 0);
                processed_missing_and_state(None, 1);
                processed_missing_and_newstate(None, 2);
                processed_missing_and_both_states(None, 3);
                processed_safe_and_no_states(Some(0o744), 0);
                processed_safe_and_state(Some(0o744), 1);
                processed_safe_and_newstate(Some(0o744), 2);
                processed_safe_and_both_states(Some(0o744), 3);
                processed_not_safe_and_no_states(Some(0o644), 0);
                processed_not_safe_and_state(Some(0o644), 1);
                processed_not_safe_and_newstate(Some(0o644), 2);
                processed_not_safe_and_both_states(Some(0o644), 3);
            }
        }
    )+};
}

every_leftover! {
    current_missing_previous_missing (None, None);
    current_missing_previous_not_safe (None, Some(0o644));
    current_missing_previous_safe (None, Some(0o744));
    current_not_safe_previous_missing (Some(0o644), None);
    current_not_safe_previous_not_safe (Some(0o644), Some(0o644));
    current_not_safe_previous_safe (Some(0o644), Some(0o744));
    current_safe_previous_missing (Some(0o744), None);
    current_safe_previous_not_safe (Some(0o744), Some(0o644));
    current_safe_previous_safe (Some(0o744), Some(0o744));
}
