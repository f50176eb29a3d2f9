//! The cases that are told apart, one by one.

use super::play::{ORIGIN, READING};
use super::*;

/// A mark as it stands after batch `batch`.
fn mark(batch: u64) -> Mark {
    Mark {
        reading: READING,
        batch,
        file: FileId::default(),
        size: 1000,
        moved: 0,
        length: 70,
        origin: ORIGIN,
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

fn go_on(found: &[Found]) -> Resume {
    resume(found, ORIGIN)
}

#[test]
fn marks_tell_only_together() {
    let noted = |mark: &Mark| Noted::Mark(mark.clone());
    let of = |noted: &[Noted]| origin(noted.iter(), READING);
    let ours = noted(&mark(5));
    let later = noted(&mark(7));
    let other = noted(&Mark {
        origin: ORIGIN + 1,
        ..mark(6)
    });
    let foreign = noted(&Mark {
        reading: Reading {
            script: 4,
            ..READING
        },
        ..mark(5)
    });
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[Noted::Nothing]), None);
    assert_eq!(of(&[Noted::Spoiled]), None);
    assert_eq!(of(std::slice::from_ref(&ours)), Some(ORIGIN));
    assert_eq!(of(&[Noted::Spoiled, ours, later]), Some(ORIGIN));
    let ours = || noted(&mark(5));
    assert_eq!(of(&[ours(), Noted::Nothing]), None);
    assert_eq!(of(&[Noted::Nothing, ours()]), None);
    assert_eq!(of(&[ours(), other]), None);
    assert_eq!(of(&[foreign, ours()]), None);
}

#[test]
fn the_cases_of_the_table_are_told_apart() {
    // Nothing is known: nothing is there.
    let nothing = go_on(&[Found::default(), Found::default()]);
    let expected = Resume {
        origin: ORIGIN,
        there: vec![There::default(); 2],
        ..Resume::default()
    };
    assert_eq!(nothing, expected);
    let there = |resume: &Resume| {
        let there = resume.there.iter();
        there
            .map(|there| (there.batch, there.written, there.doubtful))
            .collect::<Vec<_>>()
    };
    // One is marked, the other not: the batch is whole in the pipe.
    let one = go_on(&[found(mark(5), Some(1000)), found(mark(4), Some(1030))]);
    assert_eq!((one.batch, there(&one)), (6, vec![(6, 70, 0), (4, 30, 70)]));
    // All are marked, one has grown: that is of the next.
    let grown = go_on(&[found(mark(5), Some(1000)), found(mark(5), Some(1001))]);
    assert_eq!(
        (grown.batch, there(&grown)),
        (6, vec![(5, 0, 70), (5, 1, 70)])
    );
    // All are marked, none has grown: it is taken for gone, unless the pipe proves
    // to hold it. They get the same mark again, so that the next can tell that, too.
    let still = go_on(&[found(mark(5), Some(1000)), found(mark(5), Some(1000))]);
    assert_eq!(
        (still.batch, there(&still)),
        (6, vec![(5, 0, 70), (5, 0, 70)])
    );
    assert_eq!(still.mark(READING, 1, FileId::default(), 1000), mark(5));
    let first = one.mark(READING, 0, FileId::default(), 20);
    assert_eq!(
        (first.batch, first.moved, first.length, first.size),
        (6, 70, 0, 20)
    );
    // Killed again and again while all were marked anew: the lowest tells.
    let nothing = Mark {
        moved: 40,
        length: 0,
        ..mark(9)
    };
    let again = go_on(&[
        found(nothing, Some(1000)),
        found(mark(5), Some(1010)),
        found(mark(4), Some(1020)),
    ]);
    assert_eq!(
        (again.batch, there(&again)),
        (10, vec![(10, 40, 0), (10, 80, 0), (4, 20, 70)])
    );
    // A directory whose mark is gone gets all.
    let gone = go_on(&[found(mark(5), Some(1010)), Found::default()]);
    assert_eq!(
        (gone.batch, there(&gone)),
        (6, vec![(5, 10, 70), (5, 0, 0)])
    );
    // What went to earlier files counts; a file that is not there does not.
    let moved = Mark {
        moved: 400,
        size: 0,
        ..mark(5)
    };
    let all = |mark: &Mark, size| there(&go_on(&[found(mark.clone(), size)]));
    assert_eq!(all(&moved, Some(9)), [(5, 409, 70)]);
    assert_eq!(all(&moved, None), [(5, 400, 70)]);
    assert_eq!(all(&mark(5), Some(1)), [(5, 0, 70)]);
    // Where it begins or ends amid a line is not compared.
    let amid = Mark {
        long_line: Some(true),
        ..mark(5)
    };
    assert_eq!(all(&amid, Some(1003)), [(5, 3, 0)]);
    let amid = Mark {
        long_line_before: Some(true),
        ..mark(5)
    };
    assert_eq!(all(&amid, Some(1003)), [(5, 3, 0)]);
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
        let still_there = go_on(&[found(after, None), found(before.clone(), None)]);
        assert_eq!(still_there.long_line, Some(vec![is_logged, false]));
        assert_eq!(still_there.held, b"");
    }
    let gone = go_on(&[found(after.clone(), None), found(after, None)]);
    assert_eq!((gone.long_line, gone.held), (None, b"held".to_vec()));
}
