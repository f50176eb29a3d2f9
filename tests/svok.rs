//! svok beyond the original: bare names in $SVDIR.

use crate::harness::Scratch;
use crate::svc::{two_of_a_name, with_svdir};

#[test]
fn a_bare_name_is_looked_up_in_svdir() {
    let scratch = Scratch::new();
    let mut supervises = two_of_a_name(&scratch);
    let code = |here: &str, name: &str| with_svdir(&scratch, here, "svok", &[name]).code;
    assert_eq!(code("elsewhere", "a"), 0);
    assert_eq!(code("elsewhere", "b"), 0);
    assert_eq!(code("", "b"), 0, "a file here is no service");
    assert_eq!(code("elsewhere", "./a"), 111);

    // Whichever it is that has no supervise any more tells which one was asked.
    supervises.remove(1);
    assert_eq!(code("elsewhere", "a"), 100);
    assert_eq!(code("", "a"), 0, "the directory here");
    supervises.remove(0);
    assert_eq!(code("", "a"), 100);
}

#[test]
fn a_name_that_is_nowhere_is_told_as_it_was_given() {
    let scratch = Scratch::new();
    let _supervises = two_of_a_name(&scratch);
    let output = with_svdir(&scratch, "elsewhere", "svok", &["nothing"]);
    let expected = "svok: fatal: unable to chdir to nothing: file does not exist\n";
    assert_eq!((output.code, output.errors().as_str()), (111, expected));
}
