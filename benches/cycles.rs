//! Instructions, counted by valgrind's callgrind: the same on every machine that runs
//! the same programs, so that a later change can be compared.

use crate::common::{Limit, Scratch, ours};
use crate::report::Report;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) fn run(report: &mut Report) {
    if !report.has(Path::new("/usr/bin/valgrind")) {
        return;
    }
    let scratch = Scratch::new();
    let here = scratch.0.as_path();
    let service = here.join("s");
    fs::create_dir(&service).unwrap();
    let svc = ours("svc");
    let script = format!("#!/bin/sh\nexec {} -dx .\n", svc.display());
    fs::write(service.join("run"), script).unwrap();
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(service.join("run"), executable).unwrap();
    let mut table = String::from("| what | instructions |\n|---|---|\n");
    let mut row = |what: &str, count: u64| {
        let _ = writeln!(table, "| {what} | {count} |");
    };
    let supervise = ours("supervise");
    let theirs = Path::new("/usr/bin/supervise");
    // Twice: the first makes what the others find.
    count(here, &supervise, &["s"], "");
    row(
        "supervise: from its start, through one start of a service, to its end by `x`",
        count(here, &supervise, &["s"], ""),
    );
    if report.has(theirs) {
        row(
            "the same for daemontools' supervise, its libraries' start included",
            count(here, theirs, &["s"], ""),
        );
    }
    // A status as supervise left it, without a supervise: enough for what is counted.
    let running = Command::new(&supervise)
        .arg("t")
        .current_dir({
            fs::create_dir(here.join("t")).unwrap();
            fs::write(here.join("t/run"), "#!/bin/sh\nexec sleep 1000\n").unwrap();
            fs::set_permissions(here.join("t/run"), fs::Permissions::from_mode(0o755)).unwrap();
            here
        })
        .stdin(Stdio::null())
        .spawn();
    let mut running = running.unwrap();
    let up = |times: usize| vec!["t"; times];
    let svstat = ours("svstat");
    let limit = Limit::new("a service that is up");
    while !Command::new(&svstat)
        .arg("t")
        .current_dir(here)
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(": up"))
    {
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    let (few, many) = (
        count(here, &svstat, &up(10), ""),
        count(here, &svstat, &up(110), ""),
    );
    row("svstat: for each service", (many - few) / 100);
    row(
        "svstat: from its start to its end, without the services",
        few - (many - few) / 10,
    );
    if report.has(Path::new("/usr/bin/svstat")) {
        let svstat = Path::new("/usr/bin/svstat");
        let (few, many) = (
            count(here, svstat, &up(10), ""),
            count(here, svstat, &up(110), ""),
        );
        row("daemontools' svstat: for each service", (many - few) / 100);
        row(
            "daemontools' svstat: without the services, its libraries' start included",
            few - (many - few) / 10,
        );
    }
    drop(limit);
    let limit = Limit::new("the end of a supervise");
    assert!(
        Command::new(&svc)
            .args(["-dx", "t"])
            .current_dir(here)
            .status()
            .unwrap()
            .success()
    );
    running.wait().unwrap();
    drop(limit);

    let line =
        "10.0.0.17 - GET /index.html 200 took 12ms, and so on until the line has its bytes\n";
    for (name, lines) in [("short", 10_000), ("long", 60_000)] {
        fs::write(here.join(name), line.repeat(lines)).unwrap();
    }
    let per_line = |program: &Path, words: &[&str]| {
        let long = count(here, program, words, "long");
        (long - count(here, program, words, "short")) / 50_000
    };
    let bytes = line.len();
    for what in [
        "multilog t s16777215 ./log",
        "multilog s16777215 ./log",
        "multilog t '-*' '+*index*' s16777215 ./log",
        "tai64n",
    ] {
        let words = what.replace('\'', "");
        let words: Vec<&str> = words.split(' ').collect();
        let (name, words) = words.split_first().unwrap();
        row(
            &format!("`{what}`: for each line of {bytes} bytes"),
            per_line(&ours(name), words),
        );
        let theirs = Path::new("/usr/bin").join(name);
        if report.has(&theirs) {
            let count = per_line(&theirs, words);
            row(&format!("daemontools' `{what}`: the same"), count);
        }
    }
    report.say("cycles", table);
}

/// How many instructions `program` takes, its children not counted, reading the
/// file `input` through a pipe.
fn count(here: &Path, program: &Path, words: &[&str], input: &str) -> u64 {
    let _limit = Limit::new(format!("{} {words:?} below valgrind", program.display()));
    let _ = fs::remove_dir_all(here.join("log"));
    let mut cat = (!input.is_empty()).then(|| {
        let mut cat = Command::new("cat");
        cat.arg(input)
            .current_dir(here)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    });
    let stdin = cat
        .as_mut()
        .map_or(Stdio::null(), |cat| cat.stdout.take().unwrap().into());
    let output = Command::new("/usr/bin/valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=counted.%p"])
        .arg(program)
        .args(words)
        .current_dir(here)
        .stdin(stdin)
        .stdout(Stdio::null())
        .output()
        .unwrap();
    if let Some(mut cat) = cat {
        cat.wait().unwrap();
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program:?}: {text}");
    // A child says so before it becomes another program; the program itself last.
    let mut counts = text.lines().filter(|line| line.contains("Collected : "));
    let last = counts.next_back().unwrap_or_else(|| panic!("{text}"));
    last.rsplit(' ').next().unwrap().parse().unwrap()
}
