//! Where a situation is played: a scratch directory, the programs of a cast,
//! and the transcript of all that happens.

use super::{Cast, Scenery};
use crate::harness::{
    Daemon, Output, Scratch, Suite, finish, is_alive, is_asleep, skip_unless, status_field,
    wait_until,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A `run` that records its start and every signal it can, but for SIGCONT,
/// which may come while it ends; it ends by SIGTERM.
pub(super) const RECORDER: &str = "
trap 'echo hup >>record' HUP
trap 'echo int >>record' INT
trap 'echo alarm >>record' ALRM
trap 'echo usr1 >>record' USR1
trap 'echo quit >>record' QUIT
trap 'echo term >>record; exit' TERM
echo start $$ >>record
sleep 1000 & while :; do wait $!; done";

/// As [`RECORDER`], but it does not end by SIGTERM, and records SIGCONT.
pub(super) fn stubborn() -> String {
    format!("trap 'echo cont >>record' CONT\n{RECORDER}").replace("; exit", "")
}

/// One playing of one situation.
pub(super) struct Stage {
    pub(super) scratch: Scratch,
    pub(super) cast: Cast,
    lines: Vec<String>,
    /// Those started; the last is the one that is talked to.
    daemons: Vec<Daemon>,
    /// It was told to exit.
    leaving: bool,
    /// What its service had recorded when it was looked at last.
    record: String,
    /// How many starts its service must have recorded before all is at rest.
    starts: usize,
    /// Made inaccessible; opened again at the end, so that all can be removed.
    denied: Vec<PathBuf>,
}

impl Scenery for Stage {
    type Cast = Cast;
    const REFERENCE: Cast = Cast::all(Suite::Reference);

    fn new(cast: Cast) -> Stage {
        Stage {
            scratch: Scratch::new(),
            cast,
            lines: Vec::new(),
            daemons: Vec::new(),
            leaving: false,
            record: String::new(),
            starts: 0,
            denied: Vec::new(),
        }
    }

    fn transcript(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

impl Stage {
    /// Adds to the transcript, numbers of processes and the like blanked.
    pub(super) fn say(&mut self, text: impl AsRef<[u8]>) {
        let mut text = text.as_ref().escape_ascii().to_string();
        text = text
            .replace("\\n", "\n")
            .replace("\\\"", "\"")
            .replace("\\'", "'");
        text = text.replace(&*self.scratch.path().to_string_lossy(), "SCRATCH");
        for (before, after) in [
            ("(pid ", ")"),
            ("start ", ""),
            (" ", " seconds"),
            (":[", "]"),
        ] {
            text = blank(&text, before, after);
        }
        self.lines.extend(text.lines().map(str::to_owned));
    }

    /// The program of whoever plays this part. A svscan beside whose own
    /// supervise another one is to be used stands alone in a directory.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        match name {
            "svscan" if self.cast.svscan != self.cast.supervise => self.alone(name),
            "svscan" => self.cast.svscan.program(name),
            "supervise" => self.cast.supervise.program(name),
            _ => self.cast.clients.program(name),
        }
    }

    /// A copy of svscan without a supervise beside it.
    pub(super) fn alone(&self, name: &str) -> PathBuf {
        self.copy(&self.cast.svscan.program(name))
    }

    /// A copy of a program in a directory of its own, open to everybody. Another
    /// process makes it: while this one writes a file, no other thread's child
    /// may run it.
    fn copy(&self, program: &Path) -> PathBuf {
        let copy = self.scratch.at("alone").join(program.file_name().unwrap());
        if !copy.exists() {
            let mut install = self.command("install");
            install.args(["-D", "-m", "755"]).arg(program).arg(&copy);
            assert_eq!(finish(install).code, 0);
        }
        copy
    }

    /// A command with PATH such that a supervise found there is the cast's.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.scratch.command(self.cast.supervise, program)
    }

    /// Runs a program of the suite to its end and tells what it left.
    pub(super) fn run<S: AsRef<OsStr>>(&mut self, program: &str, arguments: &[S]) {
        let mut command = self.command(self.program(program));
        command.args(arguments);
        self.finish(program, command);
    }

    /// As [`Stage::run`], as somebody for whom permissions count, in `directory`.
    pub(super) fn run_as_ordinary_user(&mut self, directory: &str, program: &str, words: &[&str]) {
        if let Some(mut command) = self.as_ordinary_user(program) {
            command.args(words).current_dir(self.scratch.at(directory));
            self.finish(program, command);
        }
    }

    /// A command run by somebody for whom permissions count; None, having said
    /// why, if such a user cannot reach the scratch directory.
    pub(super) fn as_ordinary_user(&self, program: &str) -> Option<Command> {
        let mut path = self.program(program);
        if self.scratch.path().metadata().unwrap().uid() != 0 {
            return Some(self.command(path));
        }
        let is_open = |path: &Path| path.metadata().is_ok_and(|m| m.mode() & 1 != 0);
        let test = format!("{program} as an ordinary user");
        let is_reachable = self.scratch.path().ancestors().all(is_open);
        if !skip_unless(&test, is_reachable, "the scratch directory is closed") {
            return None;
        }
        // The checkout may be closed to others.
        if !path.ancestors().all(is_open) {
            path = self.copy(&path);
        }
        let mut command = self.command("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(path);
        Some(command)
    }

    /// Runs a shell script in which the programs are found by PATH.
    pub(super) fn sh(&mut self, script: &str) {
        let mut command = self.command("/bin/sh");
        command.args(["-c", script]);
        self.finish(script, command);
    }

    /// Runs `command` to its end and tells what it left.
    pub(super) fn finish(&mut self, what: &str, command: Command) {
        let output = finish(command);
        self.tell(what, &output);
    }

    pub(super) fn tell(&mut self, what: &str, output: &Output) {
        self.say(format!("$ {what}: code {}", output.code));
        for (end, bytes) in [("out", &output.out), ("err", &output.err)] {
            if !bytes.is_empty() {
                self.say([end.as_bytes(), b": ", bytes].concat());
            }
        }
    }

    /// Starts a daemon with every signal at its default, whatever the tests
    /// themselves were started with.
    pub(super) fn start(&mut self, program: &str, arguments: &[&str]) {
        self.start_by("env --default-signal", program, arguments);
    }

    /// As [`Stage::start`], by the words of `prefix`.
    pub(super) fn start_by(&mut self, prefix: &str, program: &str, arguments: &[&str]) {
        let words: Vec<&str> = prefix.split(' ').collect();
        let mut command = self.command(words[0]);
        command
            .args(&words[1..])
            .arg(self.program(program))
            .args(arguments);
        self.start_command(command);
    }

    /// As [`Stage::start`], any command.
    pub(super) fn start_command(&mut self, command: Command) {
        let name = format!("daemon{}", self.daemons.len());
        let daemon = self.scratch.start(command, &name);
        self.daemons.push(daemon);
    }

    /// Makes the service `s` with this `run`.
    pub(super) fn service(&mut self, run: &str) {
        self.script("s/run", run);
    }

    /// Makes an executable shell script and the directory it is in. As with
    /// [`Stage::alone`], another process must write it.
    pub(super) fn script(&self, name: &str, body: &str) {
        self.scratch.write("script", format!("#!/bin/sh\n{body}\n"));
        let mut install = self.command("install");
        install.args(["-D", "-m755", "script", name]);
        assert_eq!(finish(install).code, 0);
    }

    /// Starts supervise on the service `s` and waits until all is at rest.
    pub(super) fn supervise(&mut self) {
        self.start("supervise", &["s"]);
        self.settle();
    }

    pub(super) fn daemon(&mut self) -> &mut Daemon {
        self.daemons.last_mut().unwrap()
    }

    /// Waits for the end of the last daemon and tells its code.
    pub(super) fn ends(&mut self) {
        let code = self.daemon().wait();
        self.say(format!("ended with {code}"));
    }

    /// Tells what the last daemon printed to stderr: repetitions once.
    pub(super) fn tell_errors(&mut self) {
        let name = format!("daemon{}.err", self.daemons.len() - 1);
        let text = std::fs::read(self.scratch.at(name)).unwrap();
        let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        lines.sort_unstable();
        lines.dedup();
        let lines = lines.concat();
        self.say([b"errors: ", lines.as_slice()].concat());
    }

    /// How often the last daemon's stderr has `text`.
    pub(super) fn errors_with(&self, text: &str) -> usize {
        let name = format!("daemon{}.err", self.daemons.len() - 1);
        self.scratch.read(name).matches(text).count()
    }

    /// Waits until the last daemon has printed a line with `text` so often.
    pub(super) fn wait_errors(&mut self, text: &str, times: usize) {
        wait_until(&format!("{times} times `{text}`"), || {
            self.errors_with(text) >= times
        });
    }

    /// Waits until the file `name` holds at least so many lines with `text`.
    pub(super) fn wait_file(&self, name: &str, text: &str, times: usize) {
        wait_until(&format!("{times} times `{text}` in {name}"), || {
            let lines = self.scratch.read(name);
            let lines = lines.split_inclusive('\n');
            lines.filter(|line| line.contains(text)).count() >= times
        });
    }

    /// Sends `svc -LETTERS s`, waits until all is at rest and tells what is then.
    pub(super) fn svc(&mut self, letters: &str) {
        self.note_commands(letters.as_bytes());
        self.run("svc", &[&format!("-{letters}"), "s"]);
        self.settle();
        self.look();
    }

    /// Asks svstat again and again until the service `s` has been started so often, and
    /// tells what it says for more than a quarter of the time.
    pub(super) fn poll_svstat(&mut self, starts: usize) {
        let (mut polls, mut lines) = (0, BTreeMap::<String, usize>::new());
        wait_until("the service is started again", || {
            let mut svstat = self.command(self.program("svstat"));
            svstat.arg("s");
            let line = blank(&finish(svstat).text(), "(pid ", ")");
            *lines.entry(blank(&line, " ", " seconds")).or_default() += 1;
            polls += 1;
            self.recorded_starts() >= starts
        });
        lines.retain(|_, count| *count * 4 > polls);
        self.say(format!("svstat says mostly {:?}", lines.keys()));
    }

    /// As [`Stage::svc`], any bytes, by the FIFO itself.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.note_commands(bytes);
        let fifo = open_fifo(&self.scratch.at("s/supervise/control"));
        fifo.unwrap().write_all(bytes).unwrap();
        self.settle();
        self.look();
    }

    fn note_commands(&mut self, bytes: &[u8]) {
        let starts = bytes.iter().any(|byte| b"uo".contains(byte));
        if starts && self.scratch.pid("s").is_none() {
            self.starts = self.recorded_starts() + 1;
        }
        self.leaving |= bytes.contains(&b'x');
    }

    fn recorded_starts(&self) -> usize {
        self.scratch.read("s/record").matches("start").count()
    }

    /// Waits until nothing is on its way any more in the service `s`: no command
    /// unread, no signal undelivered, no start, end or exit due. Twice in a row,
    /// as several files are looked at.
    pub(super) fn settle(&mut self) {
        let mut before = false;
        wait_until("the service comes to rest", || {
            let rests = self.rests();
            rests && std::mem::replace(&mut before, rests)
        });
    }

    fn rests(&mut self) -> bool {
        if !self.daemon().runs() {
            return true;
        }
        let supervise = self.daemon().pid();
        let Ok(status) = std::fs::read(self.scratch.at("s/supervise/status")) else {
            return false;
        };
        is_asleep(supervise)
            && open_fifo(&self.scratch.at("s/supervise/ok")).is_ok()
            && is_empty(&self.scratch.at("s/supervise/control"))
            && match self.scratch.pid("s") {
                None => {
                    !self.leaving && status[17] != b'u' && self.recorded_starts() >= self.starts
                }
                Some(pid) => {
                    let record = self.scratch.read("s/record");
                    is_asleep(pid) && record.contains(&format!("start {pid}\n"))
                }
            }
    }

    /// Tells all that is to be seen of the service `s`.
    pub(super) fn look(&mut self) {
        self.tell_status(&self.scratch.at("s/supervise/status"));
        self.run("svstat", &["s"]);
        self.run("svok", &["s"]);
        let record = self.scratch.read("s/record");
        let record: String = record.lines().map(|line| format!("{line} ")).collect();
        // Which of two signals sent together is handled first is the shell's affair.
        let new = record.get(self.record.len()..).unwrap_or_default();
        let new = new.replace("cont term", "term cont");
        self.record.push_str(&new);
        self.say(format!("record: {}", blank_pids(&self.record)));
        let state = self.scratch.pid("s").map(|pid| status_field(pid, "State:"));
        self.say(format!("the process: {state:?}"));
        if self.daemon().runs() {
            self.say("supervise runs");
        } else {
            self.ends();
        }
    }

    /// Tells what the status file `path` holds, but for its stamp.
    pub(super) fn tell_status(&mut self, path: &Path) {
        let status = std::fs::read(path).unwrap_or_default();
        self.say(status_text(&status));
    }

    /// Tells what files are in `directory`: type, mode, size; but for those whose
    /// size depends on process ids or repetitions, and for those that only ours has.
    pub(super) fn files(&mut self, directory: &str) {
        let entries = std::fs::read_dir(self.scratch.at(directory)).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        let varies = |name: &str| {
            let is_ours = ["/supervise/state", "/supervise/svscan"];
            name.contains("/daemon")
                || name.ends_with("/record")
                || is_ours.iter().any(|own| name.ends_with(own))
        };
        paths.retain(|path| !varies(&path.to_string_lossy()));
        paths.sort();
        for path in paths {
            let metadata = path.symlink_metadata().unwrap();
            let kind = match metadata.file_type() {
                kind if kind.is_fifo() => "fifo",
                kind if kind.is_dir() => "directory",
                kind if kind.is_symlink() => "link",
                kind if kind.is_file() => "file",
                _ => "other",
            };
            let has_size = kind == "file" || kind == "fifo";
            let size = if has_size { metadata.size() } else { 0 };
            let mode = metadata.mode() & 0o7777;
            let mut line = path.as_os_str().as_bytes().to_vec();
            line.extend(format!(": {kind} {mode:04o}, {size} bytes").bytes());
            self.say(line);
        }
    }

    /// Takes all permissions from `name` but those of `mode`.
    pub(super) fn deny(&mut self, name: &str, mode: u32) {
        let path = self.scratch.at(name);
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        self.denied.push(path);
    }

    /// Waits until the process `pid` is gone.
    pub(super) fn wait_gone(&self, pid: u32) {
        wait_until("a process is gone", || !is_alive(pid));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for path in self.denied.iter().rev() {
            let _ = std::fs::set_permissions(path, Permissions::from_mode(0o700));
        }
    }
}

/// A shell script that runs `script` with the output `to` (as `>&4`) going to a
/// pipe that nobody reads any more, and prints its exit code.
pub(super) fn unread(script: &str, to: &str) -> String {
    format!("mkfifo p && exec 3<>p 4>p 3<&- && rm p; ({script}) {to}; echo $?")
}

/// Opens a FIFO for writing, without waiting: an error if nobody reads it.
pub(super) fn open_fifo(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// Whether nothing is in the FIFO `path`.
fn is_empty(path: &Path) -> bool {
    let reader = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    let Ok(reader) = reader else {
        return false;
    };
    let mut polled = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO).unwrap();
    !polled[0].revents().unwrap().contains(PollFlags::POLLIN)
}

/// What a status file holds, but for its stamp.
fn status_text(status: &[u8]) -> String {
    match status {
        [_, _, _, _, _, _, _, _, _, _, _, _, pid @ .., paused, want] if pid.len() == 4 => {
            let pid = if pid == [0; 4] { "none" } else { "some" };
            let want = want.escape_ascii();
            format!("status: pid {pid}, paused {paused}, want {want}")
        }
        other => format!("status: {} bytes", other.len()),
    }
}

/// Blanks the numbers behind each `start` of a record.
fn blank_pids(record: &str) -> String {
    blank(record, "start ", "")
}

/// Replaces every number between `before` and `after` by `N`.
fn blank(text: &str, before: &str, after: &str) -> String {
    let mut blanked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(before) {
        let (head, tail) = rest.split_at(at + before.len());
        blanked.push_str(head);
        let behind = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_number = behind.len() < tail.len() && behind.starts_with(after);
        blanked.push_str(if is_number { "N" } else { "" });
        rest = if is_number { behind } else { tail };
    }
    blanked + rest
}
