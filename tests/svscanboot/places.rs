//! The files in `docs/boot` that start svscanboot, and what its page says of them.

use crate::harness::{Scratch, Suite, World, finish, has, wait_until};
use daemontools_rs::svscanboot::machine::{GRACE, POLL_INTERVAL, REST, STOP};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/boot")
        .join(name)
}

#[test]
fn the_systemd_unit_is_valid() {
    if !has("the_systemd_unit_is_valid", &["systemd-analyze"]) {
        return;
    }
    let scratch = Scratch::new();
    let unit = fs::read_to_string(installed("daemontools-rs.service")).unwrap();
    let place = "/usr/local/bin/svscanboot";
    assert!(unit.contains(&format!("\nExecStart={place}\n")));
    let program = Suite::Ours.program("svscanboot");
    let unit = unit.replace(place, program.to_str().unwrap());
    scratch.write("daemontools-rs.service", unit);
    let mut command = scratch.command(Suite::Ours, "systemd-analyze");
    command.args(["verify", "--man=no", "./daemontools-rs.service"]);
    let left = finish(command);
    assert_eq!((left.code, left.errors().as_str()), (0, ""));
}

#[test]
fn the_pages_say_what_the_files_for_boot_say() {
    let page = fs::read_to_string(installed("../svscanboot.md")).unwrap();
    for name in ["inittab", "daemontools-rs.service", "Dockerfile"] {
        assert!(page.contains(&format!("boot/{name}")), "{name}");
    }
    let inittab = fs::read_to_string(installed("inittab")).unwrap();
    let dockerfile = fs::read_to_string(installed("Dockerfile")).unwrap();
    let unit = fs::read_to_string(installed("daemontools-rs.service")).unwrap();
    assert!(page.contains(inittab.lines().last().unwrap()));
    for line in dockerfile.lines().rev().take(3) {
        assert!(page.contains(&format!("    {line}\n")), "{line}");
    }
    let longest = GRACE + (STOP + GRACE) + (REST + GRACE) + GRACE;
    // Each limit of a service or its log may be seen to be over a look later.
    assert!(longest + 4 * POLL_INTERVAL < Duration::from_secs(100));
    let longest = format!("little more than {} seconds", longest.as_secs());
    assert!(
        page.contains(&longest) && unit.contains(&longest),
        "{longest}"
    );
    for line in ["KillMode=mixed", "TimeoutStopSec=100", "OOMPolicy=continue"] {
        assert!(unit.contains(&format!("\n{line}\n")) && page.contains(line));
    }
}

#[test]
fn the_container_of_the_dockerfile_runs_and_ends() {
    let scratch = Scratch::new();
    let dockerfile = fs::read_to_string(installed("Dockerfile")).unwrap();
    let command = dockerfile.lines().last().unwrap();
    assert_eq!(command, r#"CMD ["/usr/local/bin/svscanboot", "/service"]"#);
    scratch.mkdir("service");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("service-examples/hello");
    let mut copy = Command::new("cp");
    copy.arg("-R").arg(example).arg(scratch.at("service"));
    assert!(copy.status().unwrap().success());
    let Some(mut world) = World::svscanboot("the_container", &scratch) else {
        return;
    };
    let current = scratch.at("service/hello/log/main/current");
    let log = || fs::read_to_string(&current).unwrap_or_default();
    wait_until("it says hello", || log().contains(" hello from pid "));
    assert_eq!(world.end("TERM"), 0);
}
