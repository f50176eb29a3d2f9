//! multilog ended at random instants, again and again, over the same directories
//! and the same pipe: more than 2000 KILLs in all.

use super::{BATCH, Feed, Multilog, STAMP, Twice, check, finished, line, lines, text, wait_logged};
use crate::harness::numbers::Numbers;
use crate::harness::{Scratch, Suite, has, wait_until};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal::{self, SIGALRM, SIGKILL, SIGTERM};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// A log directory and the numbers of the lines it is to get.
type Log = (&'static str, fn(usize) -> bool);

/// What is done to which multilog.
struct Ordeal {
    script: &'static [&'static str],
    logs: &'static [Log],
    /// What it is sent, one of them at a time; ALRM does not end it.
    signals: &'static [Signal],
    /// How often it is ended.
    times: usize,
    /// The longest it lives, in microseconds.
    life: usize,
    /// The longest piece written to the pipe at once, in bytes.
    piece: usize,
}

impl Ordeal {
    /// Plays it; what stands twice in each of the logs.
    fn play(&self) -> Vec<Twice> {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        let mut random = Numbers(self.times as u64);
        let mut ended = 0;
        let mut multilog: Option<Multilog> = None;
        while ended < self.times {
            let running = multilog
                .get_or_insert_with(|| Multilog::start(&scratch, self.script, feed.stdin()));
            for _ in 0..random.below(4) {
                feed.write(random.below(self.piece));
                let wait = random.below(self.life / 3 + 1);
                wait_about(Duration::from_micros(wait.try_into().unwrap()));
            }
            let signal = self.signals[random.below(self.signals.len())];
            running.signal(signal);
            if signal == SIGALRM {
                if !running.runs() {
                    // It was not listened to yet.
                    assert_eq!(running.wait(), 1014);
                    multilog = None;
                }
                continue;
            }
            if signal == SIGTERM {
                // It waits for the end of the line.
                wait_until("it ends by TERM", || {
                    feed.end_line();
                    !running.runs()
                });
            }
            let code = running.wait();
            let said = scratch.read("said");
            // 1014, 1015: by a signal that came before it was listened to; 111: the processor of the
            // one before can still hold the lock.
            let as_told = match signal {
                SIGTERM => [0, 1014, 1015, 111].contains(&code),
                _ => [1009, 1014, 111].contains(&code),
            };
            assert!(as_told, "{code}: {said}");
            ended += 1;
            multilog = None;
        }
        let mut last = loop {
            let mut last = Multilog::start(&scratch, self.script, feed.stdin());
            wait_about(Duration::from_millis(20));
            if last.runs() {
                break last;
            }
        };
        feed.close();
        assert_eq!(last.wait(), 0, "{}", scratch.read("said"));
        let locked = "multilog: fatal: unable to lock directory ./";
        let said = scratch.read("said");
        let others: Vec<&str> = said.lines().filter(|l| !l.starts_with(locked)).collect();
        assert!(others.is_empty(), "{others:?}");
        let stamps = self.script.first().is_some_and(|first| *first == "t");
        let logs = self.logs.iter().map(|(log, wanted)| {
            let twice = check(&text(&scratch, log), stamps, feed.begun, wanted);
            assert!(twice.times <= ended, "{twice:?}");
            assert!(!scratch.at(log).join("previous").exists());
            assert!(!scratch.at(log).join("processed").exists());
            twice
        });
        let twice = logs.collect();
        println!("{:?}: {} lines: {twice:?}", self.script, feed.begun);
        twice
    }
}

/// Waits for about so long: what is random anyhow.
fn wait_about(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

fn all(_: usize) -> bool {
    true
}

fn even(number: usize) -> bool {
    number.is_multiple_of(2)
}

fn odd(number: usize) -> bool {
    !number.is_multiple_of(2)
}

#[test]
fn killed_while_it_rotates_it_loses_nothing() {
    Ordeal {
        script: &["s4096", "n1000000", "./main"],
        logs: &[("main", all)],
        signals: &[SIGKILL],
        times: 500,
        life: 9000,
        piece: 6000,
    }
    .play();
}

#[test]
fn killed_while_it_stamps_and_rotates_it_loses_nothing() {
    Ordeal {
        script: &["t", "s4096", "n1000000", "./main"],
        logs: &[("main", all)],
        signals: &[SIGKILL],
        times: 400,
        life: 9000,
        piece: 6000,
    }
    .play();
}

#[test]
fn killed_while_it_writes_much_it_loses_nothing() {
    Ordeal {
        script: &["t", "s200000", "n1000000", "./main"],
        logs: &[("main", all)],
        signals: &[SIGKILL],
        times: 300,
        life: 6000,
        piece: 60_000,
    }
    .play();
}

#[test]
fn killed_while_it_writes_to_several_directories_it_loses_nothing() {
    Ordeal {
        script: &[
            "s4096", "n1000000", "./all", "-*odd*", "s5000", "./even", "-*", "+*odd*", "./odd",
        ],
        logs: &[("all", all), ("even", even), ("odd", odd)],
        signals: &[SIGKILL],
        times: 300,
        life: 9000,
        piece: 6000,
    }
    .play();
}

#[test]
fn killed_with_a_processor_at_work_it_loses_nothing() {
    Ordeal {
        script: &[
            "s4096",
            "n1000000",
            "!cat",
            "./main",
            "!exec tee /dev/fd/5",
            "./other",
        ],
        logs: &[("main", all), ("other", all)],
        signals: &[SIGKILL],
        times: 120,
        life: 30_000,
        piece: 6000,
    }
    .play();
}

#[test]
fn ended_by_term_it_loses_nothing_and_nothing_stands_twice() {
    let twice = Ordeal {
        script: &["t", "s4096", "n1000000", "./all", "-*odd*", "./even"],
        logs: &[("all", all), ("even", even)],
        signals: &[SIGTERM, SIGALRM],
        times: 200,
        life: 12_000,
        piece: 6000,
    }
    .play();
    assert_eq!(twice, [Twice::default(); 2]);
}

#[test]
fn all_signals_at_random_lose_nothing() {
    Ordeal {
        script: &["s4096", "n1000000", "./all", "-*even*", "./odd"],
        logs: &[("all", all), ("odd", odd)],
        signals: &[SIGTERM, SIGALRM, SIGKILL],
        times: 300,
        life: 9000,
        piece: 20_000,
    }
    .play();
}

#[test]
fn taken_over_from_the_original_and_by_it_in_turn_it_loses_nothing() {
    if !has("multilogs in turn", &["multilog"]) {
        return;
    }
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let mut random = Numbers(7);
    let script = ["s20000", "n1000000", "./main"];
    let run = |feed: &mut Feed, suite: Suite, random: &mut Numbers| {
        let mut command = scratch.command(suite, suite.program("multilog"));
        command.args(script);
        let mut multilog = Multilog::spawn(&scratch, command, feed.stdin());
        for _ in 0..random.below(4) {
            feed.write(random.below(40_000));
            wait_about(Duration::from_micros(
                random.below(3000).try_into().unwrap(),
            ));
        }
        // Not the original: it loses what it has read.
        if suite == Suite::Ours && random.below(4) > 0 {
            multilog.signal(SIGKILL);
        } else {
            wait_until("it listens, or has ended", || {
                let log = scratch.at("main/current");
                let mode = fs::metadata(log).map_or(0, |m| m.permissions().mode());
                mode & 0o777 == 0o644 || !multilog.runs()
            });
            multilog.signal(SIGTERM);
            wait_until(&format!("{suite:?} ends by TERM"), || {
                feed.end_line();
                // The original follows one that came just before it reads behind
                // the next bytes only.
                if suite == Suite::Reference {
                    multilog.signal(SIGTERM);
                }
                !multilog.runs()
            });
        }
        multilog.wait();
    };
    for _ in 0..300 {
        let suite = [Suite::Ours, Suite::Ours, Suite::Reference][random.below(3)];
        run(&mut feed, suite, &mut random);
    }
    let mut last = Multilog::start(&scratch, &script, feed.stdin());
    feed.close();
    assert_eq!(last.wait(), 0);
    // Where the original goes on after a line that was half written, that stands
    // whole once more in the next file.
    let mut missing: BTreeSet<usize> = (0..feed.begun).collect();
    let mut take = |text: &str| {
        for found in text.lines() {
            let number = found.get(..7).and_then(|number| number.parse().ok());
            let number = number.filter(|number| line(*number) == found);
            number.map(|number| missing.remove(&number));
        }
    };
    take(&text(&scratch, "main"));
    for name in finished(&scratch, "main") {
        take(&scratch.read(format!("main/{name}")));
    }
    let first = missing.first();
    assert!(
        first.is_none(),
        "{} of {}: {first:?}",
        missing.len(),
        feed.begun
    );
    assert_eq!(scratch.read("said"), "");
}

#[test]
fn what_comes_to_a_pipe_that_was_emptied_after_a_kill_is_not_taken_for_written() {
    for (is_half, held) in [(false, ""), (true, ""), (false, "0000010 ")] {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        let multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
        feed.write_lines(10);
        wait_logged(&scratch, "main", 9);
        if !held.is_empty() {
            feed.write(held.len());
            wait_until("it is held", || scratch.read("main/lock").contains(held));
        }
        feed.wait_taken();
        drop(multilog);
        // As if the disk had been full when it wrote the next batch.
        let batch: String = (10..16).map(|number| line(number) + "\n").collect();
        let current = fs::File::options()
            .append(true)
            .open(scratch.at("main/current"));
        current.unwrap().write_all(batch.as_bytes()).unwrap();
        let mut text_of_it = batch.as_bytes();
        if is_half {
            // Half of it is still there.
            let writer = feed.writer.as_mut().unwrap();
            writer
                .write_all(text_of_it.split_off(..75).unwrap_or_default())
                .unwrap();
        }
        let mark = fs::read(scratch.at("main/lock")).unwrap();
        let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
        if is_half {
            feed.wait_taken();
        } else {
            wait_until("it has begun", || {
                fs::read(scratch.at("main/lock")).unwrap() != mark
            });
        }
        // The service says the same again.
        let writer = feed.writer.as_mut().unwrap();
        writer.write_all(text_of_it).unwrap();
        feed.rest.clear();
        feed.close();
        assert_eq!(multilog.wait(), 0);
        let text = text(&scratch, "main");
        let (_, after) = text.split_once(&batch).unwrap();
        for number in 12..16 {
            let again = line(number) + "\n";
            assert!(after.contains(&again), "{is_half} {held:?}: {after:?}");
        }
    }
}

/// A multilog that a limit on the size of files ends amid a batch, when `current` has so
/// many bytes. (What it is told of the limit ends it, as a KILL would.)
fn ended_at(scratch: &Scratch, script: &[&str], feed: &Feed, size: usize) {
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("softlimit"));
    command.args(["-c0", &format!("-f{size}")]);
    command.arg(Suite::Ours.program("multilog")).args(script);
    let mut multilog = Multilog::spawn(scratch, command, feed.stdin());
    let xfsz = 1000 + Signal::SIGXFSZ as i32;
    assert_eq!(multilog.wait(), xfsz, "{}", scratch.read("said"));
    let logged = fs::metadata(scratch.at("main/current")).unwrap().len();
    assert_eq!(logged, size as u64);
}

#[test]
fn a_stamp_of_which_half_was_written_before_a_kill_is_completed() {
    // At each byte of a line with its stamp.
    for cut in 0..STAMP + line(12).len() + 1 {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        feed.write_lines(20);
        let before: usize = (0..12).map(|number| STAMP + line(number).len() + 1).sum();
        ended_at(&scratch, &["t", "./main"], &feed, before + cut);
        let half = text(&scratch, "main");
        let mut multilog = Multilog::start(&scratch, &["t", "./main"], feed.stdin());
        feed.close();
        assert_eq!(multilog.wait(), 0);
        let text = text(&scratch, "main");
        assert_eq!(check(&text, true, 20, all), Twice::default(), "{cut}");
        assert!(text.starts_with(&half));
        // One nanosecond behind the other, as if nothing had been.
        let nanoseconds = |line: &str| {
            let place = u64::from_str_radix(&line[9..17], 16).unwrap() * 1_000_000_000;
            place + u64::from_str_radix(&line[17..STAMP - 1], 16).unwrap()
        };
        let stamps: Vec<u64> = text.lines().map(nanoseconds).collect();
        assert!(
            stamps.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{cut}: {text}"
        );
    }
}

/// A multilog whose batch was cut off is followed by others that are killed while they put
/// their directory in order, before they write, and while they do. Only the last, which is
/// killed when all is written and nothing is out of the pipe, makes the batch stand twice.
#[test]
fn a_batch_that_a_kill_left_in_the_pipe_is_finished_however_often_that_is_killed() {
    if !has("KILL before the pipe is read", &["strace"]) {
        return;
    }
    for (script, is_doubtful) in [
        (&["./main"][..], false),
        (&["./main"], true),
        (&["t", "./main"], false),
        (&["t", "./main", "-*odd*", "./even"], false),
        (&["t", "./main", "-*odd*", "./even"], true),
    ] {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        feed.write_lines(500);
        ended_at(&scratch, script, &feed, 3000);
        let killed_at = |call: &str| {
            let mut command = scratch.command(Suite::Ours, "strace");
            let fault = format!("inject={call}:signal=KILL:when=1");
            command.args(["-o", "trace", "-e", &fault]);
            command.arg(Suite::Static.program("multilog")).args(script);
            Multilog::spawn(&scratch, command, feed.stdin()).wait();
            let trace = scratch.read("trace");
            assert!(trace.contains("+++ killed by SIGKILL"), "{call}: {trace}");
        };
        for call in ["tee", "link,linkat", "pwrite64", "tee", "write"] {
            killed_at(call);
        }
        if is_doubtful {
            killed_at("splice");
        }
        let mut multilog = Multilog::start(&scratch, script, feed.stdin());
        feed.close();
        assert_eq!(multilog.wait(), 0, "{}", scratch.read("said"));
        let stamps = script[0] == "t";
        let twice = check(&text(&scratch, "main"), stamps, 500, all);
        assert_eq!(twice.times, usize::from(is_doubtful));
        if script.contains(&"./even") {
            let twice = check(&text(&scratch, "even"), stamps, 500, even);
            assert_eq!(twice.times, usize::from(is_doubtful));
        }
    }
}

/// A file that ends amid a batch, or with it.
#[test]
fn killed_while_it_finishes_a_file_it_writes_nothing_twice() {
    if !has("KILL while a file is finished", &["strace"]) {
        return;
    }
    for count in 30..50 {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        feed.write_lines(count);
        feed.close();
        let mut command = scratch.command(Suite::Ours, "strace");
        command.args(["-o", "trace", "-e", "inject=fsync:signal=KILL:when=1"]);
        command.arg(Suite::Static.program("multilog"));
        command.args(["s4096", "./main"]);
        Multilog::spawn(&scratch, command, feed.stdin()).wait();
        let trace = scratch.read("trace");
        assert!(trace.contains("+++ killed by SIGKILL"), "{trace}");
        let mut multilog = Multilog::start(&scratch, &["s4096", "./main"], feed.stdin());
        assert_eq!(multilog.wait(), 0, "{}", scratch.read("said"));
        assert_eq!(text(&scratch, "main"), lines(count), "{count}");
    }
}

#[test]
fn of_a_pipe_of_packets_nothing_is_lost() {
    // With few descriptors it has none of /dev/null.
    for limit in ["-o1000", "-o22"] {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        let writer = feed.writer.as_ref().unwrap();
        let packets = OFlag::O_NONBLOCK | OFlag::O_DIRECT;
        fcntl(writer, FcntlArg::F_SETFL(packets)).unwrap();
        let start = |feed: &Feed| {
            let mut command = scratch.command(Suite::Ours, Suite::Ours.program("softlimit"));
            command.arg(limit).arg(Suite::Ours.program("multilog"));
            command.args(["s20000", "n1000000", "./main"]);
            Multilog::spawn(&scratch, command, feed.stdin())
        };
        let mut random = Numbers(5);
        for _ in 0..60 {
            let multilog = start(&feed);
            for _ in 0..random.below(6) {
                feed.write(random.below(3000));
                let wait = random.below(3000).try_into().unwrap();
                wait_about(Duration::from_micros(wait));
            }
            drop(multilog);
        }
        let mut last = start(&feed);
        feed.close();
        assert_eq!(last.wait(), 0, "{}", scratch.read("said"));
        let input = lines(feed.begun);
        check_bytes(text(&scratch, "main").as_bytes(), input.as_bytes());
    }
}

#[test]
fn what_is_noted_of_a_log_that_was_out_of_the_script_for_a_while_does_not_count() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let both = ["./main", "./other"];
    let multilog = Multilog::start(&scratch, &both, feed.stdin());
    feed.write_lines(10);
    feed.write(8);
    let held = |log: &str| scratch.read(format!("{log}/lock")).contains("0000010 ");
    wait_until("the next line is held", || held("main") && held("other"));
    feed.wait_taken();
    drop(multilog);
    // As if it had been killed while it wrote there.
    let same = "the same line\n".repeat(5);
    let other = fs::File::options()
        .append(true)
        .open(scratch.at("other/current"));
    other.unwrap().write_all(same.as_bytes()).unwrap();
    let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
    wait_until("what was held stands there", || {
        text(&scratch, "main").ends_with("\n0000010 \n")
    });
    multilog.signal(SIGTERM);
    assert_eq!(multilog.wait(), 0);
    feed.writer
        .as_mut()
        .unwrap()
        .write_all(same.as_bytes())
        .unwrap();
    feed.rest.clear();
    let mut multilog = Multilog::start(&scratch, &both, feed.stdin());
    feed.close();
    assert_eq!(multilog.wait(), 0, "{}", scratch.read("said"));
    // The beginning of a line is a line of its own, in other and once more in main.
    assert_eq!(
        text(&scratch, "main"),
        lines(10) + "0000010 \n" + "0000010 \n" + &same
    );
    let found = text(&scratch, "other");
    let (before, after) = found.split_once("0000010 \n").unwrap();
    assert_eq!(before, lines(10) + &same);
    assert_eq!(after, same);
}

/// A line of up to 6000 bytes, each eleven of which stand nowhere else.
fn long_line(number: usize) -> String {
    let words = (0..number * 37 % 600).map(|word| format!("{:09} ", number * 1000 + word));
    let parity = if even(number) { "even" } else { "odd" };
    format!("{parity} {number} {}", words.collect::<String>())
}

/// `text` is the `input`, of which pieces of a batch at most may stand twice. How
/// many do.
fn check_bytes(text: &[u8], input: &[u8]) -> usize {
    let mut text = text;
    let (mut at, mut times) = (0, 0);
    while !text.is_empty() {
        let equal = text.iter().zip(&input[at..]);
        let equal = equal.take_while(|(text, input)| text == input).count();
        (at, text) = (at + equal, &text[equal..]);
        if !text.is_empty() {
            let seen = &text[..text.len().min(40)];
            let from = at.saturating_sub(BATCH);
            let mut windows = input[from..].windows(seen.len());
            let place = windows.position(|window| window == seen);
            let seen = String::from_utf8_lossy(seen);
            let place = place.unwrap_or_else(|| panic!("{seen:?} is not of the input"));
            assert!(from + place < at, "bytes {at} to {} are lost", from + place);
            at = from + place;
            times += 1;
        }
    }
    assert_eq!(at, input.len());
    times
}

#[test]
fn killed_in_long_lines_it_loses_nothing() {
    kill_in_long_lines(&["s20000", "n1000000", "./main", "-odd*", "./even"]);
}

#[test]
fn killed_in_long_lines_with_stamps_it_loses_nothing() {
    kill_in_long_lines(&["t", "s20000", "n1000000", "./main", "-* odd*", "./even"]);
}

fn kill_in_long_lines(script: &[&str]) {
    const TIMES: usize = 300;
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    feed.line = long_line;
    let mut random = Numbers(11);
    for _ in 0..TIMES {
        let multilog = Multilog::start(&scratch, script, feed.stdin());
        for _ in 0..random.below(4) {
            feed.write(random.below(20_000));
            wait_about(Duration::from_micros(
                random.below(3000).try_into().unwrap(),
            ));
        }
        drop(multilog);
    }
    let mut last = Multilog::start(&scratch, script, feed.stdin());
    feed.close();
    assert_eq!(last.wait(), 0);
    let lines: Vec<String> = (0..feed.begun).map(|n| long_line(n) + "\n").collect();
    let stamp = if script[0] == "t" { STAMP } else { 0 };
    let logged = |log: &str| {
        let text = text(&scratch, log);
        let lines = text.split_inclusive('\n');
        lines
            .map(|line| line[stamp..].to_owned())
            .collect::<Vec<_>>()
    };
    let main = logged("main").concat();
    let times = check_bytes(main.as_bytes(), lines.concat().as_bytes());
    assert!(times <= TIMES);
    let evens: Vec<String> = lines.into_iter().step_by(2).collect();
    let found = logged("even");
    if times == 0 {
        let found = found.concat();
        assert_eq!(check_bytes(found.as_bytes(), evens.concat().as_bytes()), 0);
    }
    let found: BTreeSet<String> = found.into_iter().collect();
    let missing = evens.iter().find(|line| !found.contains(*line));
    assert_eq!(missing, None);
}
