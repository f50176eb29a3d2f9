//! A tree of services under load whose processes are killed, two at a time, too, while commands
//! are sent to it: there is never a second copy, no want and no line is lost, no end is told
//! wrong. SOAK_SECONDS, SOAK_SEED and SOAK_KINDS (see `plan::KINDS`) are for `make soak`.

mod lines;
mod model;
mod plan;
mod tree;

use crate::harness::{DEADLINE, Daemon, Suite, has, is_alive};
use daemontools_rs::formats::status::Want;
use lines::Follower;
use model::{Expected, is_true_end};
use plan::{Act, Kind, Step, Victim};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use tree::{Log, Process, Tree};

/// svcstart or one of its kin, at work on a unit.
struct Tool {
    unit: usize,
    program: &'static str,
    daemon: Daemon,
    is_killed: bool,
}

struct Soak {
    seed: u64,
    began: Instant,
    history: Vec<String>,
    /// How many steps of each kind were made, and how many processes were killed.
    counts: BTreeMap<String, usize>,
    /// How many services or loggers of each unit.
    kills: Vec<usize>,
    /// Their pids, and those of supervises: the child of one has its name until it executes.
    killed: BTreeSet<u32>,
    /// Those since the tree has settled.
    dying: Vec<u32>,
    /// Ends that the records told, and those of them that were unknown.
    ends: BTreeSet<(usize, u32)>,
    unknown: BTreeSet<(usize, u32)>,
    /// Who was killed since the tree has settled. The last process that has a pipe is spared:
    /// what is in the pipe would be lost. (The service does not count, it may end by itself.)
    dead: Vec<Victim>,
    expected: Vec<Expected>,
    /// By unit; only those of loggers are used.
    logs: Vec<Log>,
    /// Services that may be paused.
    paused: BTreeSet<usize>,
    tools: Vec<Tool>,
    tree: Tree,
}

/// Looks until there is no reason any more to wait.
fn wait_for(what: &str, mut look: impl FnMut(usize) -> Result<(), String>) {
    let end = Instant::now() + DEADLINE;
    let mut looks = 0;
    while let Err(reason) = look(looks) {
        assert!(
            Instant::now() < end,
            "waited in vain until {what}: {reason}"
        );
        std::thread::park_timeout(Duration::from_millis(5));
        looks += 1;
    }
}

/// Waits for about so long: what is random anyhow.
fn wait_about(microseconds: usize) {
    let end = Instant::now() + Duration::from_micros(microseconds as u64);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

impl Soak {
    fn new(seed: u64, has_svscanboot: bool) -> Soak {
        let tree = Tree::new(seed, has_svscanboot);
        let units = &tree.units;
        Soak {
            seed,
            began: Instant::now(),
            history: Vec::new(),
            counts: BTreeMap::new(),
            kills: vec![0; units.len()],
            killed: BTreeSet::new(),
            dying: Vec::new(),
            ends: BTreeSet::new(),
            unknown: BTreeSet::new(),
            dead: Vec::new(),
            expected: units
                .iter()
                .map(|unit| Expected::new(unit.configured))
                .collect(),
            logs: units.iter().map(|_| Log::default()).collect(),
            paused: BTreeSet::new(),
            tools: Vec::new(),
            tree,
        }
    }

    fn play(&mut self, time: Duration, kinds: &[Kind]) {
        self.tree.start();
        self.settle();
        for number in 0.. {
            if self.began.elapsed() > time {
                break;
            }
            let step = Step::new(self.seed, number, kinds, &self.tree.units);
            let at = self.began.elapsed();
            self.history.push(format!("{number} at {at:.3?}: {step:?}"));
            if step.settles {
                self.settle();
            }
            wait_about(step.pause);
            self.count(format!("{:?}", step.kind));
            self.act(step.act);
        }
        self.settle();
        self.end();
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Kill(victims) => self.kill(&victims),
            Act::Command(unit, options) => {
                let wants = options.bytes().filter_map(|letter| match letter {
                    b'u' => Some(Want::Up),
                    b'd' => Some(Want::Down),
                    b'o' => Some(Want::Once),
                    _ => None,
                });
                self.expected[unit].sent(&wants.collect::<Vec<_>>());
                if options.contains('p') {
                    self.paused.insert(unit);
                }
                self.svc(options, &[unit]);
            }
            Act::Want(unit, want) => {
                self.expected[unit].sent(&[want]);
                self.ensure(unit, want);
                self.expected[unit].obeyed(want);
            }
            Act::Tool(unit, program, killed_after) => {
                let wants: &[Want] = match program {
                    "svcstart" => &[Want::Up],
                    "svcstop" => &[Want::Down],
                    _ => &[Want::Down, Want::Up],
                };
                self.expected[unit].sent(wants);
                let settle: &[&str] = match program {
                    "svcstop" => &[],
                    _ => &["--settle", "200ms"],
                };
                let path = [&*self.tree.units[unit].path];
                let words = [settle, &["--timeout", "5s"], &path].concat();
                let daemon = self
                    .tree
                    .scratch
                    .daemon(Suite::Ours, program, &words, "tool");
                if let Some(microseconds) = killed_after {
                    wait_about(microseconds);
                    daemon.signal("KILL");
                }
                self.tools.push(Tool {
                    unit,
                    program,
                    daemon,
                    is_killed: killed_after.is_some(),
                });
            }
        }
    }

    fn kill(&mut self, victims: &[Victim]) {
        let mut victims = victims.to_vec();
        victims.retain(|victim| {
            let is_spared = (1..self.tree.units.len()).any(|log| {
                let (service, logger) = (Victim::Child(log - 1), Victim::Child(log));
                let supervises = [Victim::Supervise(log - 1), Victim::Supervise(log)];
                let holders = [&supervises[..], &[Victim::Svscan, logger]].concat();
                let left = holders.iter().filter(|holder| !self.dead.contains(holder));
                // A logger alone may end with its pipe, and who comes then has only just begun.
                self.tree.units[log].is_log
                    && (holders.contains(victim) || *victim == service)
                    && match left.collect::<Vec<_>>()[..] {
                        [last] => *last == logger || last == victim,
                        _ => false,
                    }
            });
            if !is_spared {
                self.dead.push(*victim);
            }
            !is_spared
        });
        let killed = self.tree.kill(&victims);
        let mut is_root = false;
        for (victim, pid) in killed {
            let name = match victim {
                Victim::Supervise(unit) if self.tree.units[unit].is_log => "log supervises",
                Victim::Supervise(_) => "supervises",
                Victim::Child(unit) if self.tree.units[unit].is_log => "loggers",
                Victim::Child(_) => "services",
                Victim::Svscan => "svscan",
                Victim::Svscanboot => "svscanboot",
            };
            self.count(format!("{name} killed"));
            self.killed.insert(pid);
            self.dying.push(pid);
            match victim {
                Victim::Supervise(unit) => self.expected[unit].supervise_killed(),
                Victim::Child(unit) => self.kills[unit] += 1,
                Victim::Svscan if self.tree.has_svscanboot => {}
                Victim::Svscan | Victim::Svscanboot => is_root = true,
            }
        }
        if is_root {
            wait_for("it is dead", |_| match self.tree.runs() {
                true => Err("it runs".to_owned()),
                false => Ok(()),
            });
            for expected in &mut self.expected {
                // svscanboot ends the supervises of another.
                expected.tree_killed(self.tree.has_svscanboot);
            }
            self.tree.start();
        }
    }

    fn count(&mut self, what: String) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn svc(&self, options: &str, units: &[usize]) {
        let paths = units.iter().map(|unit| &*self.tree.units[*unit].path);
        let words: Vec<&str> = std::iter::once(options).chain(paths).collect();
        self.tree.scratch.run(Suite::Ours, "svc", &words);
    }

    /// Sends the command for `want` until the record has it: a supervise that is killed
    /// takes with it what it has not read.
    fn ensure(&self, unit: usize, want: Want) {
        let options = match want {
            Want::Up => "-u",
            Want::Down => "-d",
            Want::Once => "-o",
        };
        wait_for("a command is obeyed", |looks| {
            if looks % 200 == 0 {
                self.svc(options, &[unit]);
            }
            let record = self.tree.record(unit);
            let is_wanted = record.is_some_and(|record| record.state.want == want);
            match is_wanted && self.tree.has_read_commands(unit) {
                true => Ok(()),
                false => Err(format!(
                    "svc {options} {}: {record:?}",
                    self.tree.units[unit].path
                )),
            }
        });
    }

    /// Waits until all is as it must be, and compares it with what is expected.
    fn settle(&mut self) {
        for mut tool in std::mem::take(&mut self.tools) {
            let code = tool.daemon.wait();
            if code == 0 && !tool.is_killed {
                let expected = &mut self.expected[tool.unit];
                match tool.program {
                    "svcstart" => expected.obeyed(Want::Up),
                    "svcstop" => expected.obeyed(Want::Down),
                    _ => expected.restarted(),
                }
            }
        }
        // Until then, all can look as it did before the KILL.
        let dying = std::mem::take(&mut self.dying);
        wait_for("the killed are dead", |_| {
            match dying.iter().find(|pid| is_alive(**pid)) {
                Some(pid) => Err(format!("{pid} runs")),
                None => Ok(()),
            }
        });
        let mut unsettled: Vec<usize> = (0..self.tree.units.len()).collect();
        let paused: Vec<usize> = std::mem::take(&mut self.paused).into_iter().collect();
        wait_for("all have settled", |looks| {
            if looks % 100 == 0 && !paused.is_empty() {
                self.svc("-c", &paused);
            }
            let processes = self.tree.processes();
            let said = self.tree.svstat(&unsettled);
            let pipes = self.tree.pipes_of_svscan();
            let mut reasons = Vec::new();
            let looked_at = unsettled.iter().zip(&said);
            let left = looked_at.filter(|(unit, said)| {
                let reason = self.unsettled(**unit, &processes, &pipes, said);
                reasons.extend(reason.as_ref().err().cloned());
                reason.is_err()
            });
            let left: Vec<usize> = left.map(|(unit, _)| *unit).collect();
            unsettled = left;
            for unit in 0..self.tree.units.len() {
                let (path, doubles) = (&self.tree.units[unit].path, self.tree.doubles(unit));
                assert_eq!(doubles, "", "a second copy of {path}");
            }
            match unsettled.is_empty() {
                true => Ok(()),
                false => Err(reasons.join("; ")),
            }
        });
        assert!(self.tree.runs(), "{}", self.tree.said());
        for unit in 0..self.tree.units.len() {
            let record = self.tree.record(unit);
            let Some(record) = record else {
                // It was torn.
                continue;
            };
            let (want, tree) = (record.state.want, record.writer.tree);
            if !self.expected[unit].is_certain() {
                // What was sent and not read yet comes before this.
                self.ensure(unit, want);
            }
            let is_of_tree = tree.map(|tree| tree.pid.get()) == Some(self.tree.root());
            self.expected[unit].settled(want, is_of_tree);
            self.check_end(unit);
        }
        self.dead.clear();
        self.check_logs(false);
    }

    fn check_end(&mut self, unit: usize) {
        let last_end = self
            .tree
            .record(unit)
            .and_then(|record| record.state.last_end);
        let Some(last_end) = last_end else {
            return;
        };
        let of = (unit, last_end.pid.get());
        self.ends.insert(of);
        let Some(end) = last_end.end else {
            self.unknown.insert(of);
            return;
        };
        let runs = self.tree.noted_runs(unit);
        let run = runs.iter().rfind(|run| run.pid == of.1);
        let (told, noted) = (format!("{end:?}"), run.map(|run| &*run.end));
        let has_lost_pipe = self.counts.contains_key("svscan killed")
            || self.counts.contains_key("svscanboot killed");
        assert!(
            is_true_end(&told, noted, self.killed.contains(&of.1), has_lost_pipe),
            "{}, pid {}: the record tells {told}, noted was {noted:?}",
            self.tree.units[unit].path,
            of.1
        );
    }

    /// Waits until all lines are in the logs that were written before.
    fn check_logs(&mut self, have_ended: bool) {
        for unit in 0..self.tree.units.len() {
            if !self.tree.units[unit].is_log {
                continue;
            }
            let (path, log) = (&self.tree.units[unit].path, &mut self.logs[unit]);
            let lines = |tree: &Tree| -> Vec<usize> {
                let runs = tree.noted_runs(unit - 1);
                runs.iter().map(|run| run.lines).collect()
            };
            let before = lines(&self.tree);
            wait_for("all lines are logged", |_| {
                // A number that was just being written may have been read wrong.
                let now = lines(&self.tree);
                let noted = before.iter().zip(now).map(|(before, now)| now.min(*before));
                let followed = self.tree.follow(unit, log);
                followed.unwrap_or_else(|lost| panic!("{path}: {lost}"));
                let compared = log.follower.compare(noted, have_ended);
                compared.map_err(|lost| format!("{path}: {lost}"))
            });
            let (kills, twice) = (self.kills[unit], log.follower.twice);
            assert!(
                twice <= kills,
                "{path}: {twice} batches twice, {kills} KILLs"
            );
        }
    }

    fn end(&mut self) {
        let code = self.tree.end();
        assert_eq!(code, if self.tree.has_svscanboot { 0 } else { 1015 });
        let all = 0..self.tree.units.len();
        let (loggers, services): (Vec<usize>, Vec<usize>) =
            all.partition(|unit| self.tree.units[*unit].is_log);
        wait_for("all have ended", |looks| {
            let left = self.tree.processes();
            if left.is_empty() {
                return Ok(());
            }
            if looks % 100 == 0 && !self.tree.has_svscanboot {
                self.svc("-dx", &services);
                self.svc("-x", &loggers);
            }
            Err(format!("{left:?}"))
        });
        self.check_logs(true);
        let said = self.tree.said();
        // Of a supervise that was not ready when its svscan was killed, see `plan::KINDS`.
        let is_of_second = |line: &&str| line.ends_with("/supervise/lock: temporary failure");
        let (seconds, rest): (Vec<&str>, Vec<&str>) = said.lines().partition(is_of_second);
        assert_eq!(rest, [""; 0]);
        for _ in seconds {
            assert!(self.tree.starts > 1, "{said}");
            self.count("second supervises".to_owned());
        }
    }

    /// # Errors
    /// Why the unit has not settled.
    fn unsettled(
        &self,
        unit: usize,
        processes: &[Process],
        pipes: &[Option<PathBuf>],
        said: &str,
    ) -> Result<(), String> {
        let path = &self.tree.units[unit].path;
        let supervises = self.tree.of_unit(unit, true, processes);
        let children = self.tree.of_unit(unit, false, processes);
        let record = self.tree.record(unit).ok_or("no record")?;
        let runs = self.tree.noted_runs(unit);
        let is_log = self.tree.units[unit].is_log;
        let up = said
            .strip_prefix("up (pid ")
            .and_then(|rest| rest.split_once(')'));
        let up: Option<u32> = up.and_then(|(pid, _)| pid.parse().ok());
        let is_down = up.is_none() && said.starts_with("down ");
        let recorded = record.state.process.map(|process| process.pid.get());
        let want = record.state.want;
        let is_one = supervises == [record.writer.supervise.get()];
        let is_up = up.is_some()
            && recorded == up
            && children == up.as_slice()
            && (is_log || runs.last().map(|run| run.pid) == up);
        let is_as_wanted = match want {
            Want::Up => is_up,
            Want::Down => is_down && children.is_empty(),
            Want::Once => is_up || is_down && children.is_empty(),
        };
        let mut ends = Vec::new();
        if is_log {
            let service = self.tree.of_unit(unit - 1, true, processes);
            ends.push(self.tree.pipe(service.first(), 1));
            ends.push(self.tree.pipe(supervises.first(), 0));
            ends.push(self.tree.pipe(children.first(), 0));
        }
        let is_one_pipe = ends
            .iter()
            .all(|end| *end == ends[0] && pipes.contains(end));
        let is_expected = self.expected[unit].allows(want);
        if is_one && is_as_wanted && is_expected && is_one_pipe {
            return Ok(());
        }
        Err(format!(
            "{path}: supervise {supervises:?}, running {children:?}, svstat {said:?}, \
             expected {is_expected}, pipes {ends:?} ({is_one_pipe}), {:?}, {record:?}",
            runs.last().map(|run| run.pid)
        ))
    }
    fn tell(&self) {
        let logs = self.logs.iter().map(|log| &log.follower);
        println!(
            "seed {}, svscanboot {}, {:.0?}: {:?}; {} runs, {} lines, \
             {} batches twice; {} ends told, {} of them unknown; {} started",
            self.seed,
            self.tree.has_svscanboot,
            self.began.elapsed(),
            self.counts,
            (0..self.logs.len())
                .map(|unit| self.tree.noted_runs(unit).len())
                .sum::<usize>(),
            logs.clone().map(Follower::lines).sum::<usize>(),
            logs.map(|log| log.twice).sum::<usize>(),
            self.ends.len(),
            self.unknown.len(),
            self.tree.starts,
        );
    }
}

impl Drop for Soak {
    fn drop(&mut self) {
        self.tell();
        if std::thread::panicking() {
            let last = self.history.len().saturating_sub(20);
            println!("the last steps:\n{}", self.history[last..].join("\n"));
            if let Some(kept) = std::env::var_os("SOAK_KEEP") {
                let mut copy = self.tree.scratch.command(Suite::Ours, "cp");
                copy.arg("-a").arg(self.tree.scratch.path()).arg(kept);
                println!("{:?}", crate::harness::finish(copy));
            }
        }
    }
}

fn soak(has_svscanboot: bool) {
    if !has("a tree under load", &["perl"]) {
        return;
    }
    let variable = |name| std::env::var(name).unwrap_or_default();
    let number = |name, default| match &*variable(name) {
        "" => default,
        number => number.parse().unwrap(),
    };
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let seed = number("SOAK_SEED", now.as_micros() as u64);
    let time = Duration::from_secs(number("SOAK_SECONDS", 60));
    let mut soak = Soak::new(seed, has_svscanboot);
    soak.play(time, &plan::kinds(&variable("SOAK_KINDS")));
}

#[test]
fn a_tree_below_svscan_loses_nothing_whatever_is_killed() {
    soak(false);
}

#[test]
fn a_tree_below_svscanboot_loses_nothing_whatever_is_killed() {
    soak(true);
}
