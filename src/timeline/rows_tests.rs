use super::*;
use crate::formats::timeline::TimelineRecord;
use crate::numbers::Numbers;

pub(in crate::timeline) fn label(name: &str) -> Label {
    let (name, is_log) = match name.strip_suffix("/log") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let name = name.as_bytes().to_vec();
    Label { name, is_log }
}

/// Of lines as they are in the file, with times in microseconds.
pub(in crate::timeline) fn chart(lines: &str) -> Chart {
    let mut timeline = Timeline::default();
    for line in lines.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words[1].parse::<u64>().unwrap() * 1000;
        if words[0] == "scanned" {
            timeline.scanned = Some(at);
            continue;
        }
        let event = TimelineEvent::ALL
            .into_iter()
            .find(|e| e.word() == words[0]);
        timeline.records.push(TimelineRecord {
            event: event.unwrap(),
            at,
            label: label(words[2]),
        });
    }
    Chart::new(&timeline)
}

const BOOT: &str = "seen 100 a\nseen 200 b\nseen 200 b/log\nforked 300 a\nforked 400 b\n\
    forked 500 b/log\nready 900 a\nrun 700 a\nexecuted 1500 a\nready 800 b\ndown 810 b\n\
    run 600 b/log\nready 900 b/log\nexecuted 1000 b/log\nfailed 1100 b/log\nscanned 600\n";

fn parts(row: &Row) -> Vec<(Phase, u64, u64)> {
    let part = |part: &Part| (part.phase, part.from / 1000, part.to / 1000);
    row.parts.iter().map(part).collect()
}

#[test]
fn a_bar_has_a_part_for_each_phase_and_they_come_in_the_order_of_their_ends() {
    let chart = chart(BOOT);
    let ends: Vec<(&str, BarEnd, u64)> = chart
        .rows
        .iter()
        .map(|row| (row.name.as_str(), row.end, row.at / 1000))
        .collect();
    assert_eq!(
        ends,
        [
            ("b", BarEnd::Down, 810),
            ("b/log", BarEnd::Failed, 1100),
            ("a", BarEnd::Began, 1500)
        ]
    );
    assert_eq!(
        parts(&chart.rows[2]),
        [
            (Phase::Waits, 100, 300),
            (Phase::SetsUp, 300, 900),
            (Phase::Starts, 900, 1500)
        ]
    );
    assert_eq!(chart.rows[2].took(), Some(1_200_000));
    assert_eq!(chart.rows[1].took(), None);
    assert_eq!(
        parts(&chart.rows[1])[2],
        (Phase::Starts, 900, 1000),
        "until it was to be executed"
    );
    assert_eq!(chart.end, 1_500_000);
    assert_eq!(
        chart.rows[2].story(),
        "a: seen 100 µs, supervise forked 300 µs, ./run forked 700 µs, ready 900 µs, executed 1.50 ms"
    );
}

#[test]
fn what_is_not_known_is_not_drawn() {
    for (lines, expected, end) in [
        ("seen 1 a", vec![(Phase::Waits, 1, 1)], BarEnd::Open),
        (
            "seen 1 a\nforked 3 a",
            vec![(Phase::Waits, 1, 3)],
            BarEnd::Open,
        ),
        (
            "seen 1 a\nforked 3 a\nother 5 a",
            vec![(Phase::Waits, 1, 3), (Phase::SetsUp, 3, 5)],
            BarEnd::Other,
        ),
        (
            "seen 1 a\nfailed 4 a",
            vec![(Phase::Waits, 1, 4)],
            BarEnd::Failed,
        ),
        (
            "ready 5 a\nexecuted 7 a",
            vec![(Phase::Starts, 5, 7)],
            BarEnd::Began,
        ),
        ("executed 7 a", vec![], BarEnd::Began),
        (
            "seen 9 a\nforked 3 a\nready 1 a\nexecuted 5 a",
            vec![
                (Phase::Waits, 1, 3),
                (Phase::SetsUp, 3, 3),
                (Phase::Starts, 3, 5),
            ],
            BarEnd::Began,
        ),
    ] {
        let chart = chart(lines);
        assert_eq!(parts(&chart.rows[0]), expected, "{lines}");
        assert_eq!(chart.rows[0].end, end, "{lines}");
    }
}

#[test]
fn whatever_the_events_are_parts_follow_each_other_within_the_bar() {
    let mut numbers = Numbers(5);
    for _ in 0..5_000 {
        let mut timeline = Timeline::default();
        for _ in 0..numbers.below(12) {
            timeline.records.push(TimelineRecord {
                event: numbers.pick(&TimelineEvent::ALL),
                at: numbers.pick(&[0, 1, 2, 3, 5, 8, u64::MAX]),
                label: label(numbers.pick(&["a", "b/log"])),
            });
        }
        let mut chart = Chart::new(&timeline);
        for row in &chart.rows {
            assert!(row.from() <= row.at && row.at <= chart.end);
            assert!(row.parts.iter().all(|part| part.from <= part.to));
            assert!(row.parts.last().is_none_or(|part| part.to <= row.at));
            assert!(row.parts.windows(2).all(|two| two[0].to == two[1].from));
            assert!(row.parts.windows(2).all(|two| two[0].phase < two[1].phase));
        }
        assert!(chart.rows.is_sorted_by_key(|row| row.at));
        assert!(!chart.summary().sentences().is_empty());
        let all = chart.rows.len();
        assert_eq!(chart.choose(Choice::Longest(1)) + chart.rows.len(), all);
    }
}

#[test]
fn the_earlier_of_two_equal_events_counts() {
    let chart = chart("seen 1 a\nexecuted 9 a\nseen 5 a\nexecuted 7 a");
    assert_eq!(
        chart.rows[0].moments.all().collect::<Vec<_>>(),
        [(TimelineEvent::Seen, 1000), (TimelineEvent::Executed, 7000)]
    );
}

#[test]
fn some_bars_can_be_chosen() {
    let names =
        |chart: &Chart| -> Vec<String> { chart.rows.iter().map(|row| row.name.clone()).collect() };
    let lines = "forked 0 a\nexecuted 5 a\nforked 5 b\nexecuted 7 b\nforked 4 c\nexecuted 9 c\n\
        forked 1 d\ndown 10 d\n";
    for (choice, expected, left_out) in [
        (Choice::All, &["a", "b", "c", "d"][..], 0),
        (Choice::Last(2), &["c", "d"], 2),
        (Choice::Last(9), &["a", "b", "c", "d"], 0),
        (Choice::Longest(1), &["c"], 3),
        (Choice::Longest(2), &["a", "c"], 2),
        (Choice::Longest(9), &["a", "b", "c"], 1),
        (Choice::Longest(0), &[], 4),
    ] {
        let mut chart = chart(lines);
        assert_eq!(chart.choose(choice), left_out, "{choice:?}");
        assert_eq!(names(&chart), expected, "{choice:?}");
    }
}

#[test]
fn the_summary_says_what_there_was() {
    assert_eq!(
        chart(BOOT).summary().sentences(),
        [
            "2 services and 1 log, 1 begun within 1.50 ms",
            "1 failed (b/log); 1 down by a file down",
        ]
    );
    assert_eq!(
        chart("forked 1 a\nexecuted 3 a\nforked 1 b\nexecuted 9 b\nscanned 9")
            .summary()
            .sentences(),
        [
            "2 services, all begun within 9.00 µs",
            "half had begun after 3.00 µs, the last was b; \
             from fork to begin: 2.00 µs (median), at most 8.00 µs (b)",
        ]
    );
    assert_eq!(
        chart("forked 1 a\nexecuted 3 a").summary().sentences(),
        [
            "1 service, 1 begun within 3.00 µs",
            "there may be more: svscan was not through, or could not write that it was",
        ]
    );
    let mut many = "scanned 9\n".to_owned();
    for name in 1..=7 {
        many.push_str(&format!("failed {name} s{name}\n"));
    }
    assert_eq!(
        chart(&many).summary().sentences(),
        [
            "7 services, none has begun",
            "7 failed (s1, s2, s3, s4, s5, 2 more)"
        ]
    );
    assert_eq!(
        chart("scanned 1").summary().sentences(),
        ["0 services, none has begun"]
    );
}

#[test]
fn a_name_of_any_bytes_can_be_shown() {
    let label = |name: &[u8]| Label {
        name: name.to_vec(),
        is_log: false,
    };
    for (name, expected) in [
        (&b"squid"[..], "squid"),
        ("größe 1".as_bytes(), "größe 1"),
        (b"a\n\x1b[31m\\", "a\\x0a\\x1b[31m\\x5c"),
        (b"\xff\xc3", "\\xff\\xc3"),
        ("\u{85}\u{202e}x".as_bytes(), "\\xc2\\x85\\xe2\\x80\\xaex"),
    ] {
        assert_eq!(shown(&label(name)), expected);
    }
}
