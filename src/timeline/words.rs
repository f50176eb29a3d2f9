//! Texts that are shortened or wrapped to a width.

/// A name in at most `most` characters. The end of a long name is as significant as its
/// beginning, so `mark` replaces its middle.
pub(super) fn cut(name: &str, most: usize, mark: char) -> String {
    let count = name.chars().count();
    if count <= most {
        return name.to_owned();
    }
    let end = most / 2;
    let start = most.saturating_sub(end + 1);
    let mut short: String = name.chars().take(start).collect();
    short.push(mark);
    short.extend(name.chars().skip(count.saturating_sub(end)));
    short
}

/// A sentence in lines of at most `most` characters, if its words allow.
pub(super) fn broken(sentence: &str, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in sentence.split(' ') {
        let count = word.chars().count();
        if used > 0 && used + 1 + count > most {
            lines.push(std::mem::take(&mut line));
            used = 0;
        } else if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += count;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_name_both_ends_are_shown() {
        assert_eq!(cut("squid", 5, '…'), "squid");
        assert_eq!(cut("größe", 5, '…'), "größe");
        assert_eq!(cut("squid-cache/log", 9, '…'), "squi…/log");
        assert_eq!(cut("squid-cache/log", 8, '~'), "squ~/log");
        assert_eq!(cut("squid", 1, '~'), "~");
        assert_eq!(cut("squid", 0, '~'), "~");
    }

    #[test]
    fn a_sentence_is_broken_between_words_only() {
        assert_eq!(broken("a bc def", 4), ["a bc", "def"]);
        assert_eq!(broken("a bc def", 8), ["a bc def"]);
        assert_eq!(
            broken("größe a longword b", 7),
            ["größe a", "longword", "b"]
        );
        assert_eq!(broken("", 5), [""]);
    }
}
