const STAYS: &str = "exec sleep 1000";

use crate::harness::{Scratch, Suite};

#[test]
fn a_service_with_a_down_file_is_stopped_and_one_without_started() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    for name in ["a", "b"] {
        scratch.service(name, STAYS);
        scratch.link(name);
        scratch.wait_up(name);
    }
    scratch.write("a/down", "");
    scratch.run(Suite::Ours, "svc", &["-d", "b"]);
    scratch.wait_down("b");
    let output = scratch.run(
        Suite::Ours,
        "svcreset",
        &["--settle", "10ms", "service/a", "service/b"],
    );
    assert_eq!(output.code, 0, "{output:?}");
    // Within a second of its last start the start waits, and a dot may be due.
    assert_eq!(
        output.text().replace('.', ""),
        "Stopping service/a OK\nStarting service/b OK\n"
    );
    assert!(scratch.svstat("a").starts_with("down"));
    assert!(scratch.svstat("b").starts_with("up"));
}

#[test]
fn it_uses_the_scripts() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.script("a/start", "echo started; svc -u .");
    scratch.script("a/stop", "echo stopped; svc -d .");
    scratch.link("a");
    let reset = || scratch.run(Suite::Ours, "svcreset", &["service/a"]).text();
    assert!(reset().contains("\nstarted\n"));
    scratch.write("a/down", "");
    assert!(reset().contains("\nstopped\n"));
    scratch.wait_down("a");
}

#[test]
fn a_down_that_cannot_be_examined_fails_and_changes_nothing() {
    let scratch = Scratch::new();
    let _svscan = scratch.svscan();
    scratch.service("a", STAYS);
    scratch.link("a");
    let pid = scratch.wait_up("a");
    std::os::unix::fs::symlink("down", scratch.at("a/down")).unwrap();
    let output = scratch.run(Suite::Ours, "svcreset", &["service/a"]);
    assert_eq!(output.code, 1);
    assert_eq!(output.text(), "Resetting service/a .FAILED\n");
    assert!(
        output
            .errors()
            .contains("unable to examine down: symbolic link loop")
    );
    assert_eq!(scratch.pid("a"), Some(pid));
}
