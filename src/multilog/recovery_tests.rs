//! The cases that are told apart, one by one.

use super::play::INPUT;
use super::*;
use crate::formats::journal::{BatchFate, JournaledFile};

const TEXT: &[u8] = b"what becomes of the batch\n";

/// The entry of batch `number`.
fn entry(number: u64) -> JournalEntry {
    JournalEntry {
        batch: Batch {
            input: INPUT,
            number,
            length: 9,
            fate: BatchFate::Written,
            held: b"held".to_vec(),
            ..Batch::default()
        },
        before: None,
        after: None,
        file: JournaledFile::default(),
        size: 1000,
        moved: 0,
        is_written: false,
    }
}

/// The first `count` bytes of the text are there.
fn found(entry: JournalEntry, count: usize) -> Found {
    let moved = usize::try_from(entry.moved).unwrap();
    Found {
        entry: Some(entry),
        grown: Some(TEXT.get(moved..count).unwrap_or_default().to_vec()),
    }
}

fn interrupted(found: &[Found]) -> Option<Interrupted> {
    match resume(found, Some(INPUT)) {
        Resume::Anew(_) => None,
        Resume::Batch(interrupted) => Some(interrupted),
    }
}

fn held(found: &[Found], input: Option<InputId>) -> String {
    match resume(found, input) {
        Resume::Anew(held) => String::from_utf8(held).unwrap(),
        Resume::Batch(interrupted) => panic!("{interrupted:?}"),
    }
}

/// How much is written in each directory, and whether the batch is out.
fn state(found: &[Found]) -> (Vec<usize>, bool) {
    let interrupted = interrupted(found).unwrap();
    let numbers = 0..found.len();
    let written = numbers.map(|number| interrupted.written(number, TEXT));
    (written.collect(), interrupted.is_out)
}

#[test]
fn entries_tell_only_together() {
    let ours = || found(entry(5), 3);
    let mut foreign = entry(5);
    foreign.batch.input.script = 4;
    let foreign = found(foreign, 3);
    let gone = || Found {
        grown: None,
        ..ours()
    };
    assert!(interrupted(&[ours(), ours()]).is_some());
    assert!(interrupted(&[found(entry(6), 3), ours()]).is_some());
    let alone = [
        vec![],
        vec![Found::default()],
        vec![ours(), Found::default()],
        vec![Found::default(), ours()],
        // Of another series.
        vec![found(entry(7), 3), ours()],
        vec![ours(), found(entry(6), 3)],
        vec![foreign.clone(), ours()],
        vec![foreign],
        // Somebody has written since.
        vec![gone()],
        vec![ours(), gone()],
    ];
    assert!(alone.iter().all(|found| interrupted(found).is_none()));
    // Nor of a stdin that is no pipe.
    assert_eq!(held(&[ours()], None), "held\n");
}

#[test]
fn the_sizes_tell_what_is_written_and_the_first_entry_whether_all_is() {
    let all = TEXT.len();
    let committed = JournalEntry {
        is_written: true,
        ..entry(5)
    };
    for count in 0..=all {
        assert_eq!(state(&[found(entry(5), count)]), (vec![count], false));
        let both = [found(entry(5), all), found(entry(5), count)];
        assert_eq!(state(&both), (vec![all, count], false));
    }
    let both = [found(committed.clone(), all), found(entry(5), all)];
    assert_eq!(state(&both), (vec![all, all], true));
    let both = [found(entry(5), all), found(committed, all)];
    assert!(!state(&both).1);
    // What went to earlier files counts.
    let moved = JournalEntry {
        moved: 7,
        ..entry(5)
    };
    assert_eq!(state(&[found(moved, 12)]), (vec![12], false));
    // What is held is done when all directories have the entry.
    let holding = |number| {
        let mut entry = entry(number);
        entry.batch.fate = BatchFate::Held;
        found(entry, 0)
    };
    assert_eq!(state(&[holding(5), holding(5)]), (vec![0, 0], true));
    assert_eq!(state(&[holding(5), holding(4)]), (vec![0, 0], false));
}

#[test]
fn what_somebody_else_has_written_is_not_taken_for_the_batch() {
    let mut other = found(entry(5), 3);
    other.grown = Some(b"???".to_vec());
    assert_eq!(state(&[other]).0, [0]);
    let mut too_much = found(entry(5), TEXT.len());
    too_much.grown.as_mut().unwrap().push(b'x');
    assert_eq!(state(&[too_much]).0, [0]);
    // Nor if something else becomes of the batch now.
    let interrupted = interrupted(&[found(entry(5), 6)]).unwrap();
    assert_eq!(interrupted.written(0, b"what becomes of a batch\n"), 6);
    assert_eq!(interrupted.written(0, b"what else\n"), 0);
    assert_eq!(interrupted.written(0, b"what"), 0);
}

#[test]
fn who_gets_the_rest_of_a_long_line_is_journaled_before_and_after_the_batch() {
    let amid = |entry, before, after| JournalEntry {
        before,
        after,
        ..entry
    };
    let one = amid(entry(5), Some(true), Some(false));
    let both = [found(one, 0), found(amid(entry(4), None, Some(false)), 0)];
    let both = interrupted(&both).unwrap();
    assert_eq!(both.before, Some(vec![true, false]));
    let both = [
        found(amid(entry(5), None, Some(true)), 0),
        found(amid(entry(5), None, Some(false)), 0),
    ];
    let both = interrupted(&both).unwrap();
    assert_eq!((both.before, both.after), (None, Some(vec![true, false])));
    let one = interrupted(&[found(amid(entry(5), Some(true), None), 0)]).unwrap();
    assert_eq!((one.before, one.after), (Some(vec![true]), None));
}

#[test]
fn what_is_held_becomes_a_line_of_its_own_once() {
    let holding = |held: &str| {
        let mut entry = entry(5);
        entry.batch.held = held.as_bytes().to_vec();
        found(entry, 0)
    };
    assert_eq!(held(&[holding("")], None), "");
    assert_eq!(held(&[holding("a"), holding("a")], None), "a\n");
    assert_eq!(held(&[holding("a"), holding("b\n")], None), "a\nb\n");
    assert_eq!(held(&[Found::default(), holding("b")], Some(INPUT)), "b\n");
}
