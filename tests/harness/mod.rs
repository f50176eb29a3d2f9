//! What all tests share: a scratch directory that leaves nothing behind,
//! programs of either suite run with a deadline, daemons, and waiting for a
//! condition.

mod filter;
mod mount;
/// Numbers that look random.
pub(crate) mod numbers;
mod processes;
mod services;
mod stranger;
/// readproctitle, and what it should show.
pub(crate) mod title;
mod world;

pub(crate) use filter::talk;
pub(crate) use mount::Mount;
pub(crate) use processes::*;
pub(crate) use services::*;
pub(crate) use stranger::Stranger;
pub(crate) use world::World;

use nix::sys::signal::{SigHandler, Signal};
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

/// No event in a test takes longer, however slow the machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Marks all processes of one scratch directory, by their environment.
pub(crate) const MARK: &str = "DAEMONTOOLS_RS_TEST";

/// Whose programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Suite {
    /// Those built from this checkout.
    Ours,
    /// The same, linked as `make build` links them, where that can be had.
    Static,
    /// Debian's package daemontools.
    Reference,
}

impl Suite {
    /// The path of `program`.
    pub(crate) fn program(self, program: &str) -> PathBuf {
        self.directory().join(program)
    }

    /// Where its programs stand.
    pub(crate) fn directory(self) -> PathBuf {
        match self {
            Suite::Ours => installed().to_owned(),
            Suite::Static => linked_statically("the programs as they are installed")
                .unwrap_or_else(installed)
                .to_owned(),
            Suite::Reference => "/usr/bin".into(),
        }
    }
}

/// Our programs as `make build` installs them: links to one file. Here it is dynamic,
/// so setuidgid and envuidgid never need the program beside it.
fn installed() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let built = Path::new(env!("CARGO_BIN_EXE_daemontools-rs"));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
        fs::create_dir_all(&directory).unwrap();
        let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin");
        let sources = fs::read_dir(sources)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let names = sources.map(|path| path.file_stem().unwrap().to_owned());
        let beside = Path::new(env!("CARGO_BIN_EXE_daemontools-rs-nss"));
        let more = [built, beside].map(|file| file.file_name().unwrap().to_owned());
        for name in names.chain(more) {
            let is_beside = beside.file_name() == Some(&name);
            let file = if is_beside { beside } else { built };
            // By rename: another run of the tests may be at work.
            let new = directory.join(format!(".{}", std::process::id()));
            let _ = fs::remove_file(&new);
            fs::hard_link(file, &new).unwrap();
            fs::rename(&new, directory.join(name)).unwrap();
            let _ = fs::remove_file(&new);
        }
        directory
    })
}

/// Our programs linked as `make build` links them; None if that cannot be had, for
/// [`skip_unless`] has said why. `make static` builds them, outside of the tests.
pub(crate) fn linked_statically(test: &str) -> Option<&'static Path> {
    let directory = Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/static"));
    static IS_CURRENT: OnceLock<bool> = OnceLock::new();
    skip_unless(test, cfg!(target_env = "gnu"), "no glibc").then(|| {
        assert!(
            *IS_CURRENT.get_or_init(|| is_current(&directory.join("built"))),
            "{} is missing or older than the sources: run `make static`, or all tests by `make test`",
            directory.display()
        );
        directory
    })
}

/// Whether no source of the programs is newer than the file `built`.
fn is_current(built: &Path) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let Ok(built) = changed(built) else {
        return false;
    };
    let sources = ["src", "Cargo.toml", "Cargo.lock", "Makefile"];
    let mut waiting = sources.map(|name| root.join(name)).to_vec();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(path).unwrap();
            waiting.extend(entries.map(|entry| entry.unwrap().path()));
        } else if changed(&path).unwrap() > built {
            return false;
        }
    }
    true
}

/// Whether the programs `needed` (by PATH) are all there. If not, says which
/// test is skipped for it; where REQUIRE_ALL_TESTS is set, that is a failure.
pub(crate) fn has(test: &str, needed: &[&str]) -> bool {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let missing: Vec<&str> = needed
        .iter()
        .filter(|program| {
            !path
                .split(':')
                .any(|dir| Path::new(dir).join(program).exists())
        })
        .copied()
        .collect();
    skip_unless(
        test,
        missing.is_empty(),
        &format!("not installed: {missing:?}"),
    )
}

/// Whether the tests run as root; if not, as [`has`].
pub(crate) fn is_root(test: &str) -> bool {
    skip_unless(test, unsafe_free_uid() == 0, "needs root")
}

/// Whether `holds`; if not, as [`has`], saying `why`.
pub(crate) fn skip_unless(test: &str, holds: bool, why: &str) -> bool {
    if !holds {
        assert!(
            std::env::var_os("REQUIRE_ALL_TESTS").is_none(),
            "{test} cannot run: {why}"
        );
        // Not eprintln: that would be shown for tests that fail only.
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
    }
    holds
}

pub(crate) fn unsafe_free_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid()
}

/// What a program left.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// Its stdout.
    pub(crate) out: Vec<u8>,
    /// Its stderr.
    pub(crate) err: Vec<u8>,
    /// Its exit code; 1000 + the signal that killed it.
    pub(crate) code: i32,
}

impl Output {
    /// Its stdout as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Its stderr as text.
    pub(crate) fn errors(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }
}

impl Output {
    /// Why `program` failed on `service`: what its one line on stderr says
    /// behind `PROGRAM: fatal: SERVICE: `.
    pub(crate) fn failure(&self, program: &str, service: &str) -> String {
        let errors = self.errors();
        let start = format!("{program}: fatal: {service}: ");
        let said = errors
            .strip_prefix(&start)
            .unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(said.matches('\n').count(), 1, "{self:?}");
        said.trim_end().to_owned()
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (out, err) = (self.text(), self.errors());
        write!(f, "[code {}]\n--out\n{out}--err\n{err}", self.code)
    }
}

/// Started by nohup, or in the background by a shell, the tests ignore signals
/// that they are to send to services. A handler is as good as that for the tests,
/// and leaves the programs they start with the default.
fn hand_on_no_ignored_signals() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.split("SigIgn:").nth(1).unwrap();
    let ignored = ignored.split_ascii_whitespace().next().unwrap();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    extern "C" fn nothing(_: i32) {}
    for caught in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        if ignored & (1 << (caught as i32 - 1)) != 0 {
            #[allow(unsafe_code, reason = "a handler may do what is not safe")]
            // SAFETY: this one does nothing.
            unsafe { nix::sys::signal::signal(caught, SigHandler::Handler(nothing)) }.unwrap();
        }
    }
}

/// A directory of its own for one test. When it goes, so does every process
/// that was started through it, and every child of those.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes it.
    pub(crate) fn new() -> Scratch {
        static SIGNALS: Once = Once::new();
        SIGNALS.call_once(hand_on_no_ignored_signals);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Not below the checkout: that may be closed to the accounts of daemons.
        let name = format!("daemontools-rs-{}-{count}", std::process::id());
        let path = std::env::temp_dir().canonicalize().unwrap().join(name);
        fs::create_dir(&path).unwrap();
        Scratch { path }
    }

    /// Its path; absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in it.
    pub(crate) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Makes `name` with these contents.
    pub(crate) fn write(&self, name: impl AsRef<Path>, contents: impl AsRef<[u8]>) {
        fs::write(self.at(name), contents).unwrap();
    }

    /// Makes the directory `name` and those above it.
    pub(crate) fn mkdir(&self, name: impl AsRef<Path>) {
        fs::create_dir_all(self.at(name)).unwrap();
    }

    /// Makes an executable shell script. Another program writes it: what this
    /// one, with its many threads, has open for writing at a fork could not be
    /// executed (ETXTBSY) until the child has become another program.
    pub(crate) fn script(&self, name: impl AsRef<Path>, body: &str) {
        self.executable(name, format!("#!/bin/sh\n{body}\n"));
    }

    /// As [`Scratch::script`], with these contents whole.
    pub(crate) fn executable(&self, name: impl AsRef<Path>, contents: impl AsRef<[u8]>) {
        let mut install = Command::new("install")
            .args(["-m", "755", "/dev/stdin"])
            .arg(self.at(name))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = install.stdin.take().unwrap();
        stdin.write_all(contents.as_ref()).unwrap();
        drop(stdin);
        assert!(install.wait().unwrap().success());
    }

    /// Makes the service directory `name` whose `run` is this shell script.
    pub(crate) fn service(&self, name: impl AsRef<Path>, run: &str) {
        self.mkdir(&name);
        self.script(name.as_ref().join("run"), run);
    }

    /// A command to be run in this directory, marked as belonging to it, with
    /// no input and the reference's programs not in its way: PATH is that of
    /// `suite` first.
    pub(crate) fn command(&self, suite: Suite, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = format!(
            "{}:/usr/sbin:/usr/bin:/sbin:/bin",
            suite.directory().display()
        );
        command
            .current_dir(&self.path)
            .env("PATH", path)
            .env(MARK, &self.path)
            .env_remove("SVDIR")
            .stdin(Stdio::null());
        if suite == Suite::Static {
            // Of cargo's; with it setuidgid and envuidgid do not trust their own eyes.
            command.env_remove("LD_LIBRARY_PATH");
        }
        command
    }

    /// Runs a program of `suite` to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        suite: Suite,
        program: &str,
        arguments: &[S],
    ) -> Output {
        let mut command = self.command(suite, suite.program(program));
        command.args(arguments);
        finish(command)
    }

    /// Starts a program of `suite` that is to go on; its stdout and stderr go
    /// to the files `NAME.out` and `NAME.err` here.
    pub(crate) fn daemon<S: AsRef<OsStr>>(
        &self,
        suite: Suite,
        program: &str,
        arguments: &[S],
        name: &str,
    ) -> Daemon {
        let mut command = self.command(suite, suite.program(program));
        command.args(arguments);
        self.start(command, name)
    }

    /// As [`Scratch::daemon`], for any command.
    pub(crate) fn start(&self, mut command: Command, name: &str) -> Daemon {
        let file = |end| fs::File::create(self.at(format!("{name}.{end}"))).unwrap();
        command.stdout(file("out")).stderr(file("err"));
        Daemon(command.spawn().unwrap())
    }

    /// Starts our svscan over the directory `service` here.
    pub(crate) fn svscan(&self) -> Daemon {
        self.mkdir("service");
        self.daemon(Suite::Ours, "svscan", &["service"], "svscan")
    }

    /// Puts the service directory `name` into `service`, as a symbolic link.
    pub(crate) fn link(&self, name: &str) {
        let target = Path::new("..").join(name);
        std::os::unix::fs::symlink(target, self.at("service").join(name)).unwrap();
    }

    /// A command that runs a shell script with our programs where the kernel
    /// gives no inotify; None, having said why, if that cannot be had here.
    pub(crate) fn without_inotify(&self, test: &str, script: &str) -> Option<Command> {
        self.with_little_inotify(test, ("instances", "0"), script)
    }

    /// The same where the user may have so many `instances` or `watches` of it.
    pub(crate) fn with_little_inotify(
        &self,
        test: &str,
        (what, number): (&str, &str),
        script: &str,
    ) -> Option<Command> {
        let forbid = format!("echo {number} > /proc/sys/user/max_inotify_{what}");
        let shell = |script: &str| {
            let mut command = self.command(Suite::Ours, "unshare");
            command.args(["-Ur", "sh", "-c", script]);
            command
        };
        let can = has(test, &["unshare"]) && finish(shell(&forbid)).code == 0;
        skip_unless(test, can, "no user namespaces here")
            .then(|| shell(&format!("{forbid}; {script}")))
    }

    /// The text of a file here; empty if it is not there.
    pub(crate) fn read(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8_lossy(&fs::read(self.at(name)).unwrap_or_default()).into_owned()
    }

    /// Waits until the supervise of the service `name` here is ready for commands.
    pub(crate) fn wait_supervised(&self, name: &str) {
        wait_until(&format!("{name} is supervised"), || {
            self.run(Suite::Ours, "svok", &[name]).code == 0
        });
    }

    /// What our svstat says of `name`, without the name.
    pub(crate) fn svstat(&self, name: &str) -> String {
        let said = self.run(Suite::Ours, "svstat", &[name]).text();
        said.trim_end()
            .split_once(": ")
            .unwrap_or_default()
            .1
            .to_owned()
    }

    /// Waits until the service `name` is up and gives its pid.
    pub(crate) fn wait_up(&self, name: &str) -> u32 {
        let mut pid = None;
        wait_until(&format!("{name} is up"), || {
            pid = self.pid(name);
            pid.is_some()
        });
        pid.unwrap()
    }

    /// Waits until the service `name` is down.
    pub(crate) fn wait_down(&self, name: &str) {
        wait_until(&format!("{name} is down"), || {
            self.svstat(name).starts_with("down")
        });
    }

    /// The pid of the service `name`, if it is up, from its status file.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        let status = fs::read(self.at(name).join("supervise/status")).ok()?;
        let pid = u32::from_le_bytes(status.get(12..16)?.try_into().unwrap());
        (pid != 0).then_some(pid)
    }

    /// The value of `key` in the record of the service `name`, if it has one.
    pub(crate) fn state(&self, name: &str, key: &str) -> Option<String> {
        let text = self.read(Path::new(name).join("supervise/state"));
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        value.map(str::to_owned)
    }

    /// Waits until one of svcstart and its kin is at work on the service `name`: it has
    /// the lock.
    pub(crate) fn wait_at_work(&self, name: &str) {
        wait_until(&format!("a command is at work on {name}"), || {
            let control = fs::metadata(self.at(name).join("supervise/control"));
            let inode = control.map_or(0, |control| control.ino());
            let inode = format!(":{inode} ");
            let is_its = |line: &str| line.contains("FLOCK") && line.contains(&inode);
            let locks = fs::read_to_string("/proc/locks").unwrap();
            locks.lines().any(is_its)
        });
    }

    /// The processes that were started through this directory and still run.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mark = [MARK.as_bytes(), b"=", self.path.as_os_str().as_bytes()].concat();
        let numbers = fs::read_dir("/proc").unwrap().flatten();
        numbers
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environment
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == mark)
            })
            .collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = self.processes();
            if left.is_empty() || Instant::now() > deadline {
                break;
            }
            for pid in left {
                signal(pid, "KILL");
            }
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Sends a signal by name; a process that is gone does not mind.
pub(crate) fn signal(pid: u32, name: &str) {
    let _ = Command::new("/bin/kill")
        .args(["-s", name, "--", &pid.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Whether there is a process `pid` that is no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .is_some_and(|state| state != "Z" && state != "X")
}

/// A program that runs until its end is waited for; killed and reaped on drop.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits for its end; the code as in [`Output::code`].
    pub(crate) fn wait(&mut self) -> i32 {
        let mut code = None;
        wait_until("the program ends", || {
            code = self.0.try_wait().unwrap();
            code.is_some()
        });
        exit_code(code.unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn exit_code(status: std::process::ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 1000 + status.signal().unwrap_or_default())
}

/// Runs `command` to its end, with a deadline, and gives what it left.
pub(crate) fn finish(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let pid = child.id();
    let code = std::thread::scope(|scope| {
        scope.spawn(|| stdout.read_to_end(&mut out).unwrap());
        scope.spawn(|| stderr.read_to_end(&mut err).unwrap());
        let code = scope.spawn(move || exit_code(child.wait().unwrap()));
        let deadline = Instant::now() + 2 * DEADLINE;
        while !code.is_finished() {
            if Instant::now() > deadline {
                signal(pid, "KILL");
            }
            pause();
        }
        code.join().unwrap()
    });
    Output { out, err, code }
}

/// Does `work` to each of `items`, `workers` of them at a time.
pub(crate) fn each<T: Sync>(workers: usize, items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

/// A moment between two looks at something that cannot be waited for.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(2));
}

/// Looks again and again until `condition` holds; after the deadline it panics,
/// saying `what` did not come.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        pause();
    }
}

/// Makes `command` start with the given argv\[0\].
pub(crate) fn called(command: &mut Command, name: &str) {
    command.arg0(name);
}
