//! The patterns of `+` and `-`.

/// Whether the whole of `text` matches `pattern`, as multilog(8) has it: `*` skips
/// up to the first byte equal to the one behind it in the pattern and never goes
/// back; at the pattern's end it matches the rest; every other byte stands for
/// itself. So `*bar` matches `foobar` but not `foobabar`, and behind a `*` another
/// `*` first stands for itself: `a**b` matches `a*b`, not `ab`.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut text = text;
    let mut pattern = pattern;
    while let Some((first, rest)) = pattern.split_first() {
        if *first == b'*' {
            let Some(wanted) = rest.first() else {
                return true;
            };
            let Some(place) = memchr::memchr(*wanted, text) else {
                return false;
            };
            text = text.get(place..).unwrap_or_default();
        } else {
            match text.split_first() {
                Some((byte, behind)) if byte == first => text = behind,
                _ => return false,
            }
        }
        pattern = rest;
    }
    text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// The rules, a byte at a time and from their words alone.
    fn plain(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*'], _) => true,
            ([b'*', wanted, ..], [byte, rest @ ..]) if byte != wanted => {
                let _ = rest;
                plain(pattern, rest)
            }
            ([b'*', _, ..], []) => false,
            ([b'*', rest @ ..], _) => plain(rest, text),
            ([first, rest @ ..], [byte, behind @ ..]) => first == byte && plain(rest, behind),
            ([_, ..], []) => false,
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
                    plain(&pattern, &text),
                    "{} {}",
                    pattern.escape_ascii(),
                    text.escape_ascii()
                );
            }
        }
    }
}
