//! The bars as a picture: SVG without scripts, for a browser or any viewer.

use super::axis::{Axis, time};
use super::rows::{BarEnd, Phase, Picture, Row};
use super::words::{broken, cut};

/// A length, in hundredths of the picture's unit, which is a pixel if it is not scaled.
type Length = i64;

const WIDTH: Length = 100_000;
const EDGE: Length = 2_400;
/// The space after the bars, for the time at which the last ones end.
const BEHIND: Length = 7_200;
/// The distance of two bars, if there are few.
const PITCH: Length = 2_000;
/// The approximate height of all bars together, if there are many.
const HEIGHT: Length = 100_000;
/// At this distance or more, each bar has a name and a time.
const LEGIBLE: Length = 900;
/// The distance of two names, if not every bar has one.
const SAMPLE: Length = 2_600;
/// The approximate width of a letter, in hundredths of its height.
const LETTER: Length = 56;
/// A name that is longer is cut.
const NAME: usize = 34;
/// A line of text that is longer is broken.
const LINE: usize = 150;
/// The least distance of two ticks.
const TICK: Length = 8_000;
/// Below this number of started services, the line for the median is left out.
const FEW: usize = 10;
/// The minimum width of a part, so that it is visible.
const THIN: Length = 80;

/// The colours, which colour-blind people can distinguish (those of Okabe and Ito), and
/// which differ in lightness; for a light and for a dark page.
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

/// The layout.
struct Layout {
    /// The left edge of the bars.
    left: Length,
    /// The right end of the axis.
    right: Length,
    /// The upper edge of the first bar.
    top: Length,
    pitch: Length,
    /// The lower edge of the last one.
    bottom: Length,
    axis: Axis,
}

impl Layout {
    fn new(picture: &Picture, top: Length) -> Layout {
        let rows = &picture.chart.rows;
        let count = number(rows.len().max(1));
        // Whole pixels, if possible: different heights of bars would seem to have a meaning.
        let pitch = match HEIGHT / count {
            pitch @ 100.. => (pitch - pitch % 100).min(PITCH),
            pitch => (2 * pitch).clamp(1, 100),
        };
        let longest = rows.iter().map(|row| row.name.chars().count());
        let longest = number(longest.max().unwrap_or(0).min(NAME));
        let left = EDGE + longest * font(pitch) * LETTER / 100 + 1_400;
        let right = WIDTH - BEHIND;
        let ticks = usize::try_from((right - left) / TICK).unwrap_or(1);
        Layout {
            left,
            right,
            top,
            pitch,
            bottom: top + pitch * count,
            axis: picture.axis(ticks),
        }
    }

    fn x(&self, at: u64) -> Length {
        let width = u64::try_from(self.right - self.left).unwrap_or(0);
        self.left + Length::try_from(self.axis.position(at, width)).unwrap_or(0)
    }

    fn y(&self, row: usize) -> Length {
        self.top + self.pitch * number(row)
    }

    /// Whether it is so high that it needs an axis at the bottom, too.
    fn has_two_scales(&self) -> bool {
        self.bottom - self.top > HEIGHT / 2
    }
}

/// The height of the letters of a name.
fn font(pitch: Length) -> Length {
    match pitch >= LEGIBLE {
        true => (pitch * 8 / 10).min(1_200),
        false => 1_000,
    }
}

/// A length with as few digits as possible.
fn n(length: Length) -> String {
    match (length / 100, length % 100) {
        (whole, 0) => whole.to_string(),
        (whole, part) if part % 10 == 0 => format!("{whole}.{}", part / 10),
        (whole, part) => format!("{whole}.{part:02}"),
    }
}

fn number(count: usize) -> Length {
    Length::try_from(count).unwrap_or(Length::MAX / WIDTH)
}

/// Draws `picture`, as a whole file.
pub fn draw(picture: &Picture) -> String {
    let mut sentences = picture.sentences().into_iter();
    let title = sentences.next().unwrap_or_default();
    let mut lines = vec![format!("svscan began {}", picture.when)];
    for sentence in sentences {
        lines.extend(broken(&sentence, LINE));
    }

    let mut head = String::new();
    put_text(&mut head, EDGE, 4_200, 2_200, "font-weight=\"600\"", &title);
    let mut y = 4_600;
    for line in &lines {
        y += 1_800;
        put_text(&mut head, EDGE, y, 1_300, "class=\"muted\"", line);
    }
    y += 3_000;
    legend(picture, y, &mut head);
    let layout = Layout::new(picture, y + 4_400);

    let mut body = String::new();
    running(picture, &layout, &mut body);
    scale(&layout, &mut body);
    let bottom = half(picture, &layout, &mut body);
    for (row, number) in picture.chart.rows.iter().zip(0..) {
        bar(row, layout.y(number), &layout, &mut body);
    }
    names(picture, &layout, &mut body);

    let (width, height) = (n(WIDTH), n(bottom + EDGE));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n",
        xml(&title)
    );
    svg.push_str(&head);
    svg.push_str(&body);
    svg.push_str("</svg>\n");
    svg
}

fn put_text(out: &mut String, x: Length, y: Length, size: Length, more: &str, text: &str) {
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

fn legend(picture: &Picture, y: Length, out: &mut String) {
    let mut x = EDGE;
    let phases = Phase::ALL.map(|phase| (Some(phase), BarEnd::Began, phase.meaning()));
    let ends = picture.ends().map(|end| match end {
        BarEnd::Began => (None, end, "runs"),
        _ => (None, end, end.word()),
    });
    for (phase, end, meaning) in phases.into_iter().chain(ends) {
        let y_of_box = y - 1_000;
        out.push_str(&match (phase, end) {
            (Some(Phase::Waits), _) => rect("waits", x, y - 650, 1_800, 400),
            (Some(phase), _) => rect(class(phase), x, y_of_box, 1_800, 1_100),
            (None, BarEnd::Began) => rect("runs", x, y_of_box, 1_800, 1_100),
            (None, end) => sign(end, x + 900, y - 450, 450),
        });
        put_text(out, x + 2_400, y, 1_200, "class=\"muted\"", meaning);
        x += 4_600 + number(meaning.chars().count()) * 12 * LETTER;
    }
}

fn rect(class: &str, x: Length, y: Length, width: Length, height: Length) -> String {
    let (x, y, width, height) = (n(x), n(y), n(width), n(height));
    format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>\n")
}

/// Draws the sign at this point for the end of a bar whose service has not started.
fn sign(end: BarEnd, x: Length, y: Length, size: Length) -> String {
    let (half, whole) = (n(size * 8 / 10), n(size * 16 / 10));
    let (left, top, middle) = (n(x - size * 8 / 10), n(y - size * 8 / 10), n(y));
    let (class, path) = match end {
        BarEnd::Began => return String::new(),
        BarEnd::Failed => (
            "bad",
            format!("M{left} {top}l{whole} {whole}m0 -{whole}l-{whole} {whole}"),
        ),
        BarEnd::Down => (
            "off",
            format!(
                "M{left} {middle}a{half} {half} 0 1 0 {whole} 0a{half} {half} 0 1 0 -{whole} 0"
            ),
        ),
        BarEnd::Other => (
            "off",
            format!("M{left} {top}l{whole} {half}l-{whole} {half}z"),
        ),
        BarEnd::Open => ("off", format!("M{left} {middle}h1.5m1.5 0h1.5m1.5 0h1.5")),
    };
    format!("<path class=\"{class}\" d=\"{path}\"/>\n")
}

/// The running services: the area to the right of the bars.
fn running(picture: &Picture, layout: &Layout, out: &mut String) {
    let mut path = String::new();
    for (row, number) in picture.chart.rows.iter().zip(0..) {
        if row.end == BarEnd::Began {
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
    let (top, bottom) = (layout.top - 600, layout.bottom + 600);
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
        put_text(out, x, top - 600, 1_100, more, &label);
        if layout.has_two_scales() {
            put_text(out, x, bottom + 1_200, 1_100, more, &label);
        }
    }
}

fn bar(row: &Row, y: Length, layout: &Layout, out: &mut String) {
    let pitch = layout.pitch;
    out.push_str("<g class=\"bar\"><title>");
    out.push_str(&xml(&row.story()));
    out.push_str("</title>");
    let hit = rect("hit", EDGE, y, WIDTH - 2 * EDGE, pitch);
    out.push_str(hit.trim_end());
    let (from, height) = match pitch {
        300.. => (y + pitch * 14 / 100, pitch * 72 / 100),
        _ => (y, pitch),
    };
    for part in &row.parts {
        let (x, end) = (layout.x(part.from), layout.x(part.to));
        // Nothing happens while it waits, so a line is enough, if there is space for one.
        let (from, height) = match part.phase {
            Phase::Waits if pitch >= 300 => (y + pitch * 38 / 100, pitch * 24 / 100),
            _ => (from, height),
        };
        let part = rect(class(part.phase), x, from, (end - x).max(THIN), height);
        out.push_str(part.trim_end());
    }
    let (x, middle) = (layout.x(row.at), y + pitch / 2);
    let size = (pitch * 3 / 10).clamp(200, 450);
    let sign = sign(row.end, x + size + 100, middle, size);
    out.push_str(sign.trim_end());
    if pitch >= LEGIBLE {
        let (text, behind, class) = match row.end {
            BarEnd::Began => (layout.axis.label(row.at), 500, "muted"),
            BarEnd::Failed => (row.end.word().to_owned(), 1_400, "bad"),
            _ => (row.end.word().to_owned(), 1_400, "muted"),
        };
        let size = font(pitch) - 100;
        let more = format!("class=\"{class}\"");
        let mut text_line = String::new();
        put_text(
            &mut text_line,
            x + behind,
            middle + size * 36 / 100,
            size,
            &more,
            &text,
        );
        out.push_str(text_line.trim_end());
    }
    out.push_str("</g>\n");
}

/// The names: each one, or some of them, first those that have failed.
fn names(picture: &Picture, layout: &Layout, out: &mut String) {
    let rows = &picture.chart.rows;
    let size = font(layout.pitch);
    let step = match layout.pitch >= LEGIBLE {
        true => 1,
        false => usize::try_from(SAMPLE / layout.pitch + 1).unwrap_or(1),
    };
    for (some, number) in rows.chunks(step).zip(0..) {
        let failed = some.iter().position(|row| row.end == BarEnd::Failed);
        let place = failed.unwrap_or(0);
        let Some(row) = some.get(place) else {
            continue;
        };
        let y = layout.y(number * step + place) + layout.pitch / 2;
        let class = if failed.is_some() { "bad" } else { "name" };
        let x = layout.left - 800;
        let more = format!("class=\"{class}\" text-anchor=\"end\"");
        put_text(
            out,
            x,
            y + size * 36 / 100,
            size,
            &more,
            &cut(&row.name, NAME, '…'),
        );
        if step > 1 {
            out.push_str(&format!(
                "<path class=\"grid\" d=\"M{} {}h5\"/>\n",
                n(x + 200),
                n(y)
            ));
        }
    }
}

/// Draws the line at which half of the services had started; returns the bottom of the picture.
fn half(picture: &Picture, layout: &Layout, out: &mut String) -> Length {
    let bottom = layout.bottom + if layout.has_two_scales() { 2_000 } else { 600 };
    let is_of_use = picture.left_out == 0 && picture.summary.count(BarEnd::Began) >= FEW;
    let Some(at) = picture.summary.half.filter(|_| is_of_use) else {
        return bottom;
    };
    let (x, top, y) = (layout.x(at), layout.top - 600, bottom + 1_800);
    out.push_str(&format!(
        "<path class=\"mark\" d=\"M{} {}V{}\"/>\n",
        n(x),
        n(top),
        n(y - 1_200)
    ));
    let text = format!("half had begun: {}", time(at));
    let more = "class=\"muted\" text-anchor=\"middle\"";
    put_text(out, x, y, 1_100, more, &text);
    y
}

/// `text`, escaped for XML.
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
