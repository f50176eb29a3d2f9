//! pgrphack: what it starts is out of reach of its starter's group.

use crate::harness::{Scratch, Suite, is_alive, signal, wait_until};

#[test]
fn a_signal_to_the_starters_group_does_not_reach_it() {
    let scratch = Scratch::new();
    let script = "sh -c 'echo $$ > plain; exec sleep 1000' & \
                  pgrphack sh -c 'echo $$ > apart; exec sleep 1000' & \
                  echo $$ > starter; wait";
    // The starter leads a group of its own: pgrphack makes it so.
    let _starter = scratch.daemon(Suite::Ours, "pgrphack", &["sh", "-c", script], "starter");
    let pid = |name: &str| -> Option<u32> {
        std::fs::read_to_string(scratch.at(name))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    wait_until("all run", || {
        ["plain", "apart", "starter"]
            .iter()
            .all(|name| pid(name).is_some())
    });
    let group = pid("starter").unwrap();
    let kill = std::process::Command::new("kill")
        .args(["-KILL", "--", &format!("-{group}")])
        .status();
    assert!(kill.unwrap().success());
    wait_until("its group is gone", || !is_alive(pid("plain").unwrap()));
    assert!(is_alive(pid("apart").unwrap()));
    signal(pid("apart").unwrap(), "KILL");
}
