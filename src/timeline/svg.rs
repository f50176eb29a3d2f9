//! The bars as a picture: SVG without scripts, for a browser or any viewer.

use super::axis::{Axis, time};
use super::rows::{End, Phase, Picture, Row};

/// All lengths are in the picture's own units, pixels if it is not scaled.
const WIDTH: f64 = 1000.0;
const EDGE: f64 = 24.0;
/// Room behind the bars, for the time at which the last ones end.
const BEHIND: f64 = 72.0;
/// From one bar to the next, if there are few.
const PITCH: f64 = 20.0;
/// As high as all bars together are, more or less, if there are many.
const HEIGHT: f64 = 1000.0;
/// Bars that are not closer have a name and a time each.
const LEGIBLE: f64 = 9.0;
/// From one name to the next, where not each bar has one.
const SAMPLE: f64 = 26.0;
/// About the width of a letter, in parts of its height.
const LETTER: f64 = 0.56;
/// A name that is longer is cut.
const NAME: usize = 34;
/// A line of text that is longer is broken.
const LINE: usize = 150;
/// The least distance of two ticks.
const TICK: f64 = 80.0;
/// Of fewer that have begun one sees which is the middle one.
const FEW: usize = 10;
/// What is short is at least as wide as that, so that it can be seen.
const THIN: f64 = 0.8;

/// The colours, which the colour-blind can tell apart, too (those of Okabe and Ito), and
/// as light as they are different; for a light and for a dark page.
const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;\
font-variant-numeric:tabular-nums;fill:#1d2127}
.page{fill:#fff}.muted{fill:#626b76}.grid{stroke:#dfe3e8}.mark{stroke:#8a939e;stroke-dasharray:3 3}
.waits{fill:#c3c9d1}.sets{fill:#0072b2}.starts{fill:#e69f00}.runs{fill:#009e73;fill-opacity:.1}
.bad{fill:none;stroke:#c43c00;stroke-width:1.8}text.bad{fill:#c43c00;stroke:none}
.off{fill:none;stroke:#626b76;stroke-width:1.4}.hit{fill:#000;fill-opacity:0}.bar:hover .hit{fill-opacity:.08}
@media (prefers-color-scheme:dark){text{fill:#e8eaed}.page{fill:#15181c}.muted{fill:#9aa4af}\
.grid{stroke:#2b3138}.mark{stroke:#77808b}.waits{fill:#4d5661}.sets{fill:#56b4e9}.starts{fill:#f0b93a}\
.runs{fill:#2fc79c;fill-opacity:.13}.bad{stroke:#ff7b3d}text.bad{fill:#ff7b3d}.off{stroke:#9aa4af}.hit{fill:#fff}}
";

/// Where things stand.
struct Layout {
    /// The left edge of the bars.
    left: f64,
    /// The right end of the axis.
    right: f64,
    /// The upper edge of the first bar.
    top: f64,
    pitch: f64,
    /// The lower edge of the last one.
    bottom: f64,
    axis: Axis,
}

impl Layout {
    fn new(picture: &Picture, top: f64) -> Layout {
        let rows = &picture.chart.rows;
        let count = number(rows.len().max(1));
        // Whole pixels, as long as there are any: bars of different heights would
        // look as if that meant something.
        let pitch = match HEIGHT / count {
            pitch if pitch >= 1.0 => pitch.floor().min(PITCH),
            pitch => (2.0 * pitch).min(1.0),
        };
        let longest = rows.iter().map(|row| row.name.chars().count());
        let longest = number(longest.max().unwrap_or(0).min(NAME));
        let left = EDGE + longest * font(pitch) * LETTER + 14.0;
        let right = WIDTH - BEHIND;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number"
        )]
        let ticks = ((right - left) / TICK) as usize;
        Layout {
            left,
            right,
            top,
            pitch,
            bottom: top + pitch * count,
            axis: picture.axis(ticks),
        }
    }

    fn x(&self, at: u64) -> f64 {
        self.left + self.axis.place(at, 1_000_000) / 1_000_000.0 * (self.right - self.left)
    }

    fn y(&self, row: usize) -> f64 {
        self.top + self.pitch * number(row)
    }

    /// Whether it is so high that the axis is wanted below as well.
    fn has_two_scales(&self) -> bool {
        self.bottom - self.top > HEIGHT / 2.0
    }
}

/// The height of the letters of a name.
fn font(pitch: f64) -> f64 {
    match pitch >= LEGIBLE {
        true => (pitch * 0.8).min(12.0),
        false => 10.0,
    }
}

/// A length to the hundredth, in as few digits as that takes.
fn n(length: f64) -> String {
    let text = format!("{length:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[allow(clippy::cast_precision_loss, reason = "counts of bars and of letters")]
fn number(count: usize) -> f64 {
    count as f64
}

/// Draws `picture`, as a whole file.
pub fn draw(picture: &Picture) -> String {
    let mut sentences = picture.summary.sentences().into_iter();
    let title = sentences.next().unwrap_or_default();
    let mut lines = vec![format!("svscan began {}", picture.when)];
    for sentence in sentences {
        lines.extend(broken(&sentence));
    }
    if picture.left_out > 0 {
        let shown = picture.chart.rows.len();
        lines.push(format!(
            "{shown} are shown, {} are left out",
            picture.left_out
        ));
    }

    let mut head = String::new();
    put_text(&mut head, EDGE, 42.0, 22.0, "font-weight=\"600\"", &title);
    let mut y = 46.0;
    for line in &lines {
        y += 18.0;
        put_text(&mut head, EDGE, y, 13.0, "class=\"muted\"", line);
    }
    y += 30.0;
    legend(picture, y, &mut head);
    let layout = Layout::new(picture, y + 44.0);

    let mut body = String::new();
    running(picture, &layout, &mut body);
    scale(&layout, &mut body);
    let bottom = half(picture, &layout, &mut body);
    for (row, number) in picture.chart.rows.iter().zip(0..) {
        bar(row, layout.y(number), &layout, &mut body);
    }
    names(picture, &layout, &mut body);

    let height = bottom + EDGE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n",
        xml(&title)
    );
    svg.push_str(&head);
    svg.push_str(&body);
    svg.push_str("</svg>\n");
    svg
}

fn put_text(out: &mut String, x: f64, y: f64, size: f64, more: &str, text: &str) {
    let (x, y, size, text) = (n(x), n(y), n(size), xml(text));
    out.push_str(&format!(
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" {more}>{text}</text>\n"
    ));
}

fn class(phase: Phase) -> &'static str {
    match phase {
        Phase::Waits => "waits",
        Phase::SetsUp => "sets",
        Phase::Starts => "starts",
    }
}

fn legend(picture: &Picture, y: f64, out: &mut String) {
    let mut x = EDGE;
    let phases = Phase::ALL.map(|phase| (Some(phase), End::Began, phase.meaning()));
    let ends = picture.ends().map(|end| match end {
        End::Began => (None, end, "runs"),
        _ => (None, end, end.word()),
    });
    for (phase, end, meaning) in phases.into_iter().chain(ends) {
        let y_of_box = y - 10.0;
        out.push_str(&match (phase, end) {
            (Some(Phase::Waits), _) => rect("waits", x, y - 6.5, 18.0, 4.0),
            (Some(phase), _) => rect(class(phase), x, y_of_box, 18.0, 11.0),
            (None, End::Began) => rect("runs", x, y_of_box, 18.0, 11.0),
            (None, end) => sign(end, x + 9.0, y - 4.5, 4.5),
        });
        put_text(out, x + 24.0, y, 12.0, "class=\"muted\"", meaning);
        x += 46.0 + number(meaning.chars().count()) * 12.0 * LETTER;
    }
}

fn rect(class: &str, x: f64, y: f64, width: f64, height: f64) -> String {
    let (x, y, width, height) = (n(x), n(y), n(width), n(height));
    format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>\n")
}

/// How a bar that has not begun ends: a sign around this point.
fn sign(end: End, x: f64, y: f64, size: f64) -> String {
    let (half, whole) = (n(size * 0.8), n(size * 1.6));
    let (left, top, middle) = (n(x - size * 0.8), n(y - size * 0.8), n(y));
    let (class, path) = match end {
        End::Began => return String::new(),
        End::Failed => (
            "bad",
            format!("M{left} {top}l{whole} {whole}m0 -{whole}l-{whole} {whole}"),
        ),
        End::Down => (
            "off",
            format!(
                "M{left} {middle}a{half} {half} 0 1 0 {whole} 0a{half} {half} 0 1 0 -{whole} 0"
            ),
        ),
        End::Other => (
            "off",
            format!("M{left} {top}l{whole} {half}l-{whole} {half}z"),
        ),
        End::Open => ("off", format!("M{left} {middle}h1.5m1.5 0h1.5m1.5 0h1.5")),
    };
    format!("<path class=\"{class}\" d=\"{path}\"/>\n")
}

/// What runs already: all that is to the right of the bars.
fn running(picture: &Picture, layout: &Layout, out: &mut String) {
    let mut path = String::new();
    for (row, number) in picture.chart.rows.iter().zip(0..) {
        if row.end == End::Began {
            let (x, y) = (n(layout.x(row.at)), n(layout.y(number)));
            let (right, height) = (n(layout.right), n(layout.pitch));
            path.push_str(&format!("M{x} {y}H{right}v{height}H{x}z"));
        }
    }
    if !path.is_empty() {
        out.push_str(&format!("<path class=\"runs\" d=\"{path}\"/>\n"));
    }
}

fn scale(layout: &Layout, out: &mut String) {
    let (top, bottom) = (layout.top - 6.0, layout.bottom + 6.0);
    for (at, label) in layout.axis.ticks() {
        let x = layout.x(at);
        out.push_str(&format!(
            "<path class=\"grid\" d=\"M{} {}V{}\"/>\n",
            n(x),
            n(top),
            n(bottom)
        ));
        let label = format!("{label} {}", layout.axis.unit.name);
        let more = "class=\"muted\" text-anchor=\"middle\"";
        put_text(out, x, top - 6.0, 11.0, more, &label);
        if layout.has_two_scales() {
            put_text(out, x, bottom + 12.0, 11.0, more, &label);
        }
    }
}

fn bar(row: &Row, y: f64, layout: &Layout, out: &mut String) {
    let pitch = layout.pitch;
    out.push_str("<g class=\"bar\"><title>");
    out.push_str(&xml(&row.story()));
    out.push_str("</title>");
    let hit = rect("hit", EDGE, y, WIDTH - 2.0 * EDGE, pitch);
    out.push_str(hit.trim_end());
    let (from, height) = match pitch {
        3.0.. => (y + pitch * 0.14, pitch * 0.72),
        _ => (y, pitch),
    };
    for part in &row.parts {
        let (x, end) = (layout.x(part.from), layout.x(part.to));
        // Nothing happens while it waits: a line is enough, where there is room for one.
        let (from, height) = match part.phase {
            Phase::Waits if pitch >= 3.0 => (y + pitch * 0.38, pitch * 0.24),
            _ => (from, height),
        };
        let part = rect(class(part.phase), x, from, (end - x).max(THIN), height);
        out.push_str(part.trim_end());
    }
    let (x, middle) = (layout.x(row.at), y + pitch / 2.0);
    let size = (pitch * 0.3).clamp(2.0, 4.5);
    let sign = sign(row.end, x + size + 1.0, middle, size);
    out.push_str(sign.trim_end());
    if pitch >= LEGIBLE {
        let (text, behind, class) = match row.end {
            End::Began => (layout.axis.tell(row.at), 5.0, "muted"),
            End::Failed => (row.end.word().to_owned(), 14.0, "bad"),
            _ => (row.end.word().to_owned(), 14.0, "muted"),
        };
        let size = font(pitch) - 1.0;
        let more = format!("class=\"{class}\"");
        let mut text_line = String::new();
        put_text(
            &mut text_line,
            x + behind,
            middle + size * 0.36,
            size,
            &more,
            &text,
        );
        out.push_str(text_line.trim_end());
    }
    out.push_str("</g>\n");
}

/// The names: each one, or some of them, what has failed before all others.
fn names(picture: &Picture, layout: &Layout, out: &mut String) {
    let rows = &picture.chart.rows;
    let size = font(layout.pitch);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number"
    )]
    let step = match layout.pitch >= LEGIBLE {
        true => 1,
        false => (SAMPLE / layout.pitch).ceil() as usize,
    };
    for (some, number) in rows.chunks(step.max(1)).zip(0..) {
        let failed = some.iter().position(|row| row.end == End::Failed);
        let place = failed.unwrap_or(0);
        let Some(row) = some.get(place) else {
            continue;
        };
        let y = layout.y(number * step + place) + layout.pitch / 2.0;
        let class = if failed.is_some() { "bad" } else { "name" };
        let x = layout.left - 8.0;
        let more = format!("class=\"{class}\" text-anchor=\"end\"");
        put_text(out, x, y + size * 0.36, size, &more, &cut(&row.name));
        if step > 1 {
            out.push_str(&format!(
                "<path class=\"grid\" d=\"M{} {}h5\"/>\n",
                n(x + 2.0),
                n(y)
            ));
        }
    }
}

/// When half had begun; gives where the picture ends.
fn half(picture: &Picture, layout: &Layout, out: &mut String) -> f64 {
    let bottom = layout.bottom + if layout.has_two_scales() { 20.0 } else { 6.0 };
    let began = picture
        .summary
        .ends
        .iter()
        .find(|(end, _)| *end == End::Began);
    let is_of_use = picture.left_out == 0 && began.is_some_and(|(_, count)| *count >= FEW);
    let Some(at) = picture.summary.half.filter(|_| is_of_use) else {
        return bottom;
    };
    let (x, top, y) = (layout.x(at), layout.top - 6.0, bottom + 18.0);
    out.push_str(&format!(
        "<path class=\"mark\" d=\"M{} {}V{}\"/>\n",
        n(x),
        n(top),
        n(y - 12.0)
    ));
    let text = format!("half had begun: {}", time(at));
    let more = "class=\"muted\" text-anchor=\"middle\"";
    put_text(out, x, y, 11.0, more, &text);
    y
}

/// A name that is not too long.
fn cut(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= NAME {
        return name.to_owned();
    }
    let half = NAME / 2;
    let start = letters.iter().take(half);
    let end = letters.iter().skip(letters.len() - (NAME - half - 1));
    start.chain([&'…']).chain(end).collect()
}

/// A sentence in lines that are not too long, if its words allow.
fn broken(sentence: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in sentence.split(' ') {
        let count = |text: &str| text.chars().count();
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if count(line) + 1 + count(word) <= LINE => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `text` as it is written in XML.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
#[path = "svg_tests.rs"]
mod tests;
