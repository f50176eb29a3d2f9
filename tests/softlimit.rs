//! softlimit: limits so tight that becoming the next program is all that works.

use crate::harness::{Scratch, Suite, finish};

#[test]
fn under_the_tightest_limits_it_still_becomes_the_next_program() {
    let scratch = Scratch::new();
    // A program that cannot run so says so by a signal; what must not come is an
    // error of ours.
    let large = "x".repeat(100_000);
    for limits in [
        &["-a", "0"][..],
        &["-d", "0"],
        &["-m", "0"],
        &["-s", "0"],
        &["-o", "0"],
    ] {
        let arguments = [limits, &["true", &large]].concat();
        let mut command = scratch.command(Suite::Ours, Suite::Ours.program("softlimit"));
        command.args(&arguments).env("LARGE", "y".repeat(100_000));
        let output = finish(command);
        let errors = output.errors();
        assert!(
            !errors.contains("memory allocation"),
            "{limits:?}: {errors}"
        );
        assert!(
            !errors.contains("softlimit") || errors.contains("list too long"),
            "{limits:?}: {errors}"
        );
    }
}

#[test]
fn a_hard_limit_never_changes() {
    let scratch = Scratch::new();
    let script = "ulimit -Hn; softlimit -o 5 -o = -o 99999999999999 sh -c 'ulimit -Hn'";
    let output = scratch.run(Suite::Ours, "softlimit", &["-o", "100", "sh", "-c", script]);
    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{output:?}");
    assert_eq!(lines[0], lines[1]);
}

#[test]
fn the_word_of_an_option_may_be_any_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new();
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("softlimit"));
    command
        .arg(std::ffi::OsStr::from_bytes(b"-m\xff"))
        .arg("true");
    let output = finish(command);
    assert!(
        output
            .errors()
            .starts_with("softlimit: usage: softlimit [-a allbytes]")
    );
    assert_eq!(output.code, 100);
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("softlimit"));
    command
        .arg(std::ffi::OsStr::from_bytes(b"-\xff"))
        .arg("true");
    let output = finish(command);
    assert!(
        output
            .err
            .starts_with(b"softlimit: illegal option -- \xff\n")
    );
}
