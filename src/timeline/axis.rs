//! Formats times for people, and finds round ticks for an axis.

/// A unit of time: the nanoseconds in one, and its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unit {
    /// Its length in nanoseconds.
    pub nanoseconds: u64,
    /// Its name, such as `ms`.
    pub name: &'static str,
}

/// The units, the smallest first.
const UNITS: [Unit; 3] = [
    Unit {
        nanoseconds: 1_000,
        name: "µs",
    },
    Unit {
        nanoseconds: 1_000_000,
        name: "ms",
    },
    Unit {
        nanoseconds: 1_000_000_000,
        name: "s",
    },
];

/// An axis with ticks at round times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Axis {
    /// The unit of all its labels.
    pub unit: Unit,
    /// The distance of two ticks, in nanoseconds; at least 1.
    pub step: u64,
    /// Its start, in nanoseconds.
    pub from: u64,
    /// Its end, in nanoseconds; at least 1 after the start, unless that is the largest number.
    pub end: u64,
}

impl Axis {
    /// An axis from `from` to `end`, in nanoseconds, with about `ticks` ticks at most: one
    /// every 1, 2 or 5 times a power of ten.
    pub fn new(from: u64, end: u64, ticks: usize) -> Axis {
        let end = end.max(from.saturating_add(1));
        let length = end.saturating_sub(from).max(1);
        let least = length.div_ceil(u64::try_from(ticks).unwrap_or(1).max(1));
        let powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
        let steps = powers.flat_map(|power| [1, 2, 5].map(|n| power.checked_mul(n)));
        let step = steps.flatten().find(|step| *step >= least);
        Axis {
            unit: unit(end),
            step: step.unwrap_or(length),
            from,
            end,
        }
    }

    /// The position, between 0 and `width`, of a time in nanoseconds.
    pub fn position(&self, at: u64, width: u64) -> u64 {
        let length = self.end.saturating_sub(self.from).max(1);
        let behind = at.saturating_sub(self.from).min(length);
        let place = u128::from(behind) * u128::from(width) / u128::from(length);
        u64::try_from(place).unwrap_or(width)
    }

    /// The ticks, in nanoseconds, each with its label without the unit.
    pub fn ticks(&self) -> impl Iterator<Item = (u64, String)> {
        let unit = self.unit;
        let digits = unit.nanoseconds.ilog10();
        // Enough decimals to distinguish one tick from the next.
        let decimals = digits.saturating_sub(trailing_zeros(self.step));
        let label = move |at| exact(at, unit, decimals);
        let moments = (self.from.div_ceil(self.step)..=self.end / self.step)
            .map(|n| n.saturating_mul(self.step));
        moments.map(move |at| (at, label(at)))
    }

    /// A time in the unit of the axis, as exact as the axis shows it.
    pub fn label(&self, at: u64) -> String {
        let seen = self.end.saturating_sub(self.from) / 100;
        let digits = self.unit.nanoseconds.ilog10();
        let decimals = digits.saturating_sub(seen.checked_ilog10().unwrap_or(0));
        format!("{} {}", exact(at, self.unit, decimals), self.unit.name)
    }
}

/// A number of nanoseconds in a unit, with this number of decimals, or all if there are
/// fewer.
fn exact(nanoseconds: u64, unit: Unit, decimals: u32) -> String {
    let digits = unit.nanoseconds.ilog10();
    let decimals = decimals.min(digits);
    let per = 10_u64.pow(digits - decimals);
    let number = nanoseconds / per + u64::from(nanoseconds % per * 2 >= per);
    let (whole, rest) = (number / 10_u64.pow(decimals), number % 10_u64.pow(decimals));
    match decimals {
        0 => whole.to_string(),
        _ => format!("{whole}.{rest:0width$}", width = decimals as usize),
    }
}

/// The number of trailing zeros.
fn trailing_zeros(mut number: u64) -> u32 {
    let mut zeros = 0;
    while number != 0 && number.is_multiple_of(10) {
        number /= 10;
        zeros += 1;
    }
    zeros
}

/// The largest unit that is not longer than the time.
fn unit(nanoseconds: u64) -> Unit {
    let [micro, milli, second] = UNITS;
    match nanoseconds {
        ..1_000_000 => micro,
        1_000_000..1_000_000_000 => milli,
        _ => second,
    }
}

/// A time in nanoseconds with three digits, such as `84.2 ms`.
pub fn time(nanoseconds: u64) -> String {
    let mut unit = unit(nanoseconds);
    let digits = |unit: Unit| {
        // In thousandths of the unit, of which enough are printed for three digits.
        let thousandths = u128::from(nanoseconds) * 1000 / u128::from(unit.nanoseconds);
        let thousandths = u64::try_from(thousandths).unwrap_or(u64::MAX);
        let round = |per: u64| (thousandths + per / 2) / per;
        match thousandths {
            ..9_995 => (round(10), 2),
            9_995..99_950 => (round(100), 1),
            _ => (round(1000), 0),
        }
    };
    let (mut number, mut decimals) = digits(unit);
    // 999.6 µs are 1.00 ms.
    let next = UNITS.into_iter().find(|u| u.nanoseconds > unit.nanoseconds);
    if let Some(next) = next.filter(|_| decimals == 0 && number == 1000) {
        (unit, number, decimals) = (next, 100, 2);
    }
    let per = 10_u64.pow(decimals);
    match decimals {
        0 => format!("{number} {}", unit.name),
        _ => format!(
            "{}.{:0width$} {}",
            number / per,
            number % per,
            unit.name,
            width = decimals as usize
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_three_digits() {
        for (nanoseconds, expected) in [
            (0, "0.00 µs"),
            (4, "0.00 µs"),
            (5, "0.01 µs"),
            (9_994, "9.99 µs"),
            (9_995, "10.0 µs"),
            (99_949, "99.9 µs"),
            (99_950, "100 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (1_000_000, "1.00 ms"),
            (84_249_999, "84.2 ms"),
            (999_999_999, "1.00 s"),
            (12_345_678_901, "12.3 s"),
            (3_600_000_000_000, "3600 s"),
        ] {
            assert_eq!(time(nanoseconds), expected, "{nanoseconds}");
        }
        assert_eq!(time(u64::MAX), "18446744074 s");
    }

    fn labels(end: u64, ticks: usize) -> String {
        let axis = Axis::new(0, end, ticks);
        let labels: Vec<String> = axis.ticks().map(|(_, label)| label).collect();
        format!("{} {}", labels.join(" "), axis.unit.name)
    }

    #[test]
    fn the_ticks_of_an_axis_are_round() {
        for (end, ticks, expected) in [
            (84_000_000, 10, "0 10 20 30 40 50 60 70 80 ms"),
            (84_000_000, 5, "0 20 40 60 80 ms"),
            (1_234_567, 6, "0.0 0.5 1.0 ms"),
            (1_234_567, 7, "0.0 0.2 0.4 0.6 0.8 1.0 1.2 ms"),
            (12_000, 3, "0 5 10 µs"),
            (2_000_000_000, 8, "0.0 0.5 1.0 1.5 2.0 s"),
            (1, 10, "0.000 0.001 µs"),
            (0, 0, "0.000 0.001 µs"),
        ] {
            assert_eq!(labels(end, ticks), expected, "{end}");
        }
    }

    #[test]
    fn an_axis_need_not_begin_at_0() {
        let axis = Axis::new(35_000_000, 84_000_000, 5);
        let ticks: Vec<u64> = axis.ticks().map(|(at, _)| at / 1_000_000).collect();
        assert_eq!(ticks, [40, 50, 60, 70, 80]);
        assert_eq!(axis.position(35_000_000, 49), 0);
        assert_eq!(axis.position(84_000_000, 49), 49);
        assert_eq!(axis.position(1, 49), 0);
        assert_eq!(axis.position(u64::MAX, 49), 49);
    }

    #[test]
    fn a_moment_is_told_as_exactly_as_an_axis_shows_it() {
        for (from, end, expected) in [
            (0, 61_900_000, "1873.5 ms"),
            (0, 3_920_000, "1873.46 ms"),
            (0, 1_870_000_000, "1.87 s"),
            (1_780_000_000, 1_880_000_000, "1.873 s"),
            (1_873_456_789, 1_873_456_790, "1.873456789 s"),
            (0, 1, "1873456.789 µs"),
        ] {
            assert_eq!(Axis::new(from, end, 5).label(1_873_456_789), expected);
        }
    }

    #[test]
    fn no_axis_has_many_more_ticks_than_it_was_asked_for() {
        let ends = std::iter::successors(Some(1_u64), |end| end.checked_mul(3));
        for end in ends.chain([u64::MAX, u64::MAX - 1]) {
            for (ticks, part) in (0..20).flat_map(|ticks| [0, 1, 3].map(|part| (ticks, part))) {
                let axis = Axis::new(end / 4 * part, end, ticks);
                assert!(axis.ticks().count() <= ticks.max(1) + 1);
                assert!(
                    axis.ticks()
                        .all(|(at, _)| axis.from <= at && at <= axis.end)
                );
                assert!((0..=80).contains(&axis.position(end / 7, 80)));
                let labels: Vec<String> = axis.ticks().map(|(_, label)| label).collect();
                assert!(labels.windows(2).all(|two| two[0] != two[1]), "{labels:?}");
            }
        }
    }
}
