//! What must be there before anything is measured: a page on which somebody is missing
//! looks as if there were nothing to tell.

use std::path::Path;
use std::process::Command;

/// The programs of others that are measured, all in `/usr/bin`, by their Debian package.
const PACKAGES: [(&str, &[&str]); 4] = [
    (
        "daemontools",
        &[
            "svscan",
            "supervise",
            "svc",
            "svstat",
            "multilog",
            "tai64n",
            "tai64nlocal",
            "softlimit",
            "envdir",
            "setlock",
            "pgrphack",
            "fghack",
            "envuidgid",
            "setuidgid",
        ],
    ),
    ("runit", &["runsvdir", "runsv", "sv", "svlogd", "chpst"]),
    (
        "s6",
        &[
            "s6-svscan",
            "s6-supervise",
            "s6-svc",
            "s6-svstat",
            "s6-log",
            "s6-softlimit",
            "s6-envdir",
            "s6-setlock",
            "s6-setsid",
            "s6-fghack",
            "s6-envuidgid",
            "s6-setuidgid",
        ],
    ),
    ("valgrind", &["valgrind"]),
];

/// # Errors
/// What a whole run cannot do without, and does not find.
pub(crate) fn all_there() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("a whole run needs root: setuidgid is measured".to_owned());
    }
    for (package, program) in programs() {
        if !Path::new(&program).exists() {
            return Err(format!("{program} is missing (Debian package {package})"));
        }
    }
    Ok(())
}

/// Whether those that are there are the packages' own: who has installed ours in their
/// place would see ours beside ours.
///
/// # Errors
/// The first that is not.
pub(crate) fn all_theirs() -> Result<(), String> {
    for (package, program) in programs() {
        let said = |tool: &str, word: &str| {
            let output = Command::new(tool).args([word, package]).output();
            let text = output.map(|output| output.stdout).unwrap_or_default();
            String::from_utf8_lossy(&text).into_owned()
        };
        let is_its = || said("dpkg-query", "-L").lines().any(|line| line == program);
        let is_changed = || {
            let changed = said("dpkg", "--verify");
            changed.lines().any(|line| line.ends_with(&program))
        };
        if Path::new(&program).exists() && (!is_its() || is_changed()) {
            return Err(format!(
                "{program} is not that of Debian's package {package}"
            ));
        }
    }
    Ok(())
}

/// Each program by its path, behind its package.
fn programs() -> impl Iterator<Item = (&'static str, String)> {
    PACKAGES.iter().flat_map(|(package, programs)| {
        let paths = programs.iter().map(|program| format!("/usr/bin/{program}"));
        paths.map(move |path| (*package, path))
    })
}
