//! svok: no look-up of names.

use crate::harness::{two_of_a_name, with_svdir};

#[test]
fn no_name_is_looked_up_in_svdir() {
    let scratch = crate::harness::Scratch::new();
    let _supervises = two_of_a_name(&scratch);
    let svok = |here: &str, name: &str| {
        let output = with_svdir(&scratch, here, "svok", &[name]);
        (output.code, output.errors())
    };
    assert_eq!(svok("", "a"), (0, String::new()));
    for (here, name, why) in [
        ("elsewhere", "a", "file does not exist"),
        ("", "b", "not a directory"),
    ] {
        let expected = format!("svok: fatal: unable to chdir to {name}: {why}\n");
        assert_eq!(svok(here, name), (111, expected));
    }
}
