//! svstat: all its lines, from status files made by hand.

use super::compare;
use super::stage::{Stage, unread};
use super::zoo::{Zoo, each_denied, each_directory, invalid_name, now, stamped, status};
use crate::harness::{Scratch, Suite, called, finish, has};
use std::os::unix::fs::symlink;

/// What is typed.
fn typed(words: &'static [&str]) -> impl Fn(&mut Stage) {
    move |stage| {
        let _zoo = Zoo::new(stage);
        stage.run("svstat", words);
    }
}

situations! { typed
    one_line_for_each_directory(&["s", "down", "two words"]);
    errors_are_lines_among_the_others(&["missing", "s", "bare", "dead", "s"]);
    two_dashes_are_a_directory(&["--", "s"]);
    an_option_is_a_directory(&["-x"]);
    a_long_option_is_a_directory(&["--help"]);
    the_directory_one_is_in_is_like_any_other(&["."]);
    a_name_is_printed_as_it_was_given(&["s/", "./s", "s/.", "link/../s"]);
}

/// On what is, or is not, a service.
fn on(directory: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        let _zoo = Zoo::new(stage);
        stage.run("svstat", &[directory]);
    }
}

// Not directories in the place of the FIFOs: a failed read is told by ours, see below.
each_directory! {}

/// On a path that may not be touched.
fn denied(path: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        let _zoo = Zoo::new(stage);
        // To be got at but for what is denied.
        stage.deny("s/supervise", 0o755);
        stage.deny("s/supervise/ok", 0o666);
        stage.deny(path, 0);
        stage.run_as_ordinary_user("", "svstat", &["s"]);
    }
}

each_denied! {}

/// On a service of this pid: 0 if it is down.
fn with_pid(pid: u32, is_normally_down: bool) -> impl Fn(&mut Stage) {
    move |stage| {
        let _zoo = service(stage);
        if is_normally_down {
            stage.scratch.write("s/down", "");
        }
        for paused in [0, 1, 2, 255] {
            for want in *b"ud\0oxUD\xff" {
                tell(stage, &status(pid, paused, want));
            }
        }
    }
}

situations! { with_pid
    down_and_normally_up(0, false);
    down_and_normally_down(0, true);
    up_and_normally_up(1, false);
    up_and_normally_down(1, true);
    up_with_another_pid_and_normally_up(77, false);
    up_with_another_pid_and_normally_down(77, true);
    up_with_the_last_pid_and_normally_up(u32::MAX, false);
    up_with_the_last_pid_and_normally_down(u32::MAX, true);
}

/// On a stamp that differs so much from now, in seconds.
fn stamp_of(offset: i64) -> impl Fn(&mut Stage) {
    move |stage| {
        let _zoo = service(stage);
        let then = (now() + 10).wrapping_add_signed(offset);
        tell_age(stage, then, (-offset).max(0).unsigned_abs());
    }
}

situations! { stamp_of
    two_seconds_ago(-2);
    a_minute_ago(-100);
    days_ago(-1_000_000);
    years_ago(-400_000_000);
    in_a_while(1000);
    in_a_century(4_000_000_000);
}

/// On a stamp of so many seconds from 2^62 that no clock shows, and those of a clock.
fn stamp(seconds: u64) -> impl Fn(&mut Stage) {
    move |stage| {
        let _zoo = service(stage);
        let age = (now() + 10).wrapping_sub(seconds);
        tell_age(stage, seconds, age);
    }
}

situations! { stamp
    year_1969(0);
    year_1970(10);
    year_2001(1_000_000_000);
    the_end_of_all_time(u64::MAX - (1 << 62));
    the_beginning_of_all_time(u64::MAX - (1 << 62) + 1);
}

/// On a status of so many bytes.
fn status_of(length: usize) -> impl Fn(&mut Stage) {
    move |stage| {
        let _zoo = service(stage);
        let mut bytes = status(77, 1, b'd').to_vec();
        bytes.resize(length, 0x44);
        tell(stage, &bytes);
    }
}

situations! { status_of
    no_bytes(0);
    one_byte(1);
    bytes_12(12);
    bytes_16(16);
    bytes_17(17);
    bytes_18(18);
    bytes_19(19);
    bytes_20(20);
    bytes_35(35);
    bytes_4096(4096);
}

#[test]
fn what_is_here_is_not_looked_up_in_svdir() {
    compare(|stage| {
        let mut zoo = Zoo::new(stage);
        for name in ["run", "gone"] {
            zoo.supervise(stage, name);
        }
        stage.scratch.mkdir("here");
        stage.sh(
            "cd here; export SVDIR=\"${PWD%/here}\"; touch run; mkdir s; \
                 ln -s nowhere gone; ln -s circle circle; svstat gone circle run s ./down missing",
        );
    });
}

#[test]
fn on_a_status_of_garbage() {
    compare(|stage| {
        let _zoo = service(stage);
        for byte in [0x00, 0x01, 0x20, 0x7f, 0x80, 0xff] {
            stage.scratch.write("s/supervise/status", [byte; 18]);
            let said = said(stage);
            // Beyond what a clock shows only the first digits can be compared.
            let digits = |c: char| c.is_ascii_digit();
            let words = said.split(' ').map(|word| match word.len() {
                13.. if word.chars().all(digits) => &word[..word.len() - 7],
                _ => word,
            });
            stage.say(words.collect::<Vec<_>>().join(" "));
        }
    });
}

#[test]
fn on_a_link_named_down() {
    compare(|stage| {
        let _zoo = service(stage);
        for target in ["nothing", "supervise", "/etc/passwd/nothing"] {
            let down = stage.scratch.at("s/down");
            let _ = std::fs::remove_file(&down);
            symlink(target, &down).unwrap();
            stage.run("svstat", &["s"]);
        }
    });
}

#[test]
fn on_a_status_that_is_a_fifo() {
    compare(|stage| {
        let _zoo = service(stage);
        let status = stage.scratch.at("s/supervise/status");
        std::fs::remove_file(&status).unwrap();
        nix::unistd::mkfifo(&status, nix::sys::stat::Mode::S_IRWXU).unwrap();
        stage.run("svstat", &["s"]);
    });
}

#[test]
fn looks_for_down_then_for_ok_then_for_the_status() {
    compare(|stage| {
        let _zoo = Zoo::new(stage);
        for name in ["s", "downloop"] {
            std::fs::remove_file(stage.scratch.at(name).join("supervise/status")).unwrap();
            stage.run("svstat", &[name]);
            std::fs::remove_file(stage.scratch.at(name).join("supervise/ok")).unwrap();
            stage.run("svstat", &[name]);
        }
    });
}

#[test]
fn complains_by_its_own_name_however_called() {
    compare(|stage| {
        stage.scratch.mkdir("closed");
        stage.deny("closed", 0o111);
        if let Some(mut command) = stage.as_ordinary_user("svstat") {
            command.arg("..").current_dir(stage.scratch.at("closed"));
            stage.finish("svstat", command);
        }
        let mut command = stage.command(stage.program("svstat"));
        called(&mut command, "/somewhere/else");
        command.arg("missing");
        stage.finish("svstat", command);
    });
}

#[test]
fn has_words_for_every_error_there_is() {
    compare(|stage| {
        if !has("the words for every error", &["strace"]) {
            return;
        }
        stage.scratch.mkdir("s");
        // Those of Linux end with EHWPOISON.
        for number in 1..=133 {
            let inject = format!("inject=chdir:error={number}");
            let mut command = stage.command("strace");
            command.args(["-o", "calls", "-e", &inject]);
            command.arg(stage.program("svstat")).arg("s");
            stage.finish(&format!("svstat, error {number}"), command);
        }
    });
}

#[test]
fn prints_a_name_that_is_no_utf_8_as_it_is() {
    compare(|stage| {
        stage.run("svstat", &[invalid_name()]);
        stage.scratch.mkdir(invalid_name());
        stage.run("svstat", &[invalid_name()]);
    });
}

#[test]
fn refuses_a_name_that_is_too_long() {
    compare(|stage| {
        stage.run(
            "svstat",
            &["n".repeat(255), "n".repeat(256), "n".repeat(4096)],
        );
    });
}

#[test]
fn does_without_its_descriptors() {
    compare(|stage| {
        let _zoo = Zoo::new(stage);
        for redirection in ["<&-", "2>&-", "<&- >&- 2>&-", ">&-", ">/dev/full"] {
            stage.sh(&format!("svstat s missing {redirection}"));
        }
    });
}

#[test]
fn ends_at_a_pipe_that_nobody_reads() {
    compare(|stage| {
        let _zoo = Zoo::new(stage);
        stage.sh(&unread("svstat s missing", ">&4"));
        stage.sh(&unread("trap '' PIPE; svstat s missing", ">&4"));
    });
}

#[test]
fn has_lines_for_a_thousand_directories() {
    compare(|stage| {
        let _zoo = Zoo::new(stage);
        let names: Vec<&str> = ["s", "missing", "dead", "two\nlines"].repeat(250);
        stage.run("svstat", &names);
    });
}

/// The service `s`, without a status.
fn service(stage: &Stage) -> Zoo {
    let zoo = Zoo::new(stage);
    let _ = std::fs::remove_file(stage.scratch.at("s/down"));
    zoo
}

/// What svstat says, as it is.
fn said(stage: &Stage) -> String {
    let mut command = stage.command(stage.program("svstat"));
    command.arg("s");
    finish(command).text()
}

/// Tells what svstat says of this status; its pid is no real one and is told.
fn tell(stage: &mut Stage, status: &[u8]) {
    stage.scratch.write("s/supervise/status", status);
    let said = said(stage).replace("(pid ", "(p i d ");
    stage.say(said);
}

/// Tells what svstat says of a service of that `age`, which grows meanwhile. The
/// clock the reference reads is a tick behind: just after a full second it may
/// say one less.
fn tell_age(stage: &mut Stage, seconds: u64, age: u64) {
    stage
        .scratch
        .write("s/supervise/status", stamped(seconds, 0, 0, b'd'));
    let said = said(stage);
    let number = |word: &str| word.parse::<u64>().ok();
    let words = said.split(' ').map(|word| match number(word) {
        Some(0) if age > 0 => "none".to_owned(),
        Some(0) => "zero".to_owned(),
        Some(number) if number.wrapping_add(1).wrapping_sub(age) < 600 => "about that".to_owned(),
        _ => word.to_owned(),
    });
    let words: Vec<String> = words.collect();
    stage.say(words.join("  "));
}

#[test]
fn svstat_of_ours_tells_that_a_status_cannot_be_read() {
    let scratch = Scratch::new();
    scratch.mkdir("s/supervise/status");
    scratch.write("s/supervise/ok", "");
    assert_eq!(
        scratch.run(Suite::Ours, "svstat", &["s"]).text(),
        "s: unable to read supervise/status: is a directory\n"
    );
}
