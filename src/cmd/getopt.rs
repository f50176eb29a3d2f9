//! Option letters as daemontools' own getopt reads them.
//!
//! Options end at the first word that does not begin with `-`; `-` alone is an
//! operand and ends them, too; a word that begins with `--` ends them and is
//! dropped, whatever follows in it. Letters may be clustered.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What a command line holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The option letters in the order they were typed.
    pub letters: Vec<u8>,
    /// The words behind the options.
    pub operands: &'a [OsString],
}

/// A letter that is no option.
#[derive(Debug, PartialEq, Eq)]
pub struct Illegal(pub u8);

impl Illegal {
    /// The line to print: `PROG: illegal option -- Z`, PROG being the last part
    /// of the name the program was called by.
    pub fn line(&self, called: &OsStr) -> Vec<u8> {
        let name = called.as_bytes().rsplit(|byte| *byte == b'/').next();
        [
            name.unwrap_or_default(),
            b": illegal option -- ",
            &[self.0],
            b"\n",
        ]
        .concat()
    }
}

/// Reads `words` (without the program's own name), in which the `known` letters
/// are options without an argument.
///
/// # Errors
/// The first letter that is not known.
pub fn parse<'a>(words: &'a [OsString], known: &[u8]) -> Result<Parsed<'a>, Illegal> {
    let mut letters = Vec::new();
    let mut operands = words;
    while let [word, rest @ ..] = operands {
        let Some(cluster) = word.as_bytes().strip_prefix(b"-") else {
            break;
        };
        if cluster.is_empty() {
            break;
        }
        operands = rest;
        if cluster.starts_with(b"-") {
            break;
        }
        for letter in cluster {
            if !known.contains(letter) {
                return Err(Illegal(*letter));
            }
            letters.push(*letter);
        }
    }
    Ok(Parsed { letters, operands })
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
    fn a_dash_inside_a_cluster_is_a_bad_letter() {
        assert_eq!(parse(&words("-u-"), b"u"), Err(Illegal(b'-')));
        assert_eq!(
            Illegal(b'Z').line(OsStr::new("/usr/bin/svc")),
            b"svc: illegal option -- Z\n"
        );
    }
}
