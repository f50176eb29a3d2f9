//! What handles logs, beside the originals, in turn, on the same lines, in one
//! run. `benches/README.md` says what is measured.

use crate::common::{Scratch, median, number, ours};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// One of those compared.
struct Contender {
    name: &'static str,
    /// What is measured, as a shell command; it runs in the scratch directory.
    command: String,
}

impl Contender {
    fn new(name: &'static str, command: impl Into<String>) -> Contender {
        Contender {
            name,
            command: command.into(),
        }
    }
}

impl Scratch {
    /// Runs a shell command here and says how many seconds it took.
    fn run(&self, command: &str) -> f64 {
        // What the last one left would be truncated on this one's time.
        let _ = fs::remove_dir_all(self.0.join("out"));
        fs::create_dir(self.0.join("out")).unwrap();
        let begun = Instant::now();
        let status = Command::new("sh")
            .args(["-c", command])
            .current_dir(&self.0)
            .env("TZ", "Europe/Berlin")
            .status()
            .unwrap();
        let seconds = begun.elapsed().as_secs_f64();
        assert!(status.success(), "{command}");
        seconds
    }
}

/// The median time of each of `contenders`, in seconds, of so many rounds in
/// each of which each has its turn.
fn compare(scratch: &Scratch, rounds: usize, contenders: &[Contender]) -> Vec<f64> {
    let mut times = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (contender, times) in contenders.iter().zip(&mut times) {
            times.push(scratch.run(&contender.command));
        }
    }
    times.iter().map(|times| median(times)).collect()
}

/// One line of the table: all times, and the speed of the first as a multiple of
/// that of each other.
fn show(figure: &str, contenders: &[Contender], medians: &[f64]) {
    print!("{figure:50}");
    for (contender, median) in contenders.iter().zip(medians) {
        print!("  {} {:.0} ms", contender.name, median * 1000.0);
        if !std::ptr::eq(median, &medians[0]) {
            print!(" ({:.1})", median / medians[0]);
        }
    }
    println!();
}

/// Whether there is `program`; if not, says that it is left out.
fn is_there(program: &str) -> bool {
    let there = Path::new(program).exists();
    if !there {
        println!("left out: {program} (not installed)");
    }
    there
}

/// How the stamps of a log follow each other.
#[derive(Clone, Copy)]
enum Stamps {
    None,
    /// Ten thousand lines a second.
    ManyASecond,
    /// No two lines of the same second.
    AllDifferent,
}

/// Writes the log `name`: lines of about a hundred bytes, `bytes` of them, the
/// same in every run.
fn make_log(scratch: &Scratch, name: &str, bytes: usize, stamps: Stamps) {
    let mut out = BufWriter::new(File::create(scratch.0.join(name)).unwrap());
    let mut state: u64 = 0x2545_F491_4F6C_DD1D;
    let mut below = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let (mut moment, mut written) = (1_790_000_000_000_000_000_u64, 0);
    while written < bytes {
        let mut line = String::new();
        moment += match stamps {
            Stamps::None => 0,
            Stamps::ManyASecond => below(200_000),
            Stamps::AllDifferent => 1_000_000_000 + below(20_000_000_000),
        };
        if !matches!(stamps, Stamps::None) {
            let seconds = (1 << 62) + 10 + moment / 1_000_000_000;
            line = format!("@{seconds:016x}{:08x} ", moment % 1_000_000_000);
        }
        let length = 74 + usize::try_from(below(52)).unwrap();
        while line.len() < length {
            line.push_str(
                ["GET /index.html ", "200 ", "10.0.0.17 - ", "took 12ms "][below(4) as usize],
            );
        }
        line.push('\n');
        out.write_all(line.as_bytes()).unwrap();
        written += line.len();
    }
    out.flush().unwrap();
}

/// `filter` of ours beside the original, and `cat`, which only moves the bytes.
fn filters(scratch: &Scratch, rounds: usize, filter: &str, ours: &str, what: &str) {
    let theirs = format!("/usr/bin/{filter}");
    for (how, before, after) in [
        ("", "", "<log >/dev/null"),
        (", file to file", "", "<log >out/log"),
        (", pipe to pipe", "cat log |", "| cat >/dev/null"),
    ] {
        let command = |program: &str| format!("{before} {program} {after}");
        let mut contenders = vec![Contender::new("ours", command(ours))];
        if Path::new(&theirs).exists() {
            contenders.push(Contender::new("daemontools", command(&theirs)));
        }
        contenders.push(Contender::new("cat", command("cat")));
        let medians = compare(scratch, rounds, &contenders);
        show(&format!("{filter}{what}{how}"), &contenders, &medians);
    }
}

/// multilog with this script before its directory, beside its peers: `stamps`
/// and `size` in their languages. The limit is what only moves the bytes.
fn logging(scratch: &Scratch, rounds: usize, what: &str, stamps: bool, size: u32, patterns: bool) {
    let ours = ours("multilog");
    let t = if stamps { "t" } else { "" };
    let select = if patterns {
        "'-*' '+*index*' '-*nothing like this*'"
    } else {
        ""
    };
    let multilog = |program: &str| format!("cat log | {program} {t} {select} s{size} ./out/main");
    let mut contenders = vec![Contender::new("ours", multilog(ours.to_str().unwrap()))];
    if Path::new("/usr/bin/multilog").exists() {
        contenders.push(Contender::new("daemontools", multilog("/usr/bin/multilog")));
    }
    if Path::new("/usr/bin/s6-log").exists() {
        let select = if patterns {
            "- +index '-nothing like this'"
        } else {
            ""
        };
        let command = format!("cat log | s6-log {select} {t} s{size} ./out/main");
        contenders.push(Contender::new("s6-log", command));
    }
    if Path::new("/usr/bin/svlogd").exists() {
        let t = if stamps { "-t" } else { "" };
        let select = if patterns {
            "echo '-*'; echo '+*index*'; echo '-*nothing like this*';"
        } else {
            ""
        };
        let config = format!("mkdir out/main; {{ echo s{size}; {select} }} > out/main/config");
        let command = format!("{config}; cat log | svlogd {t} out/main 2>/dev/null");
        contenders.push(Contender::new("svlogd", command));
    }
    contenders.push(Contender::new("cat|cat>file", "cat log | cat >out/log"));
    let medians = compare(scratch, rounds, &contenders);
    show(&format!("multilog{what}"), &contenders, &medians);
}

pub(crate) fn run() {
    let (megabytes, rounds) = (number("BENCH_MB", 200), number("BENCH_ROUNDS", 5));
    let scratch = Scratch::new();
    let log = |stamps| make_log(&scratch, "log", megabytes * 1_000_000, stamps);
    println!(
        "{megabytes} MB of log lines, medians of {rounds} rounds; in brackets how many \
         times as long as ours"
    );
    for program in ["tai64n", "tai64nlocal", "multilog", "s6-log", "svlogd"] {
        is_there(&format!("/usr/bin/{program}"));
    }
    let (tai64n, tai64nlocal) = (ours("tai64n"), ours("tai64nlocal"));
    let (tai64n, tai64nlocal) = (tai64n.to_str().unwrap(), tai64nlocal.to_str().unwrap());
    log(Stamps::None);
    filters(&scratch, rounds, "tai64n", tai64n, "");
    // Large files show the speed of the program, small ones that of fsync, too.
    const LARGE: u32 = 16_777_215;
    logging(&scratch, rounds, " t", true, LARGE, false);
    logging(&scratch, rounds, "", false, LARGE, false);
    logging(&scratch, rounds, " t, patterns", true, LARGE, true);
    logging(&scratch, rounds, ", patterns", false, LARGE, true);
    logging(
        &scratch,
        rounds,
        " t, files of 99999 bytes",
        true,
        99_999,
        false,
    );
    log(Stamps::ManyASecond);
    filters(&scratch, rounds, "tai64nlocal", tai64nlocal, "");
    log(Stamps::AllDifferent);
    filters(
        &scratch,
        rounds,
        "tai64nlocal",
        tai64nlocal,
        ", all seconds different",
    );
}
