//! One bar for each supervise, made of its events.

use super::axis::{Axis, time};
use crate::formats::timeline::{Label, Timeline, TimelineEvent};
use std::collections::BTreeMap;

/// The activity of a supervise in a part of its bar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// svscan has found its directory, and is busy with others.
    Waits,
    /// It sets itself up: from its fork until it accepts commands.
    SetsUp,
    /// The child has been released, and becomes `./run`.
    Starts,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Phase; 3] = [Phase::Waits, Phase::SetsUp, Phase::Starts];

    /// Its text in the legend.
    pub fn meaning(self) -> &'static str {
        match self {
            Phase::Waits => "found, waits for its fork",
            Phase::SetsUp => "supervise sets up",
            Phase::Starts => "./run starts",
        }
    }
}

/// How a bar ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum BarEnd {
    /// `./run` has begun.
    Began,
    /// It is not to be started: there is a file `down`.
    Down,
    /// The first attempt has failed.
    Failed,
    /// Its supervise is another program, which records nothing.
    Other,
    /// It had not finished its start when the file was read.
    Open,
}

impl BarEnd {
    /// All of them.
    pub const ALL: [BarEnd; 5] = [
        BarEnd::Began,
        BarEnd::Down,
        BarEnd::Failed,
        BarEnd::Other,
        BarEnd::Open,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            BarEnd::Began => "began",
            BarEnd::Down => "down",
            BarEnd::Failed => "failed",
            BarEnd::Other => "not told",
            BarEnd::Open => "not yet",
        }
    }
}

/// A part of a bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// The phase.
    pub phase: Phase,
    /// When it begins, in nanoseconds since svscan began.
    pub from: u64,
    /// When it ends, not before that.
    pub to: u64,
}

/// The times of the events of one supervise, in nanoseconds since svscan began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Moments([Option<u64>; TimelineEvent::ALL.len()]);

impl Moments {
    /// The time of this event, if it occurred.
    pub fn of(&self, event: TimelineEvent) -> Option<u64> {
        self.0.get(event as usize).copied().flatten()
    }

    /// Those that occurred, in the order of [`TimelineEvent::ALL`].
    pub fn all(&self) -> impl Iterator<Item = (TimelineEvent, u64)> {
        let known = TimelineEvent::ALL.into_iter().zip(self.0);
        known.filter_map(|(event, at)| Some((event, at?)))
    }

    /// Of two equal events the earlier counts.
    fn note(&mut self, event: TimelineEvent, at: u64) {
        if let Some(place) = self.0.get_mut(event as usize) {
            *place = Some(place.map_or(at, |before| before.min(at)));
        }
    }
}

/// A bar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its supervise.
    pub label: Label,
    /// Its name as it can be shown: see [`shown`].
    pub name: String,
    /// At most one of each phase, in order and without a gap.
    pub parts: Vec<Part>,
    /// How it ends.
    pub end: BarEnd,
    /// When it ends, in nanoseconds since svscan began.
    pub at: u64,
    /// The times of its events.
    pub moments: Moments,
}

impl Row {
    fn new(label: Label, moments: Moments) -> Row {
        let of = |event| moments.of(event);
        let end = [
            (TimelineEvent::Failed, BarEnd::Failed),
            (TimelineEvent::Executed, BarEnd::Began),
            (TimelineEvent::Down, BarEnd::Down),
            (TimelineEvent::Other, BarEnd::Other),
        ];
        let end = end
            .into_iter()
            .find_map(|(event, end)| of(event).map(|at| (end, at)));
        let last = moments.all().map(|(_, at)| at).max().unwrap_or(0);
        let (end, at) = end.unwrap_or((BarEnd::Open, last));
        // A file may be inconsistent: no part ends before it begins, nor after the bar.
        let mut from = moments.all().map(|(_, at)| at).min().unwrap_or(0).min(at);
        let mut parts = Vec::new();
        for (phase, first, last) in [
            (Phase::Waits, TimelineEvent::Seen, TimelineEvent::Forked),
            (Phase::SetsUp, TimelineEvent::Forked, TimelineEvent::Ready),
            (Phase::Starts, TimelineEvent::Ready, TimelineEvent::Executed),
        ] {
            let is_over = from >= at && !parts.is_empty();
            if of(first).is_none() || is_over {
                continue;
            }
            let to = of(last).unwrap_or(at).clamp(from, at);
            parts.push(Part { phase, from, to });
            from = to;
        }
        Row {
            name: shown(&label),
            label,
            parts,
            end,
            at,
            moments,
        }
    }

    /// When it begins, in nanoseconds since svscan began.
    pub fn from(&self) -> u64 {
        self.parts.first().map_or(self.at, |part| part.from)
    }

    /// How long its own start took, from the fork of its supervise on, in
    /// nanoseconds; None if it has not begun.
    pub fn took(&self) -> Option<u64> {
        let forked = self.moments.of(TimelineEvent::Forked)?;
        (self.end == BarEnd::Began).then(|| self.at.saturating_sub(forked))
    }

    /// A description in one line.
    pub fn story(&self) -> String {
        let events = self.moments.all().map(|(event, at)| {
            let what = match event {
                TimelineEvent::Seen => "seen",
                TimelineEvent::Forked => "supervise forked",
                TimelineEvent::Run => "./run forked",
                TimelineEvent::Ready => "ready",
                TimelineEvent::Executed => "executed",
                TimelineEvent::Down => "down",
                TimelineEvent::Failed => "failed",
                TimelineEvent::Other => "another program",
            };
            format!("{what} {}", time(at))
        });
        let events: Vec<String> = events.collect();
        format!("{}: {}", self.name, events.join(", "))
    }
}

/// All bars.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chart {
    /// In the order in which they end.
    pub rows: Vec<Row>,
    /// When the last of them ends, or svscan had scanned everything, in nanoseconds.
    pub end: u64,
    /// Whether svscan had scanned everything: if not, there may be more.
    pub is_whole: bool,
}

impl Chart {
    /// Makes the chart of a timeline. Of two equal events of one supervise the earlier counts.
    pub fn new(timeline: &Timeline) -> Chart {
        let mut events: BTreeMap<&Label, Moments> = BTreeMap::new();
        for record in &timeline.records {
            let moments = events.entry(&record.label).or_default();
            moments.note(record.event, record.at);
        }
        let rows = events
            .into_iter()
            .map(|(label, moments)| Row::new(label.clone(), moments));
        let mut rows: Vec<Option<Row>> = rows.map(Some).collect();
        let ends = rows.iter().flatten().map(|row| row.at);
        let order = rising(ends.zip(0..).collect());
        let in_order = order
            .iter()
            .filter_map(|(_, place)| rows.get_mut(*place)?.take());
        let rows: Vec<Row> = in_order.collect();
        let last = rows.last().map_or(0, |row| row.at);
        Chart {
            rows,
            end: last.max(timeline.scanned.unwrap_or(0)),
            is_whole: timeline.scanned.is_some(),
        }
    }

    /// The summary.
    pub fn summary(&self) -> Summary {
        let began = || self.rows.iter().filter(|row| row.end == BarEnd::Began);
        let moments = began().map(|row| row.at);
        let took = began().filter_map(Row::took);
        let longest = began().filter_map(|row| Some((row, row.took()?)));
        let longest = longest.max_by_key(|(_, took)| *took);
        let failed = self.rows.iter().filter(|row| row.end == BarEnd::Failed);
        Summary {
            is_whole: self.is_whole,
            services: self.rows.iter().filter(|row| !row.label.is_log).count(),
            logs: self.rows.iter().filter(|row| row.label.is_log).count(),
            ends: BarEnd::ALL.map(|end| {
                let rows = self.rows.iter().filter(|row| row.end == end);
                (end, rows.count())
            }),
            half: median(moments),
            last: began().next_back().map(|row| (row.name.clone(), row.at)),
            took: median(took),
            longest: longest.map(|(row, took)| (row.name.clone(), took)),
            failed: failed.take(NAMED).map(|row| row.name.clone()).collect(),
        }
    }

    /// Keeps those that `choice` selects, and returns how many are left out.
    pub fn choose(&mut self, choice: Choice) -> usize {
        let all = self.rows.len();
        match choice {
            Choice::All => {}
            Choice::Last(count) => {
                self.rows.drain(..all.saturating_sub(count));
            }
            Choice::Longest(count) => {
                let took = self.rows.iter().zip(0..);
                let took = took.filter_map(|(row, place)| Some((row.took()?, place)));
                let took = rising(took.collect());
                let mut is_chosen = vec![false; all];
                for (_, place) in took.iter().rev().take(count) {
                    if let Some(is_chosen) = is_chosen.get_mut(*place) {
                        *is_chosen = true;
                    }
                }
                let mut is_chosen = is_chosen.into_iter();
                self.rows.retain(|_| is_chosen.next() == Some(true));
            }
        }
        all - self.rows.len()
    }
}

/// The input of the drawing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// Its bars.
    pub chart: Chart,
    /// How many are left out.
    pub left_out: usize,
    /// The summary, including those.
    pub summary: Summary,
    /// When svscan began, as text.
    pub when: String,
}

impl Picture {
    /// The picture of those bars of `chart` that `choice` selects.
    pub fn new(mut chart: Chart, choice: Choice, when: String) -> Picture {
        let summary = chart.summary();
        let left_out = chart.choose(choice);
        Picture {
            chart,
            left_out,
            summary,
            when,
        }
    }

    /// The sentences above it.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = self.summary.sentences();
        if self.left_out > 0 {
            let shown = self.chart.rows.len();
            sentences.push(format!("{shown} are shown, {} are left out", self.left_out));
        }
        sentences
    }

    /// The axis; if bars are left out, it begins with the first of the others.
    pub fn axis(&self, ticks: usize) -> Axis {
        let from = match self.left_out {
            0 => 0,
            _ => self.chart.rows.iter().map(Row::from).min().unwrap_or(0),
        };
        Axis::new(from, self.chart.end, ticks)
    }

    /// The kinds of ends that occur in it.
    pub fn ends(&self) -> impl Iterator<Item = BarEnd> {
        let has = |end: &BarEnd| self.chart.rows.iter().any(|row| row.end == *end);
        BarEnd::ALL.into_iter().filter(has)
    }
}

/// Which bars to draw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// Each.
    All,
    /// This number of the last ones, in the order of the chart.
    Last(usize),
    /// This number of those whose own start took longest: see [`Row::took`].
    Longest(usize),
}

/// The summary of a chart. Times are in nanoseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Whether it is complete.
    pub is_whole: bool,
    /// The number of services.
    pub services: usize,
    /// The number of loggers.
    pub logs: usize,
    /// The number of bars with each end.
    ends: [(BarEnd, usize); 5],
    /// When half of those that have begun had done so.
    pub half: Option<u64>,
    /// The last one that has begun, and when.
    pub last: Option<(String, u64)>,
    /// The median duration of their own starts.
    pub took: Option<u64>,
    /// The one whose own start took longest, and how long.
    pub longest: Option<(String, u64)>,
    /// The names of some that have failed.
    pub failed: Vec<String>,
}

/// The maximum number of failed services that are named.
const NAMED: usize = 5;

impl Summary {
    /// The number of bars with this end.
    pub fn count(&self, end: BarEnd) -> usize {
        let found = self.ends.iter().find(|(known, _)| *known == end);
        found.map_or(0, |(_, count)| *count)
    }

    /// The summary as sentences.
    pub fn sentences(&self) -> Vec<String> {
        let count = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let of = |end: BarEnd| self.count(end);
        let mut all = count(self.services, "service");
        if self.logs > 0 {
            all.push_str(&format!(" and {}", count(self.logs, "log")));
        }
        let began = of(BarEnd::Began);
        all.push_str(&match &self.last {
            None if of(BarEnd::Other) > 0 => ", none of which is known to have begun".to_owned(),
            None => ", none has begun".to_owned(),
            Some((_, at)) => match self.is_whole && began == self.services + self.logs {
                true => format!(", all begun within {}", time(*at)),
                false => format!(", {began} begun within {}", time(*at)),
            },
        });
        let mut sentences = vec![all];
        if let (Some(half), Some((last, _)), true) = (self.half, &self.last, began > 1) {
            let half = time(half);
            let mut text = format!("half had begun after {half}, the last was {last}");
            if let (Some(took), Some((name, longest))) = (self.took, &self.longest) {
                let (took, longest) = (time(took), time(*longest));
                text.push_str(&format!(
                    "; from fork to begin: {took} (median), at most {longest} ({name})"
                ));
            }
            sentences.push(text);
        }
        let ends = [
            (BarEnd::Failed, "failed"),
            (BarEnd::Down, "down by a file down"),
            (
                BarEnd::Other,
                "not told, because supervise is another program",
            ),
            (BarEnd::Open, "not begun when this was read"),
        ];
        let rest: Vec<String> = ends
            .into_iter()
            .filter(|(end, _)| of(*end) > 0)
            .map(|(end, text)| {
                let mut text = format!("{} {text}", of(end));
                if end == BarEnd::Failed {
                    let more = of(end).saturating_sub(self.failed.len());
                    let more = (more > 0).then(|| format!("{more} more"));
                    let names: Vec<String> = self.failed.iter().cloned().chain(more).collect();
                    text.push_str(&format!(" ({})", names.join(", ")));
                }
                text
            })
            .collect();
        if !rest.is_empty() {
            sentences.push(rest.join("; "));
        }
        if !self.is_whole {
            let more = "there may be more: svscan was not through, or could not write that it was";
            sentences.push(more.to_owned());
        }
        sentences
    }
}

/// In ascending order, with their original positions. All sorting here uses this: the
/// code of a sort is large, and each type has its own copy.
fn rising(mut numbers: Vec<(u64, usize)>) -> Vec<(u64, usize)> {
    numbers.sort_unstable();
    numbers
}

/// The median; of an even count the lower of the middle two; None if empty.
fn median(numbers: impl Iterator<Item = u64>) -> Option<u64> {
    let numbers = rising(numbers.zip(0..).collect());
    let middle = numbers.len().checked_sub(1)? / 2;
    numbers.get(middle).map(|(number, _)| *number)
}

/// A name in a form that is safe on a terminal and in XML: `\xNN` for the bytes of invalid
/// UTF-8, of terminal control characters, of characters that change the direction of the
/// text around them, and for `\` itself; other text is unchanged. A log has `/log` at its
/// end.
pub fn shown(label: &Label) -> String {
    let mut name = String::new();
    for chunk in label.name.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let steers = letter.is_control()
                || matches!(letter, '\\' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
                    | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                    | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..);
            if steers {
                let mut bytes = [0; 4];
                escape(letter.encode_utf8(&mut bytes).as_bytes(), &mut name);
            } else {
                name.push(letter);
            }
        }
        escape(chunk.invalid(), &mut name);
    }
    if label.is_log {
        name.push_str("/log");
    }
    name
}

fn escape(bytes: &[u8], out: &mut String) {
    bytes
        .iter()
        .for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
}

#[cfg(test)]
#[path = "rows_tests.rs"]
pub(super) mod tests;
