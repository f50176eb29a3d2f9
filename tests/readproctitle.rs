//! readproctitle: what ps shows, and that nobody waits for it.

use crate::harness::title::{expected, newest, start};
use crate::harness::{Scratch, Suite, command_line, finish, wait_until};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::ffi::OsStr;
use std::fs;
use std::io::{Write, pipe};

#[test]
fn ps_shows_the_newest_errors_of_the_services() {
    let scratch = Scratch::new();
    let dots = ".".repeat(40);
    let words = ["service", "errors:", &dots].map(OsStr::new);
    let (reader, mut writer) = pipe().unwrap();
    let mut title = start(&scratch, Suite::Ours, &words, reader);
    writer
        .write_all(b"supervise: fatal: nothing goes\n")
        .unwrap();
    let pid = title.pid().to_string();
    let ps = || {
        let mut command = scratch.command(Suite::Ours, "ps");
        command.args(["-ww", "-o", "args=", "-p", &pid]);
        finish(command).text()
    };
    let all = "readproctitle service errors: .........supervise: fatal: nothing goes";
    let mut shown = String::new();
    wait_until("ps shows it", || {
        shown = ps();
        shown.starts_with(all)
    });
    drop(writer);
    assert_eq!(title.wait(), 0, "{shown}");
}

#[test]
fn who_writes_much_does_not_wait_for_it() {
    let scratch = Scratch::new();
    let dots = ".".repeat(400);
    let words = ["service", "errors:", &dots].map(OsStr::new);
    let (reader, mut writer) = pipe().unwrap();
    let mut title = start(&scratch, Suite::Ours, &words, reader);
    let mut input = Vec::new();
    for number in 0..1_000_000 {
        writeln!(input, "line {number}").unwrap();
    }
    writer.write_all(&input).unwrap();
    wait_until("the newest lines show", || {
        command_line(title.pid()) == expected(&words, &newest(400, &input))
    });
    let io = fs::read_to_string(format!("/proc/{}/io", title.pid())).unwrap();
    let reads = io.split("syscr: ").nth(1).unwrap();
    let reads: usize = reads.split('\n').next().unwrap().parse().unwrap();
    assert!(reads < input.len() / 1000, "{reads} reads");
    drop(writer);
    assert_eq!(title.wait(), 0);
}

#[test]
fn a_pipe_that_somebody_made_non_blocking_is_waited_for() {
    let scratch = Scratch::new();
    let words = ["......"].map(OsStr::new);
    let (reader, mut writer) = pipe().unwrap();
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut title = start(&scratch, Suite::Ours, &words, reader);
    for (piece, shown) in [(b"a", b".....a"), (b"b", b"....ab")] {
        writer.write_all(piece).unwrap();
        wait_until("it shows", || {
            command_line(title.pid()) == expected(&words, shown)
        });
    }
    drop(writer);
    assert_eq!(title.wait(), 0);
}

#[test]
fn the_environment_behind_the_last_argument_is_not_touched() {
    let scratch = Scratch::new();
    let words = ["abcde"].map(OsStr::new);
    let (reader, mut writer) = pipe().unwrap();
    let title = start(&scratch, Suite::Ours, &words, reader);
    let environment = || fs::read(format!("/proc/{}/environ", title.pid())).unwrap();
    wait_until("it has begun", || {
        command_line(title.pid()) == expected(&words, b".....")
    });
    let before = environment();
    assert!(!before.is_empty());
    writer.write_all(&[b'x'; 10_000]).unwrap();
    wait_until("it shows", || {
        command_line(title.pid()) == expected(&words, b"...xx")
    });
    assert_eq!(environment(), before);
}
