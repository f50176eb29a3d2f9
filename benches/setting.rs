//! What it was measured on, and how large the programs are.

use crate::common::{Scratch, ours};
use crate::report::{Bound, Figure, Report};
use crate::system::{TMPFS, disk};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

pub(crate) fn run(report: &mut Report) {
    let line = |path: &str, start: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let found = text.lines().find(|line| line.starts_with(start));
        found
            .and_then(|line| line.split_once(':'))
            .map_or_else(String::new, |(_, rest)| rest.trim().to_owned())
    };
    let said = |program: &str, words: &[&str]| {
        let output = Command::new(program).args(words).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&text).trim().replace('\n', ", ")
    };
    let peers = said(
        "dpkg-query",
        &[
            "-W",
            "-f",
            "${Package} ${Version}\n",
            "daemontools",
            "runit",
            "s6",
        ],
    );
    // Its name behind the column's.
    let files = |place: &Path| {
        let place = place.to_str().unwrap();
        let said = said("df", &["--output=fstype", place]);
        said.rsplit(' ').next().unwrap().to_owned()
    };
    report.say(
        "setting",
        format!(
            "{}, {} processors ({}), {} of memory, Linux {}; {peers}; trees in memory: {}, \
             on a disk: {}; logs: {}.",
            said("date", &["-u", "+%Y-%m-%d"]),
            said("nproc", &[]),
            line("/proc/cpuinfo", "model name"),
            line("/proc/meminfo", "MemTotal"),
            said("uname", &["-r"]),
            files(Path::new(TMPFS)),
            files(&disk()),
            files(&std::env::temp_dir()),
        ),
    );
    let scratch = Scratch::new();
    let destination = format!("DESTDIR={}", scratch.0.display());
    let built = ours("");
    let install = Command::new("make")
        .args(["-s", "-o", "build", "install", "PREFIX=/usr", &destination])
        .arg(format!("BUILT={}", built.display()))
        .status();
    assert!(install.unwrap().success());
    // Each file once, whatever number of names it has.
    let mut sizes = BTreeMap::new();
    for directory in ["usr/bin", "usr/libexec", "usr/lib"] {
        for entry in fs::read_dir(scratch.0.join(directory))
            .into_iter()
            .flatten()
        {
            let metadata = entry.unwrap().metadata().unwrap();
            if metadata.is_file() {
                sizes.insert(metadata.ino(), metadata.len());
            }
        }
    }
    let bytes: u64 = sizes.values().sum();
    report.add(
        "size",
        Figure::new(
            "all programs together, as `make install` leaves them",
            "MB",
            [("ours", vec![bytes as f64 / 1e6])],
            vec![Bound::AtMost(2.5)],
        ),
    );
}
