//! System calls of multilog that fail, and a KILL at each of them, by strace(1).

use super::{Feed, Multilog, STAMP, check, line, text};
use crate::harness::numbers::Numbers;
use crate::harness::{Scratch, Suite, each, has, linked_statically, wait_until};
use std::collections::BTreeMap;

/// How many are traced at a time.
const WORKERS: usize = 4;
/// So many lines there are for each: enough for three files.
const LINES: usize = 120;

/// The pauses are none, but a poll of a stdin that is taken for no pipe is one.
const NO_PAUSE: &str = "ppoll:retval=0:when=1..5000";

/// The scripts to which it is done.
const SCRIPTS: [&[&str]; 2] = [
    &["t", "s4096", "n3", "./few", "n1000000", "./main"],
    &["s4096", "n1000000", "!cat; echo x >&5", "./main"],
];

/// A log directory, and a pipe with lines in it and nobody to write more.
struct Place {
    scratch: Scratch,
    feed: Feed,
    script: &'static [&'static str],
}

impl Place {
    fn new(script: &'static [&'static str]) -> Place {
        let mut feed = Feed::new();
        let length = (0..LINES).map(|number| line(number).len() + 1).sum();
        feed.write(length);
        feed.close();
        Place {
            scratch: Scratch::new(),
            feed,
            script,
        }
    }

    /// Runs multilog under strace, with these `faults`, to its end.
    fn strace(&self, faults: &[String]) -> i32 {
        let mut command = self.scratch.command(Suite::Ours, "strace");
        command.args(["-o", "trace"]);
        for fault in faults {
            command.args(["-e", &format!("inject={fault}")]);
        }
        // Of a dynamic one the loader's calls would fail, too.
        command
            .arg(Suite::Static.program("multilog"))
            .args(self.script);
        let mut multilog = Multilog::spawn(&self.scratch, command, self.feed.stdin());
        wait_until(&format!("it ends in spite of {faults:?}"), || {
            !multilog.runs()
        });
        multilog.wait()
    }

    /// Runs multilog to its end, as often as another still holds the lock.
    fn run(&self) -> i32 {
        loop {
            let code = Multilog::start(&self.scratch, self.script, self.feed.stdin()).wait();
            let said = self.scratch.read("said");
            let last = said.lines().last().unwrap_or_default();
            if code != 111 || !last.ends_with("temporary failure") {
                return code;
            }
        }
    }

    /// The calls of the last trace, from the first of multilog's own on: the name,
    /// and the how manieth of that name it is.
    fn calls(&self) -> Vec<(String, usize)> {
        let mut counts = BTreeMap::new();
        let mut calls = Vec::new();
        for line in self.scratch.read("trace").lines() {
            let name: String = line
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            let count = counts.entry(name.clone()).or_insert(0);
            *count += 1;
            let is_own = name == "umask" || !calls.is_empty();
            if is_own && line[name.len()..].starts_with('(') {
                calls.push((name, *count));
            }
        }
        calls
    }

    /// Nothing is lost, and nothing lies about. How often something was done over.
    fn check(&self, what: &str) -> usize {
        let stamps = self.script[0] == "t";
        let said = self.scratch.read("said");
        let all = text(&self.scratch, "main");
        let checked = std::panic::catch_unwind(|| check(&all, stamps, LINES, |_| true).times);
        let Ok(times) = checked else {
            panic!("{:?}, {what}: {said}\n{all}", self.script);
        };
        for left in ["previous", "processed", "newstate"] {
            assert!(
                !self.scratch.at("main").join(left).exists(),
                "{what}: {left}"
            );
        }
        if stamps {
            let few = text(&self.scratch, "few");
            // Nothing, if empty files that kills left have taken the places of all.
            if let Some(last) = few.lines().last() {
                assert_eq!(&last[STAMP..], line(LINES - 1), "{what}: {said}");
            }
        }
        times
    }
}

/// Each call of a multilog with this script that nothing happens to.
fn all_calls(script: &'static [&'static str]) -> Vec<(String, usize)> {
    let place = Place::new(script);
    assert_eq!(place.strace(&[]), 0);
    assert_eq!(place.check("as usual"), 0);
    place.calls()
}

/// Whether a strace of this machine can do that.
fn can(test: &str) -> bool {
    has(test, &["strace"]) && linked_statically(test).is_some()
}

#[test]
fn killed_at_any_call_it_loses_nothing() {
    if !can("KILL at any call") {
        return;
    }
    let mut random = Numbers(1);
    for script in SCRIPTS {
        let calls = all_calls(script);
        let mut plan: Vec<Vec<&(String, usize)>> = calls.iter().map(|call| vec![call]).collect();
        for _ in 0..25 {
            let mut one = || &calls[random.below(calls.len())];
            plan.push(vec![one(), one(), one()]);
        }
        each(WORKERS, &plan, |kills| {
            let place = Place::new(script);
            let mut killed = 0;
            for (name, number) in kills {
                let code = place.strace(&[format!("{name}:signal=KILL:when={number}")]);
                killed += usize::from(code == 1009);
            }
            let code = place.run();
            assert_eq!(code, 0, "{kills:?}: {}", place.scratch.read("said"));
            let times = place.check(&format!("{kills:?}"));
            assert!(times <= killed, "{kills:?}");
        });
    }
}

/// What may be wrong with a call, by its name: what open(2) and the like name that
/// is no fault of the caller's. Of a call made often each is met in its turn.
fn errors(call: &str) -> &'static [&'static str] {
    match call {
        "write" | "pwrite64" => &["ENOSPC", "EIO", "EINTR", "EDQUOT"],
        "fsync" | "rename" | "link" | "linkat" | "unlink" | "chmod" | "fchmod" | "ftruncate" => {
            &["EIO", "ENOSPC", "EROFS"]
        }
        "open" | "openat" => &["ENFILE", "EACCES", "EINTR"],
        "mkdir" => &["ENOSPC"],
        "clone" | "clone3" | "fork" | "vfork" => &["EAGAIN", "ENOMEM"],
        "fstat" | "stat" | "lstat" | "newfstatat" | "statx" | "getdents64" | "fchdir" => {
            &["EIO", "ENOMEM"]
        }
        "read" | "readv" | "preadv2" | "pread64" | "tee" | "splice" => {
            &["EIO", "EINTR", "ENOMEM", "EINVAL"]
        }
        "epoll_wait" | "ppoll" | "wait4" => &["EINTR"],
        "flock" => &["EINTR", "ENOLCK"],
        "fcntl" | "ioctl" => &["EINVAL"],
        "pipe2" | "epoll_create1" | "signalfd4" => &["EMFILE", "ENFILE"],
        "epoll_ctl" | "brk" | "mmap" | "madvise" => &["ENOMEM"],
        _ => &[],
    }
}

#[test]
fn whichever_call_fails_nothing_is_lost() {
    if !can("calls that fail") {
        return;
    }
    for script in SCRIPTS {
        let faults: Vec<(String, usize, &str)> = all_calls(script)
            .into_iter()
            .filter_map(|(name, number)| {
                let errors = errors(&name);
                let error = errors.get(number % errors.len().max(1))?;
                Some((name, number, *error))
            })
            .collect();
        each(WORKERS, &faults, |(name, number, error)| {
            let place = Place::new(script);
            let mut inject = vec![format!("{name}:error={error}:when={number}")];
            if name != "ppoll" {
                inject.push(NO_PAUSE.to_owned());
            }
            let what = format!("{name} {number} {error}");
            let code = place.strace(&inject);
            let said = place.scratch.read("said");
            assert!(!said.contains("panicked"), "{what}: {said}");
            let is_said = said.contains("multilog: fatal: unable to ");
            // An allocator without memory says so itself.
            let is_memory = ["brk", "mmap"].contains(&name.as_str());
            assert!(code == 0 || is_said || is_memory, "{what}: {code} {said}");
            let again = place.run();
            assert_eq!(again, 0, "{what}: {}", place.scratch.read("said"));
            assert_eq!(place.check(&what), 0, "{what}: {said}");
        });
    }
}

#[test]
fn while_calls_go_on_failing_nothing_is_lost() {
    if !can("calls that go on failing") {
        return;
    }
    // Each third one fails.
    let calls = [
        "write",
        "fsync",
        "rename",
        "link,linkat",
        "unlink",
        "chmod",
        "fchmod",
    ];
    let others = [
        "fchdir",
        "clone,clone3,fork,vfork",
        "statx,newfstatat",
        "getdents64",
        "pwrite64",
    ];
    let calls: Vec<&str> = calls.into_iter().chain(others).collect();
    for script in SCRIPTS {
        each(WORKERS, &calls, |names| {
            let place = Place::new(script);
            let fault = format!("{names}:error=EIO:when=2+3");
            let code = place.strace(&[fault, NO_PAUSE.to_owned()]);
            let said = place.scratch.read("said");
            assert!(
                code == 0 || said.contains("multilog: fatal: "),
                "{names}: {said}"
            );
            assert_eq!(place.run(), 0, "{names}: {said}");
            assert_eq!(place.check(names), 0, "{names}: {said}");
        });
    }
}
