//! What handles logs, beside the originals, in turn, on the same lines, in one
//! run. `benches/README.md` says what is measured.

use crate::common::{Limit, Scratch, number, ours};
use crate::numbers::Numbers;
use crate::report::{Bound, Figure, Report};
use crate::tree::private_kib;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
        let _limit = Limit::new(command);
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

/// One line of the table, `contenders[0]` being ours.
fn figure(
    what: String,
    contenders: &[Contender],
    rounds: &[Vec<f64>],
    bounds: Vec<Bound>,
) -> Figure {
    let milliseconds = |rounds: &Vec<f64>| rounds.iter().map(|time| time * 1000.0).collect();
    let milliseconds = rounds.iter().map(milliseconds);
    let names = contenders.iter().map(|contender| contender.name);
    Figure::new(what, "ms", names.zip(milliseconds), bounds)
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
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let mut below = |limit: u64| numbers.next() % limit;
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

/// Large files show the speed of the program, small ones, daemontools' default, that of
/// fsync, too.
const LARGE: u32 = 16_777_215;
const SMALL: u32 = 99_999;

/// What a multilog is to do.
#[derive(Clone, Copy)]
struct Case {
    /// What there is to say behind the script.
    remark: &'static str,
    stamps: bool,
    size: u32,
    patterns: bool,
    /// The command whose output it gets.
    writer: &'static str,
}

/// One run of this part.
struct Run<'a> {
    report: &'a mut Report,
    scratch: Scratch,
    rounds: usize,
}

impl Run<'_> {
    /// The times of each of `contenders`, in seconds, in so many rounds in each of which
    /// each has its turn.
    fn compare(&self, contenders: &[Contender]) -> Vec<Vec<f64>> {
        let mut times = vec![Vec::new(); contenders.len()];
        for _ in 0..self.rounds {
            for (contender, times) in contenders.iter().zip(&mut times) {
                times.push(self.scratch.run(&contender.command));
            }
        }
        times
    }

    /// `filter` of ours beside the original, and `cat`, which only moves the bytes.
    fn filters(&mut self, filter: &str, what: &str) {
        let theirs = format!("/usr/bin/{filter}");
        let ours = ours(filter);
        for (how, before, after) in [
            ("", "", "<log >/dev/null"),
            (", file to file", "", "<log >out/log"),
            (", pipe to pipe", "cat log |", "| cat >/dev/null"),
        ] {
            let command = |program: &str| format!("{before} {program} {after}");
            let mut contenders = vec![Contender::new("ours", command(ours.to_str().unwrap()))];
            if self.report.has(Path::new(&theirs)) {
                contenders.push(Contender::new("daemontools", command(&theirs)));
            }
            contenders.push(Contender::new("`cat`", command("cat")));
            let rounds = self.compare(&contenders);
            let what = format!("`{filter}`{what}{how}");
            let bounds = vec![Bound::Of("daemontools", 0.25)];
            self.report
                .add("logs", figure(what, &contenders, &rounds, bounds));
        }
    }

    /// multilog beside its peers, which get the same in their languages. The limit is
    /// what only moves the bytes.
    fn logging(&mut self, case: &Case, bounds: &[Bound]) {
        let Case {
            remark,
            stamps,
            size,
            patterns,
            writer,
        } = *case;
        let ours = ours("multilog");
        let t = if stamps { "t " } else { "" };
        let select = if patterns {
            "'-*' '+*index*' '-*nothing like this*' "
        } else {
            ""
        };
        let script = format!("{t}{select}s{size}");
        let multilog = |program: &str| format!("{writer} | {program} {script} ./out/main");
        let mut contenders = vec![Contender::new("ours", multilog(ours.to_str().unwrap()))];
        if self.report.has(Path::new("/usr/bin/multilog")) {
            contenders.push(Contender::new("daemontools", multilog("/usr/bin/multilog")));
        }
        if self.report.has(Path::new("/usr/bin/s6-log")) {
            let select = if patterns {
                "- +index '-nothing like this' "
            } else {
                ""
            };
            let command = format!("{writer} | /usr/bin/s6-log {select}{t}s{size} ./out/main");
            contenders.push(Contender::new("s6-log", command));
        }
        if self.report.has(Path::new("/usr/bin/svlogd")) {
            let t = if stamps { "-t" } else { "" };
            let select = if patterns {
                "echo '-*'; echo '+*index*'; echo '-*nothing like this*';"
            } else {
                ""
            };
            let config = format!("mkdir out/main; {{ echo s{size}; {select} }} > out/main/config");
            let command = format!("{config}; {writer} | /usr/bin/svlogd {t} out/main 2>/dev/null");
            contenders.push(Contender::new("svlogd", command));
        }
        contenders.push(Contender::new("`cat`", format!("{writer} | cat >out/log")));
        if size == SMALL && !stamps {
            let own = std::env::current_exe().unwrap();
            let command = format!("{writer} | {} cut {size} out", own.display());
            contenders.push(Contender::new("files and fsync alone", command));
        }
        let rounds = self.compare(&contenders);
        let what = format!("`multilog {script} ./main`{remark}");
        self.report
            .add("logs", figure(what, &contenders, &rounds, bounds.to_vec()));
    }

    /// The private memory of a logger, the mean of several, each of which gets some lines
    /// every hundredth of a second, for a while: in KiB.
    fn memory(&mut self) {
        let script = |program: &str| format!("exec {program} t ./out/$1");
        let mut contenders = vec![Contender::new(
            "ours",
            script(ours("multilog").to_str().unwrap()),
        )];
        for (name, program, command) in [
            (
                "daemontools",
                "/usr/bin/multilog",
                script("/usr/bin/multilog"),
            ),
            (
                "s6-log",
                "/usr/bin/s6-log",
                "exec /usr/bin/s6-log t ./out/$1".to_owned(),
            ),
            (
                "svlogd",
                "/usr/bin/svlogd",
                "mkdir out/$1; exec /usr/bin/svlogd -t out/$1".to_owned(),
            ),
        ] {
            if self.report.has(Path::new(program)) {
                contenders.push(Contender::new(name, command));
            }
        }
        let bounds = vec![Bound::Of("daemontools", 1.0)];
        for (what, rush, lines, ticks, bounds) in [
            ("a thousand lines a second", false, 10, 200, bounds.clone()),
            ("50,000 lines a second", false, 500, 200, bounds.clone()),
            (
                "at full speed, at the end of 20 MB; no bound, see above",
                true,
                0,
                0,
                Vec::new(),
            ),
            (
                "a thousand lines a second, 2 s after that",
                true,
                10,
                200,
                bounds,
            ),
        ] {
            let mut used = vec![Vec::new(); contenders.len()];
            for _ in 0..self.rounds {
                for (contender, used) in contenders.iter().zip(&mut used) {
                    used.push(self.scratch.logger_kib(contender, rush, lines, ticks));
                }
            }
            let names = contenders.iter().map(|contender| contender.name);
            let figures: Vec<_> = names.zip(used).collect();
            let what = format!("private memory while it logs {what}");
            let figure = Figure::new(what, "KiB", figures, bounds);
            self.report.add("logs-memory", figure);
        }
    }
}

impl Scratch {
    /// After 20 MB for each logger, if there is a `rush`, and so many `ticks` of so many
    /// `lines` each.
    fn logger_kib(&self, contender: &Contender, rush: bool, lines: usize, ticks: usize) -> f64 {
        let _limit = Limit::new(format!("what {} logs", contender.name));
        let _ = fs::remove_dir_all(self.0.join("out"));
        fs::create_dir(self.0.join("out")).unwrap();
        let start = |number: usize| {
            Command::new("sh")
                .args(["-c", &contender.command, "sh", &number.to_string()])
                .current_dir(&self.0)
                .stdin(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let mut loggers: Vec<Child> = (0..4).map(start).collect();
        let line =
            "10.0.0.17 - GET /index.html 200 took 12ms, and what else there is to say of it\n";
        let write = |loggers: &mut Vec<Child>, text: &str| {
            for logger in loggers {
                logger
                    .stdin
                    .as_mut()
                    .unwrap()
                    .write_all(text.as_bytes())
                    .unwrap();
            }
        };
        if rush {
            write(&mut loggers, &line.repeat(20_000_000 / line.len()));
        }
        for _ in 0..ticks {
            write(&mut loggers, &line.repeat(lines));
            std::thread::park_timeout(Duration::from_millis(10));
        }
        // Memory comes in pages, and not every logger has touched the same ones.
        let used = loggers.iter().map(|logger| {
            let pid = nix::unistd::Pid::from_raw(logger.id().cast_signed());
            private_kib(pid)
        });
        let used = used.sum::<f64>() / loggers.len() as f64;
        for mut logger in loggers {
            drop(logger.stdin.take());
            logger.wait().unwrap();
        }
        used
    }
}

/// What loggers keep to themselves.
pub(crate) fn memory(report: &mut Report) {
    let rounds = number("BENCH_ROUNDS", 5);
    let scratch = Scratch::new();
    Run {
        report,
        scratch,
        rounds,
    }
    .memory();
}

pub(crate) fn run(report: &mut Report) {
    let (megabytes, rounds) = (number("BENCH_MB", 200), number("BENCH_ROUNDS", 5));
    let scratch = Scratch::new();
    let mut run = Run {
        report,
        scratch,
        rounds,
    };
    let bytes = megabytes * 1_000_000;
    make_log(&run.scratch, "log", bytes, Stamps::None);
    run.filters("tai64n", "");
    let bounds = [Bound::Of("daemontools", 0.25), Bound::Of("`cat`", 2.0)];
    let plain = Case {
        remark: "",
        stamps: false,
        size: LARGE,
        patterns: false,
        writer: "cat log",
    };
    let stamps = Case {
        stamps: true,
        ..plain
    };
    let patterns = Case {
        patterns: true,
        ..plain
    };
    let both = Case {
        patterns: true,
        ..stamps
    };
    let heaps = Case {
        remark: ", 32 MB written at a time",
        writer: "dd if=log bs=32M status=none",
        ..stamps
    };
    for case in [stamps, plain, patterns, both, heaps] {
        run.logging(&case, &bounds);
    }
    for case in [stamps, plain] {
        let small = Case {
            remark: ", the default size",
            size: SMALL,
            ..case
        };
        run.logging(&small, &[]);
    }
    make_log(&run.scratch, "log", bytes, Stamps::ManyASecond);
    run.filters("tai64nlocal", "");
    make_log(&run.scratch, "log", bytes, Stamps::AllDifferent);
    run.filters("tai64nlocal", ", all seconds different");
}
