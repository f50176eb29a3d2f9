//! A multilog that is killed at every step of what it does loses nothing, and nothing
//! stands twice but a batch whose taking out was cut short.

use super::play::{Kill, Log, Play};
use crate::formats::tai64n::Tai64n;
use crate::multilog::batch_size::Room;
use crate::multilog::lines::Lines;
use crate::multilog::script::Script;
use crate::numbers::Numbers;

/// What is wrong with what stands in the logs.
fn check(play: &Play, input: &[u8]) -> Result<(), String> {
    for (number, log) in play.world.logs.iter().enumerate() {
        let expected = expected(&play.script, input, number);
        let text = log.files.concat();
        let kills = &play.kills[number];
        let stamps = play.script.stamps;
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        let begins: Vec<&[u8]> = lines.map(|line| &line[..line.len().min(25)]).collect();
        if stamps && !begins.is_sorted() {
            return Err(format!("directory {number}: {}", text.escape_ascii()));
        }
        // The second is slow, and for the few cases in which what stands twice
        // has in it what stands twice.
        let wrong = wrong(&text, &expected, kills, stamps, true)
            .and_then(|_| wrong(&text, &expected, kills, stamps, false));
        if let Some(at) = wrong {
            let around = &text[at.saturating_sub(400)..text.len().min(at + 100)];
            return Err(format!(
                "directory {number}, kills {kills:?}, {at} of {} bytes, not {}: {}",
                text.len(),
                expected.len(),
                around.escape_ascii(),
            ));
        }
    }
    Ok(())
}

/// What a directory gets if nobody is killed.
fn expected(script: &Script, input: &[u8], number: usize) -> Vec<u8> {
    let mut lines = Lines::new(script, Room::Large);
    let mut all = input.to_vec();
    if all.last().is_some_and(|byte| *byte != b'\n') {
        all.push(b'\n');
    }
    let mut expected = Vec::new();
    let (mut at, mut seen) = (0, 0);
    while at < all.len() {
        let taken = lines.take(&all[at..], seen, Tai64n::default());
        expected.extend_from_slice(lines.output(number, &all[at..at + taken.bytes]).0);
        (at, seen) = (at + taken.bytes, taken.seen);
    }
    expected
}

/// Where it shows that `text` is not `expected`, but for pieces that may stand there
/// twice: at most one for each of `kills`. With `stamps`, those are not compared.
fn wrong(
    text: &[u8],
    expected: &[u8],
    kills: &[Kill],
    stamps: bool,
    exactly: bool,
) -> Option<usize> {
    let is_stamp = stamps_of(expected, stamps);
    let fits = |place: usize, byte: u8| {
        let wanted = expected.get(place);
        wanted.is_some_and(|wanted| *wanted == byte || is_stamp[place])
    };
    // At which places of `expected` one can be: reading on, or passing over what
    // stands twice, which ends before that place of `text` or there.
    let mut reading: Vec<usize> = vec![0];
    let mut passing: Vec<(usize, usize)> = vec![];
    let kills: Vec<&Kill> = kills.iter().filter(|kill| kill.most > 0).collect();
    for (at, byte) in text.iter().enumerate() {
        for kill in &kills {
            if kill.may_repeat_at(at, exactly) {
                let end = at + kill.most;
                passing
                    .iter_mut()
                    .for_each(|(_, last)| *last = end.max(*last));
                passing.extend(reading.iter().map(|place| (*place, end)));
                passing.sort_unstable();
                passing.reverse();
                passing.dedup_by_key(|(place, _)| *place);
            }
        }
        let ends = passing.iter().map(|(place, _)| *place);
        let mut places: Vec<usize> = reading
            .into_iter()
            .chain(ends)
            .filter(|place| fits(*place, *byte))
            .map(|place| place + 1)
            .collect();
        if places.len() > 1 {
            places.sort_unstable();
            places.dedup();
        }
        reading = places;
        passing.retain(|(_, last)| *last > at);
        if reading.is_empty() && passing.is_empty() {
            return Some(at);
        }
    }
    let mut places = reading.iter().chain(passing.iter().map(|(place, _)| place));
    (!places.any(|place| *place == expected.len())).then_some(text.len())
}

/// For each byte of a text whether it is of a stamp.
fn stamps_of(text: &[u8], stamps: bool) -> Vec<bool> {
    let mut place = 0;
    let of = |byte: &u8| {
        place += 1;
        let is_stamp = stamps && place <= 26;
        if *byte == b'\n' {
            place = 0;
        }
        is_stamp
    };
    text.iter().map(of).collect()
}

fn script(words: &[&str]) -> Script {
    Script::parse(words.iter().map(|word| word.as_bytes()))
}

/// Lines that begin with a, b or c and are told apart by their numbers.
fn input(numbers: &mut Numbers, lines: usize, longest: usize) -> Vec<u8> {
    let mut input = Vec::new();
    for number in 0..lines {
        let letter = b"abc"[numbers.below(3)];
        input.push(letter);
        if numbers.one_in(4) {
            let mut place = 0;
            let length = numbers.below(longest);
            while place < length {
                let piece = format!("{number}.{place} ");
                place += piece.len();
                input.extend(piece.bytes());
            }
        } else {
            input.extend(format!("{number}").bytes());
        }
        input.push(b'\n');
    }
    if numbers.one_in(2) {
        input.extend(b"c unfinished");
    }
    input
}

/// The first word decides what a line is: what is mended of one that stands twice
/// in part does not change who gets it.
const SCRIPTS: [&[&str]; 5] = [
    &["s4096", "./a"],
    &["s4096", "./a", "-b*", "./b"],
    &["s4096", "-a*", "./a", "+*", "-b*", "./b", "-c*", "./c"],
    &["t", "s4096", "./a", "-* b*", "./b"],
    &["t", "s4096", "-* a*", "./a", "-* b*", "./b"],
];

#[test]
fn the_check_finds_what_is_lost_and_what_stands_twice() {
    let expected = b"one\ntwo\nthree\n";
    let is_whole = |text: &[u8], expected: &[u8], kills: &[(usize, usize)], stamps| {
        let kill = |(from, most): &(usize, usize)| Kill {
            from: *from,
            behind: None,
            most: *most,
        };
        let kills: Vec<Kill> = kills.iter().map(kill).collect();
        wrong(text, expected, &kills, stamps, true).is_none()
    };
    assert!(is_whole(expected, expected, &[], false));
    assert!(!is_whole(b"one\nthree\n", expected, &[(4, 9)], false));
    assert!(!is_whole(b"one\ntwo\ntwo\nthree\n", expected, &[], false));
    assert!(!is_whole(
        b"one\ntwo\ntwo\nthree\n",
        expected,
        &[(8, 3)],
        false
    ));
    assert!(is_whole(
        b"one\ntwo\ntwo\nthree\n",
        expected,
        &[(8, 4)],
        false
    ));
    assert!(!is_whole(b"one\ntwo\n", expected, &[(8, 4)], false));
    assert!(!is_whole(b"two\none\nthree\n", expected, &[(4, 4)], false));
}

#[test]
fn killed_at_every_step_it_loses_nothing() {
    for (number, words) in SCRIPTS.into_iter().enumerate() {
        let script = script(words);
        let seed = number as u64 * 77 + 5;
        let input = input(&mut Numbers(seed), 16, 2500);
        let play = |kills: &[usize]| {
            let mut play = Play::new(&script, seed + 1, &input);
            let mut coming = kills.iter().copied();
            while !play.process(coming.next()) {}
            if let Err(why) = check(&play, &input) {
                panic!("{words:?}, killed at {kills:?}: {why}");
            }
            play.steps
        };
        let steps = play(&[]);
        assert!(steps > 60, "{steps}");
        for first in 0..steps {
            play(&[first]);
            // And again, soon, while it puts all in order and finishes what was begun.
            for again in [3, 5, 8, 13] {
                play(&[first, again, again]);
            }
        }
    }
}

#[test]
fn killed_again_and_again_it_loses_nothing() {
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let mut repeated = 0;
    for round in 0..100_u64 {
        let script = script(SCRIPTS[numbers.below(SCRIPTS.len())]);
        let input = input(&mut numbers, 80, 3000);
        let mut play = Play::new(&script, round * 3 + 1, &input);
        play.batch = [50, 500, 4000, 70_000][numbers.below(4)];
        for _ in 0..numbers.below(8) {
            let most = [10, 40, 300][numbers.below(3)];
            if play.process(Some(numbers.below(most))) {
                break;
            }
        }
        while !play.process(None) {}
        if let Err(why) = check(&play, &input) {
            panic!("round {round}, {:?}: {why}", play.script);
        }
        let length: usize = play.world.logs.iter().map(Log::length).sum();
        let count = play.script.directories.len();
        let wanted: usize = (0..count)
            .map(|number| expected(&play.script, &input, number).len())
            .sum();
        let may_repeat = play.kills.iter().flatten().any(|kill| kill.most > 0);
        assert!(length == wanted || may_repeat, "round {round}");
        repeated += usize::from(length != wanted);
    }
    // The play has that, too.
    assert!(repeated > 3, "{repeated}");
}

#[test]
fn killed_again_and_again_it_breaks_no_line() {
    let mut numbers = Numbers(0x1234_5678);
    for round in 0..400_u64 {
        let script = script(SCRIPTS[numbers.below(SCRIPTS.len())]);
        let input = input(&mut numbers, 60, 300);
        let mut play = Play::new(&script, round * 3 + 1, &input);
        let mut kills = Vec::new();
        for _ in 0..numbers.below(12) {
            play.batch = [500, 4000, 70_000][numbers.below(3)];
            let most = [10, 20, 40][numbers.below(3)];
            kills.push(numbers.below(most));
            if play.process(kills.last().copied()) {
                break;
            }
        }
        while !play.process(None) {}
        if let Err(why) = check(&play, &input) {
            panic!("round {round}, {script:?}, {kills:?}: {why}");
        }
        assert_eq!(play.mismatches, 0, "round {round}, {script:?}, {kills:?}");
    }
}

#[test]
fn of_lines_that_are_the_same_none_is_taken_for_another() {
    let mut numbers = Numbers(0xABCD_EF01);
    let mut repeated = 0;
    for round in 0..400_u64 {
        let script = script(SCRIPTS[numbers.below(SCRIPTS.len())]);
        let lines = [&b"a line\n"[..], b"a line\nb line\n", b"c\n"][numbers.below(3)];
        let input = lines.repeat(200);
        let mut play = Play::new(&script, round * 3 + 1, &input);
        let mut kills = Vec::new();
        for _ in 0..numbers.below(12) {
            play.batch = [50, 400, 70_000][numbers.below(3)];
            let most = [10, 20, 40][numbers.below(3)];
            kills.push(numbers.below(most));
            if play.process(kills.last().copied()) {
                break;
            }
        }
        while !play.process(None) {}
        for (number, log) in play.world.logs.iter().enumerate() {
            let expected = expected(&script, &input, number).len();
            let length = log.length();
            let may_repeat = play.kills[number].iter().any(|kill| kill.most > 0);
            assert!(
                length == expected || (length > expected && may_repeat),
                "round {round}, {script:?}, {kills:?}: {length} of {expected} bytes"
            );
            repeated += usize::from(length > expected);
        }
    }
    assert!(repeated > 10, "{repeated}");
}
