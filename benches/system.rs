//! Our svscan beside those of daemontools, runit and s6, in turn, on the same
//! service directories, in one run. `benches/README.md` says what is measured.

use crate::common::{median, number, ours};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing that is waited for takes longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// One scanner.
struct Peer {
    name: &'static str,
    scanner: PathBuf,
    arguments: &'static [&'static str],
    /// The name of its per-service supervisor in `ps`.
    supervisor: &'static str,
}

fn peers() -> Vec<Peer> {
    let ours = ours("svscan");
    let all = [
        ("ours", ours, &[] as &[_], "supervise"),
        ("daemontools", "/usr/bin/svscan".into(), &[], "supervise"),
        ("runit", "/usr/bin/runsvdir".into(), &[], "runsv"),
        // s6 looks for new directories only when asked to: here every 5 s, as the others.
        (
            "s6",
            "/usr/bin/s6-svscan".into(),
            &["-t", "5000"],
            "s6-supervise",
        ),
    ];
    let (there, missing): (Vec<_>, Vec<_>) = all
        .into_iter()
        .map(|(name, scanner, arguments, supervisor)| Peer {
            name,
            scanner,
            arguments,
            supervisor,
        })
        .partition(|peer| peer.scanner.exists());
    for peer in missing {
        println!("left out: {} (not installed)", peer.name);
    }
    there
}

/// A running tree: ended, with all its processes, on drop.
struct Tree {
    root: PathBuf,
    scanner: Child,
    supervisor: &'static str,
}

impl Tree {
    fn start(peer: &Peer, services: usize) -> (Tree, Duration) {
        let root = std::env::temp_dir().join(format!("bench-{}-{}", std::process::id(), peer.name));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("started")).unwrap();
        for number in 0..services {
            service(&root, &root.join("tree"), &format!("s{number}"));
        }
        let begun = Instant::now();
        let scanner = Command::new(&peer.scanner)
            .args(peer.arguments)
            .arg(root.join("tree"))
            .env("PATH", path_of(peer))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let tree = Tree {
            root,
            scanner,
            supervisor: peer.supervisor,
        };
        wait(|| tree.started() == services);
        (tree, begun.elapsed())
    }

    /// How many services have run their first command.
    fn started(&self) -> usize {
        fs::read_dir(self.root.join("started")).unwrap().count()
    }

    fn mark(&self, name: &str) -> PathBuf {
        self.root.join("started").join(name)
    }

    /// From the rename of a directory into the tree to its first command.
    fn add(&self) -> Duration {
        service(&self.root, &self.root.join("new"), "fresh");
        let begun = Instant::now();
        fs::rename(self.root.join("new/fresh"), self.root.join("tree/fresh")).unwrap();
        wait(|| self.mark("fresh").exists());
        begun.elapsed()
    }

    /// From KILL of a service that has run for over a second to the next one's first command.
    fn restart(&self) -> Duration {
        let mark = self.mark("s0");
        let pid: u32 = fs::read_to_string(&mark).unwrap().trim().parse().unwrap();
        wait(|| age(pid) > Duration::from_millis(1500));
        fs::remove_file(&mark).unwrap();
        let begun = Instant::now();
        kill("KILL", pid);
        wait(|| mark.exists());
        begun.elapsed()
    }

    /// Mean private memory of the supervisors, in KiB.
    fn memory(&self) -> f64 {
        let pids = children(self.scanner.id(), self.supervisor);
        let total: f64 = pids.iter().map(|pid| private_kib(*pid)).sum();
        total / pids.len() as f64
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // The scanner first, so that it starts nothing again; then each
        // supervisor, then its service.
        let supervisors = children(self.scanner.id(), self.supervisor);
        let services: Vec<u32> = supervisors
            .iter()
            .flat_map(|pid| children(*pid, ""))
            .collect();
        let _ = self.scanner.kill();
        let _ = self.scanner.wait();
        for pid in supervisors.into_iter().chain(services) {
            kill("KILL", pid);
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn path_of(peer: &Peer) -> String {
    let directory = peer.scanner.parent().unwrap().display();
    format!("{directory}:/usr/bin:/bin")
}

/// Makes the service `name` in `place`; its first command leaves its pid in `started`.
fn service(root: &Path, place: &Path, name: &str) {
    let directory = place.join(name);
    fs::create_dir_all(&directory).unwrap();
    let mark = root.join("started").join(name);
    let run = directory.join("run");
    fs::write(
        &run,
        format!(
            "#!/bin/sh\necho $$ >{}\nexec sleep 100000\n",
            mark.display()
        ),
    )
    .unwrap();
    fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
}

fn wait(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "waited in vain");
        std::thread::park_timeout(Duration::from_micros(200));
    }
}

fn kill(signal: &str, pid: u32) {
    let _ = Command::new("/bin/kill")
        .args(["-s", signal, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// The children of `parent` whose name begins with `name`.
fn children(parent: u32, name: &str) -> Vec<u32> {
    let list =
        fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    list.split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with(name))
        })
        .collect()
}

fn age(pid: u32) -> Duration {
    fs::metadata(format!("/proc/{pid}/stat"))
        .and_then(|stat| stat.modified())
        .ok()
        .and_then(|since| since.elapsed().ok())
        .unwrap_or_default()
}

fn private_kib(pid: u32) -> f64 {
    fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .unwrap_or_default()
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse::<f64>().ok())
        .sum()
}

pub(crate) fn run() {
    let (services, rounds) = (number("BENCH_SERVICES", 200), number("BENCH_ROUNDS", 5));
    let peers = peers();
    let figures = ["boot ms", "new directory ms", "restart ms", "memory KiB"];
    let mut results = vec![vec![Vec::new(); figures.len()]; peers.len()];
    for _ in 0..rounds {
        for (peer, results) in peers.iter().zip(&mut results) {
            let (tree, boot) = Tree::start(peer, services);
            let memory = tree.memory();
            let (restart, add) = (tree.restart(), tree.add());
            let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
            let round = [
                milliseconds(boot),
                milliseconds(add),
                milliseconds(restart),
                memory,
            ];
            for (result, figure) in results.iter_mut().zip(round) {
                result.push(figure);
            }
        }
    }
    println!("{services} services, medians of {rounds} rounds; the ratio is ours to the best peer");
    print!("{:18}", "");
    for peer in &peers {
        print!("{:>13}", peer.name);
    }
    println!("{:>8}", "ratio");
    for (row, figure) in figures.iter().enumerate() {
        let medians: Vec<f64> = results
            .iter()
            .map(|results| median(&results[row]))
            .collect();
        print!("{figure:18}");
        for median in &medians {
            print!("{median:13.1}");
        }
        let best = medians[1..].iter().copied().fold(f64::INFINITY, f64::min);
        println!("{:8.2}", medians[0] / best);
    }
}
