//! The patterns of `+` and `-`.

/// A pattern as in multilog(8): `*` skips up to the first byte equal to the one after it in the
/// pattern and never goes back; at the end of the pattern it matches the rest; every other byte
/// matches itself. So `*bar` matches `foobar` but not `foobabar`, and after a `*` another `*`
/// first matches itself: `a**b` matches `a*b`, not `ab`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    steps: Vec<Step>,
    /// Whether it ends in a `*`.
    is_open: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    /// A `*` followed by this byte.
    SkipTo(u8),
    /// Literal bytes.
    Bytes(Vec<u8>),
}

impl Pattern {
    /// Parses `pattern`; every pattern is valid.
    pub fn new(pattern: &[u8]) -> Pattern {
        let mut steps = Vec::new();
        let mut rest = pattern;
        while let Some(first) = rest.first() {
            if *first == b'*' {
                rest = rest.get(1..).unwrap_or_default();
                let Some(wanted) = rest.first() else {
                    let is_open = true;
                    return Pattern { steps, is_open };
                };
                steps.push(Step::SkipTo(*wanted));
            } else {
                let star = memchr::memchr(b'*', rest).unwrap_or(rest.len());
                let (bytes, behind) = rest.split_at(star);
                steps.push(Step::Bytes(bytes.to_vec()));
                rest = behind;
            }
        }
        let is_open = false;
        Pattern { steps, is_open }
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        let mut text = text;
        for step in &self.steps {
            let behind = match step {
                Step::SkipTo(wanted) => {
                    memchr::memchr(*wanted, text).and_then(|index| text.get(index..))
                }
                Step::Bytes(bytes) => text.strip_prefix(bytes.as_slice()),
            };
            match behind {
                Some(behind) => text = behind,
                None => return false,
            }
        }
        self.is_open || text.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;
    use crate::multilog::model;
    use crate::numbers::Numbers;

    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        Pattern::new(pattern).matches(text)
    }

    #[test]
    fn the_examples_of_the_manual_and_its_corners() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("hello", "hello", true),
            ("hello", "helloo", false),
            ("hello", "hell", false),
            ("*bar", "foobar", true),
            ("*bar", "foobabar", false),
            ("hello: *: *", "hello: a: b", true),
            ("hello: *: *", "hello: a b", false),
            ("**", "abc", false),
            ("**", "a*c", true),
            ("**c", "abc", false),
            ("a**b", "a*b", true),
            ("a**b", "ab", false),
            ("*x", "", false),
            ("x*", "x", true),
            ("\\*", "\\anything", true),
        ] {
            let found = matches(pattern.as_bytes(), text.as_bytes());
            assert_eq!(found, expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn every_short_pattern_and_text_is_as_the_plain_rules_say() {
        fn words(letters: &[u8], longest: usize) -> Vec<Vec<u8>> {
            let mut all = vec![vec![]];
            let mut last = all.clone();
            for _ in 0..longest {
                last = last
                    .iter()
                    .flat_map(|word| {
                        letters
                            .iter()
                            .map(|letter| [word.as_slice(), &[*letter]].concat())
                    })
                    .collect();
                all.extend(last.iter().cloned());
            }
            all
        }
        for pattern in words(b"ab*", 5) {
            for text in words(b"ab*", 5) {
                assert_eq!(
                    matches(&pattern, &text),
                    model::matches(&pattern, &text),
                    "{} {}",
                    pattern.escape_ascii(),
                    text.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn long_ones_match_as_the_plain_rules_say() {
        let mut numbers = Numbers(0xDEAD_BEEF_0BAD_F00D);
        let mut matched = 0;
        for _ in 0..50_000 {
            let length = numbers.below(30);
            let text = numbers.some(length, b"ab* \0\xff");
            // From the text, so that some match: stars instead of some of it.
            let mut wanted = Vec::new();
            let mut at = 0;
            while at < text.len() {
                if numbers.below(5) == 0 {
                    wanted.push(b'*');
                    at += numbers.below(6);
                } else {
                    wanted.push(if numbers.below(40) == 0 {
                        b'a'
                    } else {
                        text[at]
                    });
                    at += 1;
                }
            }
            if numbers.below(3) == 0 {
                wanted.push(b'*');
            }
            let expected = model::matches(&wanted, &text);
            matched += usize::from(expected);
            assert_eq!(
                matches(&wanted, &text),
                expected,
                "{} {}",
                wanted.escape_ascii(),
                text.escape_ascii()
            );
        }
        assert!((10_000..40_000).contains(&matched), "{matched}");
    }
}
