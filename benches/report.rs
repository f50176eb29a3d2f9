//! What was measured, beside its bound; the tables of `docs/performance.md`.

use crate::common::median;
use crate::verdict::{is_broken, paired};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// What a figure of ours must not exceed.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// So many times the smallest figure of the peers.
    Best(f64),
    /// So many times the figure of this one.
    Of(&'static str, f64),
    /// This.
    AtMost(f64),
}

/// One line of a table: the less the better.
pub(crate) struct Figure {
    what: String,
    unit: &'static str,
    /// One figure for each round.
    ours: Vec<f64>,
    /// The peers by name, and the limit that is measured with them; one figure for each round.
    others: Vec<(&'static str, Vec<f64>)>,
    bounds: Vec<Bound>,
}

/// Those who are peers; anything else is a limit.
const PEERS: [&str; 5] = ["daemontools", "runit", "s6", "s6-log", "svlogd"];

impl Figure {
    /// From the figures of all `contenders`, ours first.
    pub(crate) fn new(
        what: impl Into<String>,
        unit: &'static str,
        contenders: impl IntoIterator<Item = (&'static str, Vec<f64>)>,
        bounds: Vec<Bound>,
    ) -> Figure {
        let mut others: Vec<_> = contenders.into_iter().collect();
        let (_, ours) = others.remove(0);
        Figure {
            what: what.into(),
            unit,
            ours,
            others,
            bounds,
        }
    }

    fn ours(&self) -> f64 {
        median(&self.ours)
    }

    fn rounds_of(&self, name: &str) -> Option<&[f64]> {
        let found = self.others.iter().find(|(other, _)| *other == name);
        found.map(|(_, figures)| figures.as_slice())
    }

    fn of(&self, name: &str) -> Option<f64> {
        self.rounds_of(name).map(median)
    }

    /// The peer with the smallest figure.
    fn best(&self) -> Option<&'static str> {
        let peers = self.others.iter().filter(|(name, _)| PEERS.contains(name));
        let peers = peers.map(|(name, figures)| (*name, median(figures)));
        let best = peers.min_by(|(_, one), (_, other)| one.total_cmp(other));
        best.map(|(name, _)| name)
    }

    /// Ours to theirs.
    fn ratio(&self, name: &str) -> Option<String> {
        Some(format!("{:.2}", self.ours() / self.of(name)?))
    }

    /// The words of `bound`, and whether it is kept; None if it cannot be told because
    /// that peer is missing.
    fn judge(&self, bound: Bound) -> (String, Option<bool>) {
        let (ratios, most, words) = match bound {
            Bound::Best(factor) => {
                let base = self.best().and_then(|name| self.rounds_of(name));
                let ratios = base.map(|base| paired(&self.ours, base));
                (ratios, factor, format!("{factor} of the best"))
            }
            Bound::Of(name, factor) => {
                let ratios = self.rounds_of(name).map(|base| paired(&self.ours, base));
                (ratios, factor, format!("{factor} of {name}"))
            }
            Bound::AtMost(most) => {
                let words = format!("{most} {}", self.unit);
                (Some(self.ours.clone()), most, words)
            }
        };
        (words, ratios.map(|ratios| !is_broken(&ratios, most)))
    }
}

/// All that was measured.
#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<(&'static str, Figure)>,
    texts: Vec<(&'static str, String)>,
    left_out: Vec<String>,
}

impl Report {
    /// Notes a figure for the table `table`, and prints it.
    pub(crate) fn add(&mut self, table: &'static str, figure: Figure) {
        let mut line = format!("{table}: {}: ours {}", figure.what, short(figure.ours()));
        for (name, rounds) in &figure.others {
            let value = median(rounds);
            let _ = write!(
                line,
                ", {name} {} ({:.2})",
                short(value),
                figure.ours() / value
            );
        }
        let _ = write!(line, " {}", figure.unit);
        for bound in &figure.bounds {
            let (words, kept) = figure.judge(*bound);
            let verdict = match kept {
                Some(true) => "kept",
                Some(false) => "BROKEN",
                None => "cannot be told",
            };
            let _ = write!(line, "; at most {words}: {verdict}");
        }
        println!("{line}");
        self.figures.push((table, figure));
    }

    /// Notes that something is not measured, and why.
    pub(crate) fn leave_out(&mut self, what: String) {
        println!("left out: {what}");
        self.left_out.push(what);
    }

    /// Whether `program` is there; else it is left out.
    pub(crate) fn has(&mut self, program: &Path) -> bool {
        let is_there = program.exists();
        if !is_there {
            self.leave_out(format!("{} (not installed)", program.display()));
        }
        is_there
    }

    /// Text for the place `place` of the page.
    pub(crate) fn say(&mut self, place: &'static str, text: String) {
        println!("{place}:\n{text}");
        self.texts.push((place, text));
    }

    /// How many bounds are broken, and how many cannot be told.
    pub(crate) fn judged(&self) -> (usize, usize) {
        let judged = self.figures.iter().flat_map(|(_, figure)| {
            let bounds = figure.bounds.iter();
            bounds.map(|bound| figure.judge(*bound).1)
        });
        let judged: Vec<Option<bool>> = judged.collect();
        let count = |what| judged.iter().filter(|kept| **kept == what).count();
        (count(Some(false)), count(None))
    }

    /// Puts what was measured into the page `path`, each table between the lines
    /// `<!-- NAME -->` and `<!-- end -->`.
    ///
    /// # Errors
    /// What is missing for a page that tells all; then it stays as it is.
    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        if let [first, ..] = self.left_out.as_slice() {
            return Err(format!("left out: {first}"));
        }
        if self.judged().1 > 0 {
            return Err("a bound cannot be told".to_owned());
        }
        let tables = self.figures.iter().map(|(table, _)| *table);
        let mut filled: BTreeMap<&str, String> =
            tables.map(|table| (table, self.table(table))).collect();
        filled.extend(self.texts.iter().cloned());
        let mut page = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let places = page.lines().filter_map(|line| {
            let place = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
            (place != "end").then_some(place)
        });
        for place in places {
            if !filled.contains_key(place) {
                return Err(format!("there is nothing for its place {place}"));
            }
        }
        for (place, text) in filled {
            page = put(&page, place, &text)?;
        }
        fs::write(path, page).map_err(|error| error.to_string())
    }

    fn table(&self, table: &str) -> String {
        let figures = self.figures.iter().filter(|(name, _)| *name == table);
        let figures: Vec<&Figure> = figures.map(|(_, figure)| figure).collect();
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in figures.iter().flat_map(|figure| &figure.others) {
            if !names.contains(name) {
                names.push(name);
            }
        }
        // Peers in their order, then limits.
        names.sort_by_key(|name| {
            PEERS
                .iter()
                .position(|peer| peer == name)
                .unwrap_or(PEERS.len())
        });
        let others: String = names.iter().map(|name| format!(" {name} |")).collect();
        let mut text = format!("| | ours |{others} ratio | at most |\n");
        text.push_str(&"|---".repeat(names.len() + 4));
        text.push_str("|\n");
        for figure in figures {
            let _ = write!(
                text,
                "| {} ({}) | {} ",
                figure.what,
                figure.unit,
                short(figure.ours())
            );
            for name in &names {
                let cell = figure.of(name).map(short).unwrap_or_default();
                let _ = write!(text, "| {cell} ");
            }
            let bounds = figure.bounds.iter().map(|bound| {
                let (words, kept) = figure.judge(*bound);
                match kept {
                    Some(true) => words,
                    Some(false) => format!("**{words}**"),
                    None => format!("{words}: cannot be told"),
                }
            });
            let ratios: Vec<String> = match figure.bounds.as_slice() {
                [] => (figure.best().and_then(|name| figure.ratio(name)))
                    .into_iter()
                    .collect(),
                bounds => bounds
                    .iter()
                    .filter_map(|bound| match bound {
                        Bound::Best(_) => figure.best().and_then(|name| figure.ratio(name)),
                        Bound::Of(name, _) => figure.ratio(name),
                        Bound::AtMost(_) => None,
                    })
                    .collect(),
            };
            let bounds: Vec<String> = bounds.collect();
            let _ = writeln!(text, "| {} | {} |", ratios.join(", "), bounds.join(", "));
        }
        text
    }
}

/// Three digits that count.
pub(crate) fn short(figure: f64) -> String {
    match figure {
        0.0 => "0".to_owned(),
        _ if figure >= 100.0 => format!("{figure:.0}"),
        _ if figure >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

fn put(page: &str, place: &str, text: &str) -> Result<String, String> {
    let begin = format!("<!-- {place} -->\n");
    let at = page.find(&begin);
    let at = at.ok_or_else(|| format!("it has no place for {place}"))?;
    let (before, rest) = page.split_at(at + begin.len());
    let end = rest.find("<!-- end -->");
    let end = end.ok_or_else(|| format!("its place {place} has no end"))?;
    Ok(format!("{before}{}\n{}", text.trim_end(), &rest[end..]))
}
