//! Option letters, parsed as by daemontools' own getopt.
//!
//! Options end at the first word that does not begin with `-`; a `-` alone is an operand and
//! ends them, too; a word that begins with `--` ends them and is dropped, whatever follows in
//! it. Letters may be combined in a word.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// A parsed command line of options without arguments.
#[derive(Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The option letters in the order they were typed.
    pub letters: Vec<u8>,
    /// The words after the options.
    pub operands: &'a [OsString],
}

/// An error in an option.
#[derive(Debug, PartialEq, Eq)]
pub enum Bad {
    /// A letter that is no option.
    Illegal(u8),
    /// An option that lacks its argument.
    Lacking(u8),
}

impl Bad {
    /// The line to print: `PROG: illegal option -- Z`, PROG being the last part
    /// of the name the program was called by.
    pub fn line(&self, called: &OsStr) -> Vec<u8> {
        let name = called.as_bytes().rsplit(|byte| *byte == b'/').next();
        let (what, letter) = match self {
            Bad::Illegal(letter) => ("illegal option", *letter),
            Bad::Lacking(letter) => ("option requires an argument", *letter),
        };
        let what = format!(": {what} -- ").into_bytes();
        [name.unwrap_or_default(), &what, &[letter], b"\n"].concat()
    }
}

/// The options of a command line, one after the other.
#[derive(Debug)]
pub struct OptionLetters<'a, 'b> {
    /// The words that are not parsed yet, while there are options.
    words: &'a [OsString],
    /// The rest of the current word.
    cluster: &'a [u8],
    flags: &'b [u8],
    with_argument: &'b [u8],
    operands: &'a [OsString],
}

impl<'a, 'b> OptionLetters<'a, 'b> {
    /// Parses `words` (without the program's own name), in which the letters `flags` are
    /// options, and those of `with_argument` are options that take an argument: the rest of
    /// the word or, if it is empty, the next word, even if that begins with `-`.
    pub fn new(
        words: &'a [OsString],
        flags: &'b [u8],
        with_argument: &'b [u8],
    ) -> OptionLetters<'a, 'b> {
        OptionLetters {
            words,
            cluster: &[],
            flags,
            with_argument,
            operands: &[],
        }
    }

    /// The words after the options, once all options are parsed.
    pub fn operands(&self) -> &'a [OsString] {
        self.operands
    }

    /// The next word with options, without its `-`.
    fn next_cluster(&mut self) -> Option<&'a [u8]> {
        let (word, rest) = self.words.split_first()?;
        match word.as_bytes().strip_prefix(b"-") {
            Some(cluster) if cluster.starts_with(b"-") => self.operands = rest,
            Some(cluster) if !cluster.is_empty() => {
                self.words = rest;
                return Some(cluster);
            }
            _ => self.operands = self.words,
        }
        self.words = &[];
        None
    }
}

impl<'a> Iterator for OptionLetters<'a, '_> {
    /// A letter and its argument, if it has one.
    type Item = Result<(u8, Option<&'a OsStr>), Bad>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cluster.is_empty() {
            self.cluster = self.next_cluster()?;
        }
        let (letter, rest) = self.cluster.split_first()?;
        self.cluster = rest;
        if self.flags.contains(letter) {
            return Some(Ok((*letter, None)));
        }
        if !self.with_argument.contains(letter) {
            return Some(Err(Bad::Illegal(*letter)));
        }
        if !rest.is_empty() {
            self.cluster = &[];
            return Some(Ok((*letter, Some(OsStr::from_bytes(rest)))));
        }
        let Some((argument, rest)) = self.words.split_first() else {
            return Some(Err(Bad::Lacking(*letter)));
        };
        self.words = rest;
        Some(Ok((*letter, Some(argument))))
    }
}

/// Parses `words` (without the program's own name), in which the `known` letters are options
/// without an argument.
///
/// # Errors
/// The first letter that is not known.
pub fn parse<'a>(words: &'a [OsString], known: &[u8]) -> Result<Parsed<'a>, Bad> {
    let mut options = OptionLetters::new(words, known, b"");
    let mut letters = Vec::new();
    for option in options.by_ref() {
        letters.push(option?.0);
    }
    Ok(Parsed {
        letters,
        operands: options.operands(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn options_end_at_the_first_operand() {
        let words = words("-ud -x a -k");
        let parsed = parse(&words, b"udxk").unwrap();
        assert_eq!(parsed.letters, b"udx");
        assert_eq!(parsed.operands, ["a", "-k"]);
    }

    #[test]
    fn a_lone_dash_is_an_operand_and_two_are_dropped() {
        assert_eq!(parse(&words("-u - a"), b"u").unwrap().operands, ["-", "a"]);
        assert_eq!(parse(&words("-u -- -a"), b"u").unwrap().operands, ["-a"]);
        assert_eq!(parse(&words("--u -a"), b"u").unwrap().operands, ["-a"]);
    }

    #[test]
    fn an_argument_is_the_rest_of_the_word_or_the_next_one() {
        let words = words("-m1000 -o = -c0o64 -nX -m  -- -n");
        let options: Vec<_> = OptionLetters::new(&words, b"nX", b"moc")
            .map(|option| option.unwrap())
            .map(|(letter, text)| (letter, text.map(|text| text.to_str().unwrap())))
            .collect();
        let expected = [
            (b'm', Some("1000")),
            (b'o', Some("=")),
            (b'c', Some("0o64")),
            (b'n', None),
            (b'X', None),
            (b'm', Some("")),
        ];
        assert_eq!(options, expected);
        let mut lacking = OptionLetters::new(&words[..1], b"", b"m");
        assert!(lacking.next().unwrap().is_ok());
        assert!(lacking.next().is_none());
        let words = [OsString::from("-m")];
        let lacking = OptionLetters::new(&words, b"", b"m").next().unwrap();
        assert_eq!(lacking, Err(Bad::Lacking(b'm')));
        assert_eq!(
            Bad::Lacking(b'm').line(OsStr::new("softlimit")),
            b"softlimit: option requires an argument -- m\n"
        );
    }

    #[test]
    fn a_dash_inside_a_cluster_is_a_bad_letter() {
        assert_eq!(parse(&words("-u-"), b"u"), Err(Bad::Illegal(b'-')));
        assert_eq!(
            Bad::Illegal(b'Z').line(OsStr::new("/usr/bin/svc")),
            b"svc: illegal option -- Z\n"
        );
    }
}
