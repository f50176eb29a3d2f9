//! envuidgid: the forms of an account beyond 0.76, and an odd environment.

use crate::harness::{Scratch, Suite};

#[test]
fn numbers_and_a_group_can_be_given_where_there_is_no_such_account() {
    let scratch = Scratch::new();
    for (account, expected) in [
        ("daemon:adm", "1 4\n"),
        ("daemon:77", "1 77\n"),
        (":88:99", "88 99\n"),
        ("88:99", "88 99\n"),
    ] {
        let output = scratch.run(
            Suite::Static,
            "envuidgid",
            &[account, "sh", "-c", "echo $UID $GID"],
        );
        assert_eq!(output.text(), expected, "{output:?}");
    }
    let output = scratch.run(Suite::Static, "envuidgid", &[":88", "echo", "ran"]);
    assert_eq!(output.errors(), "envuidgid: fatal: unknown account :88\n");
    assert_eq!(output.code, 111);
}
