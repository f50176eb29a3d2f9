//! The cases that are told apart, one by one.

use super::play::READING;
use super::*;
use crate::formats::mark::FileId;

/// A mark as it stands after batch `batch`.
fn mark(batch: u64) -> Mark {
    Mark {
        reading: READING,
        batch,
        file: FileId::default(),
        size: 1000,
        moved: 0,
        length: 70,
        long_line: None,
        long_line_before: None,
        held: vec![],
    }
}

fn found(mark: Mark, size: Option<u64>) -> Found {
    Found {
        mark: Some(mark),
        size,
    }
}

#[test]
fn the_cases_of_the_table_are_told_apart() {
    // Nothing is known: nothing is there.
    let nothing = resume(&[Found::default(), Found::default()]);
    let expected = Resume {
        order: vec![0, 1],
        written: vec![0, 0],
        ..Resume::default()
    };
    assert_eq!(nothing, expected);
    // One is marked, the other not: the batch is whole in the pipe.
    let one = resume(&[found(mark(5), Some(1000)), found(mark(4), Some(1030))]);
    assert_eq!((one.batch, one.written), (5, vec![70, 30]));
    assert_eq!(one.order, [0, 1]);
    let other = resume(&[found(mark(4), Some(1030)), found(mark(5), Some(1000))]);
    assert_eq!(other.order, [1, 0]);
    // All are marked, one has grown: that is of the next.
    let grown = resume(&[found(mark(5), Some(1000)), found(mark(5), Some(1001))]);
    assert_eq!((grown.batch, grown.written), (5, vec![0, 1]));
    // All are marked, none has grown: it is taken for gone.
    let still = resume(&[found(mark(5), Some(1000)), found(mark(5), Some(1000))]);
    assert_eq!((still.batch, still.written), (5, vec![0, 0]));
    // Killed again and again while all were marked anew: the lowest tells.
    let nothing = Mark {
        moved: 40,
        length: 0,
        ..mark(9)
    };
    let again = resume(&[
        found(nothing, Some(1000)),
        found(mark(5), Some(1010)),
        found(mark(4), Some(1020)),
    ]);
    assert_eq!((again.batch, again.written), (9, vec![40, 80, 20]));
    // A directory whose mark is gone gets all.
    let gone = resume(&[found(mark(5), Some(1010)), Found::default()]);
    assert_eq!((gone.batch, gone.written), (5, vec![10, 0]));
    // What went to earlier files counts; a file that is not there does not.
    let moved = Mark {
        moved: 400,
        size: 0,
        ..mark(5)
    };
    assert_eq!(resume(&[found(moved.clone(), Some(9))]).written, [409]);
    assert_eq!(resume(&[found(moved, None)]).written, [400]);
    assert_eq!(resume(&[found(mark(5), Some(1))]).written, [0]);
}

#[test]
fn the_long_line_and_the_held_bytes_are_those_where_the_pipe_stands() {
    let before = Mark {
        long_line: Some(false),
        ..mark(4)
    };
    let after = Mark {
        held: b"held".to_vec(),
        ..mark(5)
    };
    for (is_logged, is_known) in [(true, true), (false, true), (true, false)] {
        let after = Mark {
            long_line_before: is_known.then_some(is_logged),
            ..after.clone()
        };
        let still_there = resume(&[found(after, None), found(before.clone(), None)]);
        assert_eq!(still_there.long_line, Some(vec![is_logged, false]));
        assert_eq!(still_there.held, b"");
    }
    let gone = resume(&[found(after.clone(), None), found(after, None)]);
    assert_eq!((gone.long_line, gone.held), (None, b"held".to_vec()));
}
