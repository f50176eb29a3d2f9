//! Service trees: made, started by one of the scanners, ended with all their
//! processes.

use crate::common::{Limit, ours};
use crate::report::Report;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One scanner.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    scanner: PathBuf,
    arguments: &'static [&'static str],
    /// The name of its per-service supervisor in `ps`.
    supervisor: &'static str,
}

impl Peer {
    /// Ours.
    pub(crate) fn ours() -> Peer {
        Peer {
            name: "ours",
            scanner: ours("svscan"),
            arguments: &[],
            supervisor: "supervise",
        }
    }

    fn other(
        name: &'static str,
        scanner: &str,
        arguments: &'static [&'static str],
        supervisor: &'static str,
    ) -> Peer {
        Peer {
            name,
            scanner: scanner.into(),
            arguments,
            supervisor,
        }
    }
}

/// Ours first, then those that are installed.
pub(crate) fn peers(report: &mut Report) -> Vec<Peer> {
    // s6 looks for new directories only when asked to: here every 5 s, as the others;
    // and it takes 500 services unless told otherwise.
    let often = &["-t", "5000", "-c", "2000"];
    let mut peers = vec![
        Peer::ours(),
        Peer::other("daemontools", "/usr/bin/svscan", &[], "supervise"),
        Peer::other("runit", "/usr/bin/runsvdir", &[], "runsv"),
        Peer::other("s6", "/usr/bin/s6-svscan", often, "s6-supervise"),
    ];
    peers.retain(|peer| report.has(&peer.scanner));
    peers
}

/// Service directories in a directory of their own, gone on drop, and all processes
/// that were started here with them.
pub(crate) struct Tree {
    root: PathBuf,
    /// Each first command writes a line here.
    marks: File,
    /// Services read from this for ever.
    _hold: File,
    scanner: Option<(Child, &'static str)>,
}

impl Tree {
    /// Makes `services` of them below `place`.
    pub(crate) fn new(place: &Path, services: usize) -> Tree {
        // What a scanner leaves becomes this process's, to be ended.
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        let root = place.join(format!("daemontools-rs-bench-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("tree")).unwrap();
        let fifo = |name: &str| {
            let path = root.join(name);
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap()
        };
        let (marks, hold) = (fifo("marks"), fifo("hold"));
        let size = nix::fcntl::FcntlArg::F_SETPIPE_SZ(1 << 20);
        let _ = nix::fcntl::fcntl(&marks, size);
        let tree = Tree {
            root,
            marks,
            _hold: hold,
            scanner: None,
        };
        for number in 0..services {
            tree.service(&tree.root.join("tree"), &format!("s{number}"));
        }
        tree
    }

    /// Makes the service `name` in `place`: its first command says so, HUP has it say
    /// so again, and what follows costs nothing.
    fn service(&self, place: &Path, name: &str) {
        let root = self.root.display();
        let script = format!(
            "#!/bin/sh\ntrap 'echo >{root}/marks' HUP\necho >{root}/marks\n\
             while :; do read -r x <{root}/hold; done\n"
        );
        let directory = place.join(name);
        fs::create_dir_all(&directory).unwrap();
        let run = directory.join("run");
        fs::write(&run, script).unwrap();
        fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Links a new service, which stands elsewhere, into the tree.
    pub(crate) fn link(&self, number: usize) {
        let name = format!("linked{number}");
        self.service(&self.root.join("away"), &name);
        let entry = self.root.join("tree").join(&name);
        std::os::unix::fs::symlink(self.root.join("away").join(&name), entry).unwrap();
    }

    /// Renames a new service into the tree, and says how long it took to its first
    /// command.
    pub(crate) fn add(&mut self) -> Duration {
        self.service(&self.root.join("new"), "fresh");
        let begun = Instant::now();
        fs::rename(self.root.join("new/fresh"), self.root.join("tree/fresh")).unwrap();
        self.wait(1);
        begun.elapsed()
    }

    /// Waits for so many first commands.
    pub(crate) fn wait(&mut self, marks: usize) {
        let _limit = Limit::new(format!("{marks} first commands"));
        let mut left = marks;
        let mut buffer = [0; 4096];
        while left > 0 {
            left -= self.marks.read(&mut buffer).unwrap();
        }
    }

    /// Starts the scanner and says how long it took to the last first command.
    pub(crate) fn boot(&mut self, peer: &Peer) -> Duration {
        let services = self.services().len();
        let begun = Instant::now();
        let directory = peer.scanner.parent().unwrap().display();
        let child = Command::new(&peer.scanner)
            .args(peer.arguments)
            .arg(self.root.join("tree"))
            .env("PATH", format!("{directory}:/usr/bin:/bin"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.scanner = Some((child, peer.supervisor));
        self.wait(services);
        begun.elapsed()
    }

    /// The same for a loop that starts them and supervises nothing.
    pub(crate) fn floor(&mut self) -> Duration {
        let services = self.services().len();
        let begun = Instant::now();
        let child = Command::new("/bin/sh")
            .args([
                "-c",
                "for d in *; do (cd \"$d\" && exec ./run) & done; wait",
            ])
            .current_dir(self.root.join("tree"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.scanner = Some((child, ""));
        self.wait(services);
        begun.elapsed()
    }

    /// The service directories.
    pub(crate) fn services(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.join("tree")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.'))
            .collect()
    }

    /// The scanner's process.
    pub(crate) fn scanner(&self) -> Pid {
        pid(&self.scanner.as_ref().unwrap().0)
    }

    /// The supervisors.
    pub(crate) fn supervisors(&self) -> Vec<Pid> {
        let (scanner, name) = self.scanner.as_ref().unwrap();
        children(pid(scanner), name)
    }

    /// Ends all processes, the scanner first, so that it starts nothing again.
    pub(crate) fn end(&mut self) {
        if let Some((mut scanner, _)) = self.scanner.take() {
            let _limit = Limit::new("the end of a scanner");
            let _ = scanner.kill();
            let _ = scanner.wait();
        }
        end_orphans();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.end();
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// Kills every child of this process, and what becomes its child by that.
pub(crate) fn end_orphans() {
    loop {
        let orphans = children(Pid::this(), "");
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans {
            let _ = kill(orphan, Signal::SIGKILL);
        }
        reap_for(Duration::from_millis(5));
    }
}

/// Reaps what has ended, and waits so long for more to do so; gives how many.
pub(crate) fn reap_for(pause: Duration) -> usize {
    let mut count = 0;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(_) => break,
            Ok(_) => count += 1,
        }
    }
    std::thread::park_timeout(pause);
    count
}

/// The children of `parent` whose name begins with `name`.
pub(crate) fn children(parent: Pid, name: &str) -> Vec<Pid> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let list = fs::read_to_string(path).unwrap_or_default();
    let pids = list
        .split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok());
    pids.filter(|pid: &i32| {
        name.is_empty()
            || fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|comm| comm.starts_with(name))
    })
    .map(Pid::from_raw)
    .collect()
}

/// The private memory of a process, in KiB: `Private_*` of smaps_rollup.
pub(crate) fn private_kib(pid: Pid) -> f64 {
    let used = sum(&format!("/proc/{pid}/smaps_rollup"), "Private_");
    assert!(used > 0.0, "the memory of {pid} cannot be read");
    used
}

/// How often a process has been given a processor, and has left it again.
pub(crate) fn switches(pid: Pid) -> f64 {
    let path = format!("/proc/{pid}/status");
    sum(&path, "voluntary_ctxt") + sum(&path, "nonvoluntary_ctxt")
}

/// The sum of the numbers of those lines of a file that begin with `start`.
fn sum(path: &str, start: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines = text.lines().filter(|line| line.starts_with(start));
    let numbers =
        lines.filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse::<f64>().ok());
    let numbers: Vec<f64> = numbers.collect();
    assert!(!numbers.is_empty(), "{path} has no {start}");
    numbers.iter().sum()
}
