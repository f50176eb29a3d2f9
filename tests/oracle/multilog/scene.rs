//! Where a situation of multilog is played: a scratch directory, a multilog and
//! the one that comes after it, a pipe, and the transcript of all that happens.

use crate::harness::{Daemon, Output, Scratch, Suite, finish, signal, skip_unless, wait_until};
use crate::oracle::Scenery;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

/// Who plays the first multilog of a situation, and who those after it.
pub(super) type Cast = [Suite; 2];

/// What a pipe can be made to hold by anybody, in bytes.
pub(super) const PIPE: usize = 1 << 20;

/// One playing of one situation.
pub(super) struct Scene {
    pub(super) scratch: Scratch,
    cast: Cast,
    lines: Vec<String>,
    /// How many multilogs were started.
    started: usize,
    daemon: Option<Daemon>,
    reader: Option<PipeReader>,
    writer: Option<PipeWriter>,
}

impl Scenery for Scene {
    type Cast = Cast;
    const REFERENCE: Cast = [Suite::Reference; 2];

    fn new(cast: Cast) -> Scene {
        let scratch = Scratch::new();
        // multilog runs in there; what the test needs stands beside it.
        scratch.mkdir("w");
        Scene {
            scratch,
            cast,
            lines: Vec::new(),
            started: 0,
            daemon: None,
            reader: None,
            writer: None,
        }
    }

    fn transcript(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

impl Scene {
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.lines.push(text.into());
    }

    /// Makes a file with this mode, and the directory it is in.
    pub(super) fn file(&self, name: &str, contents: impl AsRef<[u8]>, mode: u32) {
        let name = Path::new("w").join(name);
        self.scratch.mkdir(name.parent().unwrap());
        self.scratch.write(&name, contents);
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(self.scratch.at(name), permissions).unwrap();
    }

    /// Gives what is there another mode.
    pub(super) fn set_mode(&self, name: &str, mode: u32) {
        let path = self.scratch.at("w").join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The next multilog, with this script; SCRATCH in it is the directory.
    pub(super) fn multilog<S: AsRef<[u8]>>(&mut self, script: &[S]) -> Command {
        let suite = self.cast[usize::from(self.started > 0)];
        self.started += 1;
        let program = suite.program("multilog");
        let mut command = self.scratch.command(suite, program);
        command.current_dir(self.scratch.at("w"));
        self.add_script(&mut command, script);
        command
    }

    /// The same, begun by this command for a shell, which has multilog and the script
    /// as `"$0" "$@"`.
    pub(super) fn through_shell(&mut self, command: &str, script: &[&str]) -> Command {
        let multilog = self.multilog(script);
        let mut shell = self.scratch.command(Suite::Ours, "sh");
        shell
            .args(["-c", command])
            .arg(multilog.get_program())
            .args(multilog.get_args())
            .current_dir(self.scratch.at("w"));
        shell
    }

    /// Adds a script to a command.
    fn add_script<S: AsRef<[u8]>>(&self, command: &mut Command, script: &[S]) {
        let path = self.scratch.at("w");
        for word in script {
            let word = replace(word.as_ref(), b"SCRATCH", path.as_os_str().as_bytes());
            command.arg(OsStr::from_bytes(&word));
        }
    }

    /// Runs multilog with this file as its stdin, and tells what it left. Gives its
    /// exit code.
    pub(super) fn run<S: AsRef<[u8]>>(&mut self, script: &[S], input: &[u8]) -> i32 {
        self.scratch.write("input", input);
        let mut command = self.multilog(script);
        command.stdin(File::open(self.scratch.at("input")).unwrap());
        self.finish(command)
    }

    /// As [`Scene::run`], with a pipe in which all of the input stands.
    pub(super) fn run_on_pipe<S: AsRef<[u8]>>(&mut self, script: &[S], input: &[u8]) -> i32 {
        self.open_pipe();
        self.write(input);
        self.writer = None;
        let mut command = self.multilog(script);
        command.stdin(self.reader.take().unwrap());
        self.finish(command)
    }

    /// Runs a command to its end and tells what it left. Gives its exit code.
    pub(super) fn finish(&mut self, command: Command) -> i32 {
        let Output { out, err, code } = finish(command);
        self.say(format!("ended with {code}"));
        assert_eq!(out, b"");
        self.tell_stderr(&err);
        code
    }

    /// Tells what multilog printed; how often something was tried does not count.
    fn tell_stderr(&mut self, bytes: &[u8]) {
        let path = self.scratch.at("w");
        let bytes = replace(bytes, path.as_os_str().as_bytes(), b"SCRATCH");
        let bytes = without_stamps(&bytes);
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        lines.dedup_by(|line, before| line == before && find(line, b", pausing").is_some());
        self.say(format!("stderr: {}", summary(&lines.concat())));
    }

    /// A command in whose place multilog runs as somebody for whom permissions
    /// count, who owns the directory; None, having said why, if that cannot be.
    pub(super) fn ordinary<S: AsRef<[u8]>>(&mut self, script: &[S]) -> Option<Command> {
        if self.scratch.path().metadata().unwrap().uid() != 0 {
            return Some(self.multilog(script));
        }
        let is_open = |path: &Path| path.metadata().is_ok_and(|m| m.mode() & 1 != 0);
        let reachable = self.scratch.path().ancestors().all(is_open);
        let test = "oracle::multilog as an ordinary user";
        if !skip_unless(test, reachable, "the scratch directory is closed") {
            return None;
        }
        // The checkout may be closed to others.
        let program = self.multilog::<&[u8]>(&[]).get_program().to_owned();
        let mut install = self.scratch.command(Suite::Ours, "install");
        install
            .args(["-D", "-m", "755"])
            .arg(program)
            .arg("alone/multilog");
        assert_eq!(finish(install).code, 0);
        let mut own = self.scratch.command(Suite::Ours, "chown");
        own.args(["-R", "65534:65534", "w"]);
        assert_eq!(finish(own).code, 0);
        let mut command = self.scratch.command(Suite::Ours, "setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(self.scratch.at("alone/multilog"))
            .current_dir(self.scratch.at("w"));
        self.add_script(&mut command, script);
        Some(command)
    }

    /// Makes the pipe that later multilogs read.
    pub(super) fn open_pipe(&mut self) {
        let (reader, writer) = std::io::pipe().unwrap();
        #[allow(unsafe_code, reason = "nix has this for an open feature only")]
        // SAFETY: the descriptor is open, and the call takes a number.
        let size = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE) };
        assert!(size >= i32::try_from(PIPE).unwrap());
        (self.reader, self.writer) = (Some(reader), Some(writer));
    }

    /// Writes to the pipe.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.writer.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// No more is written to the pipe.
    pub(super) fn close(&mut self) {
        self.writer = None;
    }

    /// Starts multilog on the pipe.
    pub(super) fn start<S: AsRef<[u8]>>(&mut self, script: &[S]) {
        let command = self.multilog(script);
        self.start_command(command);
    }

    /// As [`Scene::start`], any command.
    pub(super) fn start_command(&mut self, mut command: Command) {
        let reader = self.reader.as_ref().unwrap().try_clone().unwrap();
        command.stdin(reader);
        self.daemon = Some(self.scratch.start(command, "daemon"));
    }

    /// Opens the pipe, starts multilog on it and waits until `current` is there.
    pub(super) fn begin<S: AsRef<[u8]>>(&mut self, script: &[S], directory: &str) {
        self.open_pipe();
        self.start(script);
        self.wait_ready(directory);
    }

    /// Waits until multilog holds `current` of a directory ready: it has the mode
    /// of one that is being written, and multilog sleeps.
    pub(super) fn wait_ready(&self, directory: &str) {
        let current = self.scratch.at("w").join(directory).join("current");
        let pid = self.pid();
        wait_until("multilog is ready", || {
            let mode = fs::metadata(&current).map_or(0, |m| m.mode());
            mode & 0o777 == 0o644 && is_asleep(pid)
        });
    }

    fn pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().pid()
    }

    /// Writes to the pipe and waits until the file `name` ends in `end`.
    pub(super) fn log(&mut self, bytes: &[u8], name: &str, end: &str) {
        self.write(bytes);
        self.wait_end(name, end);
    }

    /// Waits until the file `name` ends in `end`.
    pub(super) fn wait_end(&self, name: &str, end: &str) {
        wait_until(&format!("{name} ends in {end:?}"), || {
            self.read(name).ends_with(end.as_bytes())
        });
    }

    /// Waits until `directory` has so many finished files and a `current`.
    pub(super) fn wait_finished(&self, directory: &str, count: usize) {
        wait_until(&format!("{directory} has {count} finished files"), || {
            let names = names(&self.scratch.at("w").join(directory));
            names.iter().filter(|name| is_finished(name)).count() == count
                && names.iter().any(|name| name == "current")
                && !names.iter().any(|name| name == "previous")
        });
    }

    /// What is in a file; nothing if it is not there.
    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.scratch.at("w").join(name)).unwrap_or_default()
    }

    /// Sends multilog a signal when it has seen all, and waits until it took it or
    /// is gone. 0.76 lets signals come before it reads and looks at what they said
    /// before that: one that comes there is followed behind the next bytes only.
    pub(super) fn signal(&mut self, name: &str) {
        let pid = self.pid();
        self.wait_seen();
        signal(pid, name);
        wait_until("the signal is taken", || {
            let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
                return true;
            };
            let pending = |what: &str| {
                let mask = status.split(what).nth(1).unwrap();
                mask.split_ascii_whitespace().next().unwrap() != "0000000000000000"
            };
            let is_zombie = matches!(state(pid), None | Some('Z'));
            is_zombie || !pending("SigPnd:") && !pending("ShdPnd:")
        });
    }

    /// Sends signals while multilog, which has seen all, is stopped, after which
    /// `then` happens; it finds all of that at once when it goes on.
    pub(super) fn while_stopped(&mut self, signals: &[&str], then: impl FnOnce(&mut Scene)) {
        let pid = self.pid();
        self.wait_seen();
        signal(pid, "STOP");
        wait_until("multilog stands still", || state(pid) == Some('T'));
        then(self);
        for name in signals {
            signal(pid, name);
        }
        signal(pid, "CONT");
    }

    /// Sends multilog a signal that it need not take now.
    pub(super) fn send(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits until multilog has seen all that stands in the pipe, which woke it up,
    /// and sleeps again. The reference takes out what it sees; ours may leave an
    /// unfinished line there.
    pub(super) fn wait_seen(&self) {
        let pid = self.pid();
        wait_until("multilog has seen all", || is_asleep(pid));
    }

    /// Waits until the file `name` is there.
    pub(super) fn wait_there(&self, name: &str) {
        let path = self.scratch.at("w").join(name);
        wait_until(&format!("{name} is there"), || path.exists());
    }

    /// Waits until no program runs any more that multilog started.
    pub(super) fn wait_alone(&self) {
        wait_until("all are gone", || self.scratch.processes().is_empty());
    }

    /// Takes out of the pipe what a multilog left there that was killed.
    pub(super) fn drain(&mut self) {
        let mut buffer = vec![0; PIPE];
        // Something is in it: this does not wait.
        self.write(b"x");
        let mut reader = self.reader.as_ref().unwrap();
        let count = reader.read(&mut buffer).unwrap();
        assert_eq!(buffer[count - 1], b'x');
    }

    /// Kills multilog when it has seen all, and waits until it is gone. Ours that was
    /// killed at its work could do a part of it twice.
    pub(super) fn kill(&mut self) {
        self.wait_seen();
        signal(self.pid(), "KILL");
        self.ends();
    }

    /// Waits for the end of multilog and tells its code, which it gives, and what it
    /// printed.
    pub(super) fn ends(&mut self) -> i32 {
        let code = self.daemon.as_mut().unwrap().wait();
        self.say(format!("ended with {code}"));
        self.tell_errors();
        code
    }

    /// No more is written: waits for the end and tells all that is left.
    pub(super) fn close_and_look(&mut self) {
        self.close();
        self.ends();
        self.look();
    }

    /// Tells what the multilog that was started last printed.
    pub(super) fn tell_errors(&mut self) {
        let errors = fs::read(self.scratch.at("daemon.err")).unwrap();
        self.tell_stderr(&errors);
    }

    /// Waits until the multilog that was started last printed this, so often.
    pub(super) fn wait_errors(&self, text: &str, times: usize) {
        wait_until(&format!("{times} times {text:?}"), || {
            self.scratch.read("daemon.err").matches(text).count() >= times
        });
    }

    /// Reads what multilog left in the pipe, and tells it.
    pub(super) fn tell_rest(&mut self) {
        self.writer = None;
        let mut rest = Vec::new();
        let mut reader = self.reader.take().unwrap();
        reader.read_to_end(&mut rest).unwrap();
        self.say(format!("unread: {}", summary(&rest)));
    }

    /// Tells all that is in the directory: finished files by their order.
    pub(super) fn look(&mut self) {
        let top = self.scratch.at("w");
        let mut waiting = vec![top.clone()];
        while let Some(directory) = waiting.pop() {
            let mut finished = 0;
            for name in names(&directory) {
                let path = directory.join(&name);
                let metadata = fs::symlink_metadata(&path).unwrap();
                let shown = if is_finished(&name) {
                    finished += 1;
                    format!("@{finished}{}", &name[25..])
                } else {
                    name
                };
                let place = directory.strip_prefix(&top).unwrap().join(shown);
                let what = if metadata.is_dir() {
                    waiting.push(path);
                    "a directory".to_owned()
                } else if metadata.is_file() {
                    let mut contents = without_stamps(&fs::read(&path).unwrap());
                    if place.ends_with("lock") && contents.starts_with(b"multilog") {
                        // Ours was killed, or ended and left something to note.
                        contents.clear();
                    }
                    let links = metadata.nlink();
                    format!("{links} {}", summary(&contents))
                } else {
                    "neither file nor directory".to_owned()
                };
                self.say(format!(
                    "{} {:o} {what}",
                    place.display(),
                    metadata.mode() & 0o7777
                ));
            }
        }
    }

    /// Tells all that stands in the files of a log, one behind the other.
    pub(super) fn tell_joined(&mut self, directory: &str) {
        let path = self.scratch.at("w").join(directory);
        let mut all = Vec::new();
        for name in names(&path) {
            if is_finished(&name) || name == "current" {
                all.extend(fs::read(path.join(&name)).unwrap());
            }
        }
        let text = format!("{directory}: {}", summary(&without_stamps(&all)));
        self.say(text);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // What multilog made unreadable for a test must be removed, too.
        for name in names(&self.scratch.at("w")) {
            let path = self.scratch.at("w").join(name);
            let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
        }
    }
}

/// The names in a directory, sorted.
pub(super) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Whether this is the name of a file that a multilog finished in this century.
pub(super) fn is_finished(name: &str) -> bool {
    name.len() == 27
        && name.starts_with("@40000000")
        && (name.ends_with(".s") || name.ends_with(".u"))
}

/// Of a text that may be long, enough to compare and to see what it is.
pub(super) fn summary(text: &[u8]) -> String {
    const SHOWN: usize = 120;
    if text.len() <= 3 * SHOWN {
        return format!("{:?}", text.escape_ascii().to_string());
    }
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let (first, last) = (&text[..SHOWN], &text[text.len() - SHOWN..]);
    let length = text.len();
    format!(
        "{length} bytes, hash {hash:016x}, \"{} ... {}\"",
        first.escape_ascii(),
        last.escape_ascii()
    )
}

/// Blanks the digits of stamps of our time; a processor may have made them
/// upper-case.
pub(super) fn without_stamps(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    let is_digit = |byte: &u8| byte.is_ascii_hexdigit();
    let mut from = 0;
    while let Some(place) = find(&text[from..], b"@40000000") {
        let digits = from + place + 9;
        if text
            .get(digits..digits + 16)
            .is_some_and(|d| d.iter().all(is_digit))
        {
            text[digits..digits + 16].fill(b'.');
        }
        from = digits;
    }
    text
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, wanted)
}

fn replace(text: &[u8], wanted: &[u8], by: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(place) = find(rest, wanted) {
        out.extend(&rest[..place]);
        out.extend(by);
        rest = &rest[place + wanted.len()..];
    }
    out.extend(rest);
    out
}

fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

fn is_asleep(pid: u32) -> bool {
    state(pid) == Some('S')
}
