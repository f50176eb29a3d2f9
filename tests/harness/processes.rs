//! What the kernel shows of processes.

use super::{is_alive, wait_until};
use std::collections::BTreeSet;
use std::fs;

/// The fields of `/proc/PID/stat` from the third on; none if it is gone.
pub(crate) fn stat(pid: u32) -> Vec<String> {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let stat = String::from_utf8_lossy(&stat).into_owned();
    let rest = stat.rsplit_once(')').unwrap_or_default().1;
    rest.split_ascii_whitespace().map(str::to_owned).collect()
}

/// The pids of the children of `parent`, zombies among them.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).get(1) == Some(&parent.to_string()))
        .collect()
}

/// The processor time that `pid` has used, in hundredths of a second.
pub(crate) fn cpu(pid: u32) -> u64 {
    let number = |place: usize| stat(pid)[place].parse::<u64>().unwrap();
    number(11) + number(12)
}

/// How often `pid` has gone to sleep.
pub(crate) fn sleeps(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_"));
    let number = line.unwrap().split_ascii_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

/// The open descriptors of `pid`.
pub(crate) fn descriptors(pid: u32) -> BTreeSet<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    entries
        .map(|entry| entry.file_name().to_str().unwrap().parse().unwrap())
        .collect()
}

/// The children of `parent` that are called `name`.
pub(crate) fn children_called(parent: u32, name: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let Some((before, behind)) = stat.rsplit_once(')') else {
                return false;
            };
            // The kernel keeps fifteen bytes of a name.
            before.split_once('(').unwrap().1 == &name[..name.len().min(15)]
                && behind.split_ascii_whitespace().nth(1) == Some(&parent.to_string())
                && is_alive(*pid)
        })
        .collect()
}

/// Waits until `parent` has a child that is called `name`; its pid.
pub(crate) fn wait_child(parent: u32, name: &str) -> u32 {
    let mut found = None;
    wait_until(&format!("{name} runs"), || {
        found = children_called(parent, name).first().copied();
        found.is_some()
    });
    found.unwrap()
}

/// The command line of the process `pid` as the kernel shows it, each word with
/// the 0 behind it.
pub(crate) fn command_line(pid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/cmdline")).unwrap()
}

/// The first word behind `name` in what the kernel says of the process.
pub(crate) fn status_field(pid: u32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let word = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    word.unwrap_or_default().to_owned()
}

/// Whether the process waits and no signal waits for it; or it is stopped.
pub(crate) fn is_asleep(pid: u32) -> bool {
    let undelivered = |name| status_field(pid, name).bytes().any(|digit| digit != b'0');
    match &*status_field(pid, "State:") {
        "T" => true,
        "S" => !undelivered("SigPnd:") && !undelivered("ShdPnd:"),
        _ => false,
    }
}
