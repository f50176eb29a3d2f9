//! The tree: services that note what they do, the processes below svscan or svscanboot, and
//! what is read of all of them.

use super::lines::Follower;
use super::plan::{Unit, Victim};
use crate::harness::{Daemon, Scratch, Suite, children_called};
use daemontools_rs::formats::state::StateRecord;
use daemontools_rs::formats::status::Want;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A service: a second copy of it notes itself in `doubles` (the lock is free as soon as the
/// process has ended, because it has no children); each run has 32 bytes in `runs`: its pid,
/// how many lines it has written, and how it is about to end.
const SERVICE: &str = r#"#!/usr/bin/perl
use Fcntl qw(:DEFAULT :flock);
sysopen(my $alone, 'alone', O_RDWR | O_CREAT) or die;
if (!flock($alone, LOCK_EX | LOCK_NB)) {
    open(my $doubles, '>>', 'doubles') or die;
    syswrite($doubles, "$$\n");
    exit 99;
}
sysopen(my $runs, 'runs', O_RDWR | O_CREAT) or die;
my $run = (-s $runs) / 32;
my ($count, $end) = (0, '-');
sub note { sysseek($runs, 32 * $run, 0); syswrite($runs, sprintf("%-31s\n", "$$ $count $end")) }
note();
srand(SEED + $run);
for (my $rounds = int(rand(LIFE)); $rounds > 0; $rounds--) {
    for (my $lines = LINES && rand() < 0.01 ? 1500 : int(rand(LINES)); $lines > 0; $lines--) {
        syswrite(STDOUT, 'x' x ($count * 37 % 101) . " $run $count\n") or exit 98;
        $count++;
        note();
    }
    select(undef, undef, undef, 0.002 + rand(0.03));
}
my ($code, $signal) = (int(rand(98)), (10, 12, 14)[rand(3)]);
$end = rand() < 0.5 ? "Exited($code)" : "Killed($signal)";
note();
exit $code if $end =~ /Exited/;
kill($signal, $$);
"#;

/// The longest life in rounds of about 17 ms, the lines of a round, the script of the logger,
/// and whether there is a file `down`.
const SERVICES: [(&str, usize, usize, Option<&str>, bool); 6] = [
    ("steady", 1_000_000_000, 3, Some("t"), false),
    ("crashing", 40, 5, Some(""), false),
    ("mixed", 400, 8, Some("t"), false),
    ("silent", 300, 0, None, false),
    ("lasting", 1_000_000_000, 0, None, false),
    ("down", 500, 3, Some(""), true),
];

/// Kills every process in the directory $1 when its stdin ends, and removes the directory.
const GUARD: &str = r#"cat
while :; do
    left=
    for process in /proc/[0-9]*; do
        case $(readlink "$process/cwd") in
        "$1" | "$1"/*) kill -9 "${process#/proc/}" && left=1 ;;
        esac
    done
    [ "$left" ] || exec rm -rf "$1"
done"#;

struct Guard(Child);

impl Guard {
    fn of(directory: &Path) -> Guard {
        // The environment and the process group of none that it kills.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GUARD, "sh"]).arg(directory);
        command.current_dir("/").process_group(0);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Guard(command.spawn().unwrap())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A process whose current directory is in the tree.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    name: String,
    directory: PathBuf,
}

pub(super) struct Run {
    pub(super) pid: u32,
    pub(super) lines: usize,
    pub(super) end: String,
}

/// The log of a service, as far as it was read.
#[derive(Default)]
pub(super) struct Log {
    /// The last finished file that was read to its end.
    finished: String,
    /// The inode of the file after it, and so much of it was read.
    inode: u64,
    offset: u64,
    /// A line without its end.
    rest: String,
    pub(super) follower: Follower,
}

pub(super) struct Tree {
    root: Option<Daemon>,
    pub(super) has_svscanboot: bool,
    pub(super) starts: usize,
    _guard: Guard,
    pub(super) scratch: Scratch,
    pub(super) units: Vec<Unit>,
}

impl Tree {
    pub(super) fn new(seed: u64, has_svscanboot: bool) -> Tree {
        let scratch = Scratch::new();
        let mut units = Vec::new();
        for (name, life, lines, logger, is_down) in SERVICES {
            let path = format!("service/{name}");
            scratch.mkdir(&path);
            let numbers = [
                ("SEED", (seed % 1_000_000) as usize),
                ("LIFE", life),
                ("LINES", lines),
            ];
            let script = numbers
                .iter()
                .fold(SERVICE.to_owned(), |script, (word, number)| {
                    script.replace(word, &number.to_string())
                });
            scratch.executable(format!("{path}/run"), script);
            if is_down {
                scratch.write(format!("{path}/down"), "");
            }
            let log = format!("{path}/log");
            units.push(Unit {
                path,
                is_log: false,
                configured: if is_down { Want::Down } else { Want::Up },
            });
            if let Some(stamp) = logger {
                let multilog = Suite::Ours.program("multilog");
                let run = format!(
                    "exec {} {stamp} s16000000 n1000000 ./main",
                    multilog.display()
                );
                scratch.service(&log, &run);
                units.push(Unit {
                    path: log,
                    is_log: true,
                    configured: Want::Up,
                });
            }
        }
        Tree {
            root: None,
            has_svscanboot,
            starts: 0,
            _guard: Guard::of(scratch.path()),
            scratch,
            units,
        }
    }

    /// Starts svscan or svscanboot, for the first time or after it was killed.
    pub(super) fn start(&mut self) {
        self.starts += 1;
        let program = if self.has_svscanboot {
            "svscanboot"
        } else {
            "svscan"
        };
        let name = format!("root{}", self.starts);
        self.root = Some(
            self.scratch
                .daemon(Suite::Ours, program, &["service"], &name),
        );
    }

    pub(super) fn runs(&mut self) -> bool {
        self.root.as_mut().is_some_and(Daemon::runs)
    }

    /// Ends svscan or svscanboot by TERM; its exit code.
    pub(super) fn end(&mut self) -> i32 {
        let mut root = self.root.take().unwrap();
        root.signal("TERM");
        root.wait()
    }

    /// What svscan and its supervises have said.
    pub(super) fn said(&self) -> String {
        let names = (1..=self.starts).map(|start| format!("root{start}.err"));
        names.map(|name| self.scratch.read(name)).collect()
    }

    pub(super) fn processes(&self) -> Vec<Process> {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid| self.process(pid)).collect()
    }

    /// None if it is a zombie, or none of the tree.
    fn process(&self, pid: u32) -> Option<Process> {
        let directory = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        let directory = directory.strip_prefix(self.scratch.path()).ok()?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(Process {
            pid,
            name: name.trim_end().to_owned(),
            directory: directory.to_owned(),
        })
    }

    /// The supervises of the unit among `processes`, or its services and loggers.
    pub(super) fn of_unit(
        &self,
        unit: usize,
        is_supervise: bool,
        processes: &[Process],
    ) -> Vec<u32> {
        let path = Path::new(&self.units[unit].path);
        // Where multilog is.
        let main = path.join("main");
        let is_meant = |process: &&Process| {
            let is_named = match is_supervise {
                true => process.name == "supervise",
                // A script has its own name.
                false => ["run", "multilog"].contains(&&*process.name),
            };
            is_named && [path, &main].contains(&&*process.directory)
        };
        let meant = processes.iter().filter(is_meant);
        meant.map(|process| process.pid).collect()
    }

    fn find(&self, victim: Victim, processes: &[Process]) -> Option<u32> {
        match victim {
            Victim::Supervise(unit) => self.of_unit(unit, true, processes).first().copied(),
            Victim::Child(unit) => self.of_unit(unit, false, processes).first().copied(),
            Victim::Svscan => self.svscan(),
            Victim::Svscanboot if !self.has_svscanboot => None,
            Victim::Svscanboot => Some(self.root()),
        }
    }

    fn svscan(&self) -> Option<u32> {
        match self.has_svscanboot {
            true => children_called(self.root(), "svscan").pop(),
            false => Some(self.root()),
        }
    }

    /// The pid of svscan or svscanboot.
    pub(super) fn root(&self) -> u32 {
        self.root.as_ref().unwrap().pid()
    }

    pub(super) fn pipes_of_svscan(&self) -> Vec<Option<PathBuf>> {
        let svscan = self.svscan();
        let opened = svscan.map(|pid| fs::read_dir(format!("/proc/{pid}/fd")));
        let opened = opened.and_then(Result::ok).into_iter().flatten().flatten();
        opened
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .map(Some)
            .collect()
    }

    /// What the process has open there.
    pub(super) fn pipe(&self, pid: Option<&u32>, number: u32) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/fd/{number}", pid?)).ok()
    }

    /// Kills those of them that run; these, with their pids.
    pub(super) fn kill(&self, victims: &[Victim]) -> Vec<(Victim, u32)> {
        let processes = self.processes();
        let find = |victim: &Victim| Some((*victim, self.find(*victim, &processes)?));
        let mut found: Vec<(Victim, u32)> = victims.iter().filter_map(find).collect();
        // It may have ended by now.
        found.retain(|(_, pid)| {
            let is_of_tree = self.process(*pid).is_some();
            is_of_tree && kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).is_ok()
        });
        found
    }

    /// What svstat says of these units, each.
    pub(super) fn svstat(&self, units: &[usize]) -> Vec<String> {
        let paths: Vec<&str> = units.iter().map(|unit| &*self.units[*unit].path).collect();
        let said = self.scratch.run(Suite::Ours, "svstat", &paths).text();
        let state = |line: &str| line.split_once(": ").unwrap_or_default().1.to_owned();
        said.lines().map(state).collect()
    }

    /// The record of the unit, if it is whole.
    pub(super) fn record(&self, unit: usize) -> Option<StateRecord> {
        let path = format!("{}/supervise/state", self.units[unit].path);
        let bytes = fs::read(self.scratch.at(path)).ok()?;
        StateRecord::decode(bytes.get(usize::try_from(StateRecord::OFFSET).unwrap()..)?)
    }

    /// Whether supervise has read all commands that were sent to it.
    pub(super) fn has_read_commands(&self, unit: usize) -> bool {
        use nix::fcntl::OFlag;
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = File::options();
        options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let path = format!("{}/supervise/control", self.units[unit].path);
        let control = options.open(self.scratch.at(path)).unwrap();
        let mut control = [PollFd::new(control.as_fd(), PollFlags::POLLIN)];
        poll(&mut control, PollTimeout::ZERO).unwrap() == 0
    }

    pub(super) fn doubles(&self, unit: usize) -> String {
        self.scratch
            .read(format!("{}/doubles", self.units[unit].path))
    }

    pub(super) fn noted_runs(&self, unit: usize) -> Vec<Run> {
        let text = self.scratch.read(format!("{}/runs", self.units[unit].path));
        let run = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let mut number = || words.next().and_then(|word| word.parse::<u32>().ok());
            Run {
                pid: number().unwrap_or(0),
                lines: number().unwrap_or(0) as usize,
                end: words.next().unwrap_or_default().to_owned(),
            }
        };
        text.lines().map(run).collect()
    }

    /// Reads what is new in the log of the unit.
    ///
    /// # Errors
    /// A line that does not follow.
    pub(super) fn follow(&self, unit: usize, log: &mut Log) -> Result<(), String> {
        let directory = self.scratch.at(format!("{}/main", self.units[unit].path));
        // Before the names: if it is finished meanwhile, it is among them.
        let current = File::open(directory.join("current")).ok();
        let inode = |file: &File| file.metadata().unwrap().ino();
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut finished: Vec<String> = names
            .filter(|name| name.starts_with('@') && *name > log.finished)
            .collect();
        finished.sort();
        for name in finished {
            let file = File::open(directory.join(&name)).unwrap();
            if current.as_ref().map(inode) == Some(inode(&file)) {
                break;
            }
            log.read(&file, inode(&file))?;
            (log.finished, log.inode) = (name, 0);
        }
        current.map_or(Ok(()), |file| log.read(&file, inode(&file)))
    }
}

impl Log {
    fn read(&mut self, file: &File, inode: u64) -> Result<(), String> {
        if self.inode != inode {
            (self.inode, self.offset) = (inode, 0);
        }
        let mut bytes = Vec::new();
        let mut buffer = [0; 65536];
        loop {
            let count = file.read_at(&mut buffer, self.offset).unwrap();
            if count == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..count]);
            self.offset += count as u64;
        }
        self.rest += std::str::from_utf8(&bytes).unwrap();
        let end = self.rest.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.rest.split_off(end);
        let text = std::mem::replace(&mut self.rest, rest);
        text.lines().try_for_each(|line| {
            let is_stamped = line.starts_with('@');
            let line = if is_stamped {
                line.split_once(' ').unwrap_or_default().1
            } else {
                line
            };
            self.follower.take(line)
        })
    }
}
