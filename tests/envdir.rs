//! envdir: files without an end, and directories that change meanwhile.

use crate::harness::{Scratch, Suite};

#[test]
fn a_file_without_an_end_is_refused_and_does_not_fill_the_memory() {
    let scratch = Scratch::new();
    scratch.mkdir("e");
    std::os::unix::fs::symlink("/dev/zero", scratch.at("e/ENDLESS")).unwrap();
    let script = "ulimit -v 200000; exec envdir e echo ran";
    let mut command = scratch.command(Suite::Ours, "sh");
    command.args(["-c", script]);
    let output = crate::harness::finish(command);
    assert_eq!(
        output.errors(),
        "envdir: fatal: unable to read e/ENDLESS: file too big\n"
    );
    assert_eq!((output.text().as_str(), output.code), ("", 111));
}

#[test]
fn of_a_large_file_only_the_first_line_is_read() {
    let scratch = Scratch::new();
    scratch.mkdir("e");
    let mut large = b"first\n".to_vec();
    large.resize(64 << 20, b'x');
    scratch.write("e/LARGE", large);
    let output = scratch.run(Suite::Ours, "envdir", &["e", "sh", "-c", "echo $LARGE"]);
    assert_eq!(output.text(), "first\n");
}

#[test]
fn many_variables_are_all_set() {
    let scratch = Scratch::new();
    scratch.mkdir("e");
    for number in 0..2000 {
        scratch.write(format!("e/V{number}"), format!("{number}\n"));
    }
    let script = "env | grep -c '^V[0-9]*='; echo $V0 $V1999";
    let output = scratch.run(Suite::Ours, "envdir", &["e", "sh", "-c", script]);
    assert_eq!(output.text(), "2000\n0 1999\n");
}

#[test]
fn a_current_directory_that_may_not_be_read_does_not_matter() {
    let test = "envdir in a closed directory";
    let scratch = Scratch::new();
    let Some(stranger) = crate::harness::Stranger::new(test, &scratch) else {
        return;
    };
    scratch.mkdir("closed/e");
    scratch.write("closed/e/A", "b");
    stranger.owns(&scratch, "closed");
    let mut command = stranger.command(&scratch, "envdir");
    command.args(["e", "sh", "-c", "echo $A"]);
    command.current_dir(scratch.at("closed"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o100);
    std::fs::set_permissions(scratch.at("closed"), mode).unwrap();
    let output = crate::harness::finish(command);
    assert_eq!(output.text(), "b\n", "{output:?}");
}
