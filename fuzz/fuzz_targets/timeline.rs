//! What is read as an event is what is written again, and every file can be drawn.

#![no_main]

use daemontools_rs::formats::tai64n::Tai64n;
use daemontools_rs::formats::timeline::{Timeline, header, push};
use daemontools_rs::timeline::rows::{Chart, Choice, Picture};
use daemontools_rs::timeline::terminal::{self, TerminalLook};
use daemontools_rs::timeline::svg;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let _ = Timeline::parse(text);
    let text = [&header(Tai64n::default()), text].concat();
    let timeline = Timeline::parse(&text).unwrap();
    for record in &timeline.records {
        let mut line = Vec::new();
        push(record.event, record.at, &record.label.encode(), &mut line);
        assert!(text.windows(line.len()).any(|part| part == line));
    }
    let chart = Chart::new(&timeline);
    for choice in [Choice::All, Choice::Last(2), Choice::Longest(2)] {
        let picture = Picture::new(chart.clone(), choice, String::new());
        let look = TerminalLook {
            columns: 60,
            has_colour: true,
            has_unicode: true,
        };
        terminal::draw(&picture, look);
        svg::draw(&picture);
    }
});
