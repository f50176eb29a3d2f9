//! tai64n: stamps that are true, at once, in order.

use crate::harness::{Scratch, Suite, finish, shell, talk};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::io::{Read, Write, pipe};
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

/// The moment a stamp stands for, since 1970.
fn moment(stamp: &str) -> Duration {
    let seconds = u64::from_str_radix(&stamp[1..17], 16).unwrap();
    let nanoseconds = u32::from_str_radix(&stamp[17..25], 16).unwrap();
    Duration::new(seconds - (1 << 62) - 10, nanoseconds)
}

fn now() -> Duration {
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

#[test]
fn a_line_shows_at_once_and_a_part_of_one_too() {
    let scratch = Scratch::new();
    let given = [("one\n", 30), ("t", 27), ("w", 1), ("o\n", 2), ("\n", 27)];
    let begun = now();
    let said = talk(&scratch, "tai64n", &given);
    let lines: Vec<&str> = said.lines().collect();
    let texts: Vec<&str> = lines.iter().map(|line| &line[25..]).collect();
    assert_eq!(texts, [" one", " two", " "]);
    let moments: Vec<Duration> = lines.iter().map(|line| moment(line)).collect();
    assert!(moments.is_sorted(), "{moments:?}");
    assert!(begun <= moments[0] && moments[2] <= now(), "{moments:?}");
}

#[test]
fn stamps_increase_from_line_to_line() {
    let scratch = Scratch::new();
    let mut command = scratch.command(Suite::Ours, "sh");
    // Lines that come together, and lines that do not.
    command.args([
        "-c",
        "{ yes '' | head -n 300000; yes | head -n 9; } | tai64n",
    ]);
    let output = finish(command);
    let text = output.text();
    let stamps: Vec<&str> = text.lines().map(|line| &line[..25]).collect();
    assert_eq!(stamps.len(), 300_009);
    assert!(stamps.windows(2).all(|two| two[0] < two[1]));
}

#[test]
fn a_line_of_any_length_passes_in_little_memory() {
    let scratch = Scratch::new();
    for filter in ["tai64n", "tai64nlocal"] {
        // Neither a line nor a stamp that is endless is kept.
        for (head, letter) in [("", "x"), ("@", "7")] {
            let make =
                format!("printf '%s' '{head}'; head -c 50000000 /dev/zero | tr '\\0' {letter}");
            let limit = "ulimit -v 50000";
            let count = if filter == "tai64n" {
                50_000_026
            } else {
                50_000_000
            } + head.len();
            shell(
                &scratch,
                &format!("test $({{ {make}; }} | {{ {limit}; {filter}; }} | wc -c) = {count}"),
            );
        }
    }
}

#[test]
fn an_input_and_an_output_that_do_not_wait_are_waited_for() {
    let scratch = Scratch::new();
    let line = "a line as there are many\n";
    for (filter, more) in [("tai64n", 26), ("tai64nlocal", 0)] {
        let (stdin, mut input) = pipe().unwrap();
        let (mut output, stdout) = pipe().unwrap();
        for fd in [stdin.as_fd(), stdout.as_fd()] {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        }
        let mut command = scratch.command(Suite::Ours, Suite::Ours.program(filter));
        let mut child = command.stdin(stdin).stdout(stdout).spawn().unwrap();
        // It holds the filter's ends of the pipes.
        drop(command);
        let mut said = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..50_000 {
                    input.write_all(line.as_bytes()).unwrap();
                }
            });
            output.read_to_end(&mut said).unwrap();
        });
        assert!(child.wait().unwrap().success());
        assert_eq!(said.len(), 50_000 * (line.len() + more));
    }
}
