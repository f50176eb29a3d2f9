//! The script: the arguments of multilog, in order.

/// The default maximum size of a file.
const SIZE: u64 = 99_999;
/// The limits of that size.
const SIZES: std::ops::RangeInclusive<u64> = 4096..=2_147_483_647;
/// The default number of files to keep.
const KEEP: u64 = 10;

/// The actions for each line, and the destinations of lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Script {
    /// Whether lines get a timestamp (`t` as the first argument).
    pub stamps: bool,
    /// The actions for each line, in order.
    pub actions: Vec<Action>,
    /// The log directories, in the order of the arguments.
    pub directories: Vec<Directory>,
    /// The names of the status files (`=`), in the order of the arguments.
    pub status_files: Vec<Vec<u8>>,
}

/// An action for a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// `-pattern`: a matching line is deselected.
    Deselect(Vec<u8>),
    /// `+pattern`: a matching line is selected.
    Select(Vec<u8>),
    /// `e`: a selected line is written to stderr.
    Stderr,
    /// `=file`: a selected line becomes the content of the status file with this index.
    Status(usize),
    /// A selected line is written to the directory with this index.
    Log(usize),
}

/// A log directory and the `s`, `n` and `!` before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// Its name, as it was given.
    pub name: Vec<u8>,
    /// The maximum size of a file, in bytes.
    pub size: u64,
    /// The number of files to keep, including `current`.
    pub keep: u64,
    /// The processor: a command for `/bin/sh -c`.
    pub processor: Option<Vec<u8>>,
}

impl Script {
    /// Parses the arguments. None is an error: unknown ones are ignored, as in 0.76.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> Script {
        let mut script = Script::default();
        let (mut size, mut keep, mut processor) = (SIZE, KEEP, None);
        for (index, argument) in arguments.into_iter().enumerate() {
            let Some((kind, rest)) = argument.split_first() else {
                continue;
            };
            match kind {
                b't' if index == 0 => script.stamps = true,
                b'-' => script.actions.push(Action::Deselect(rest.to_vec())),
                b'+' => script.actions.push(Action::Select(rest.to_vec())),
                b'e' => script.actions.push(Action::Stderr),
                b'=' => {
                    script
                        .actions
                        .push(Action::Status(script.status_files.len()));
                    script.status_files.push(rest.to_vec());
                }
                b's' => size = number(rest).clamp(*SIZES.start(), *SIZES.end()),
                b'n' => keep = number(rest).max(2),
                b'!' => processor = Some(rest.to_vec()),
                b'.' | b'/' => {
                    script.actions.push(Action::Log(script.directories.len()));
                    script.directories.push(Directory {
                        name: argument.to_vec(),
                        size,
                        keep,
                        processor: processor.clone(),
                    });
                }
                _ => {}
            }
        }
        script
    }
}

/// The number at the beginning of `text`, modulo 2^64; 0 if there is none.
fn number(text: &[u8]) -> u64 {
    text.iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0, |number: u64, digit| {
            number
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit - b'0'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;

    fn parse(arguments: &[&str]) -> Script {
        Script::parse(arguments.iter().map(|argument| argument.as_bytes()))
    }

    #[test]
    fn the_defaults_and_what_is_passed_over() {
        let script = parse(&["q", "T", "", "--", "./main", "t"]);
        assert!(!script.stamps);
        assert_eq!(
            script.actions,
            [Action::Deselect(b"-".to_vec()), Action::Log(0)]
        );
        assert_eq!(
            script.directories,
            [Directory {
                name: b"./main".to_vec(),
                size: 99_999,
                keep: 10,
                processor: None
            }]
        );
        assert!(parse(&["tfoo"]).stamps);
        assert_eq!(parse(&[]), Script::default());
    }

    #[test]
    fn sizes_numbers_and_processors_count_for_later_directories() {
        let script = parse(&["./a", "s5000x", "n3", "!cat", "/b", "s1", "n", "!", "./c"]);
        let found: Vec<_> = script
            .directories
            .iter()
            .map(|d| (d.size, d.keep, d.processor.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                (99_999, 10, None),
                (5000, 3, Some(b"cat".as_slice())),
                (4096, 2, Some(b"".as_slice()))
            ]
        );
        for (argument, size) in [
            ("s2147483647", 2_147_483_647),
            ("s2147483648", 2_147_483_647),
            ("s18446744073709551617", 4096),
        ] {
            assert_eq!(parse(&[argument, "./a"]).directories[0].size, size);
        }
    }

    /// The number that `word` begins with, modulo 2^64, digit by digit from behind.
    fn plain_number(word: &str) -> u128 {
        let digits = word
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(word.len());
        let mut power: u128 = 1;
        let mut sum: u128 = 0;
        for digit in word[..digits].bytes().rev() {
            sum = (sum + u128::from(digit - b'0') * power) % (1 << 64);
            power = power * 10 % (1 << 64);
        }
        sum
    }

    #[test]
    fn scripts_mean_what_their_words_say() {
        let mut numbers = Numbers(0x0123_4567_89AB_CDEF);
        for _ in 0..5_000 {
            let words: Vec<String> = (0..numbers.below(9))
                .map(|_| {
                    let kind = numbers.pick(b"tTsn!e=+-./qE \0");
                    let length = numbers.below(24);
                    let rest = match kind {
                        b's' | b'n' => numbers.some(length, b"0123456789999999999x"),
                        _ => numbers.some(length.min(4), b"a*/."),
                    };
                    let word = [&[kind], rest.as_slice()].concat();
                    String::from_utf8(word).unwrap()
                })
                .collect();
            let script = Script::parse(words.iter().map(|word| word.as_bytes()));
            assert_eq!(
                script.stamps,
                words.first().is_some_and(|word| word.starts_with('t'))
            );
            // The last option before an index; each word by itself.
            let last = |index: usize, letter: char| {
                let before = words[..index].iter().rev();
                before
                    .filter_map(move |word| word.strip_prefix(letter))
                    .next()
            };
            let (mut actions, mut directories, mut files) = (vec![], vec![], vec![]);
            for (index, word) in words.iter().enumerate() {
                let rest = word.as_bytes().get(1..).unwrap_or_default().to_vec();
                match word.chars().next() {
                    Some('-') => actions.push(Action::Deselect(rest)),
                    Some('+') => actions.push(Action::Select(rest)),
                    Some('e') => actions.push(Action::Stderr),
                    Some('=') => {
                        actions.push(Action::Status(files.len()));
                        files.push(rest);
                    }
                    Some('.' | '/') => {
                        actions.push(Action::Log(directories.len()));
                        let size = last(index, 's').map_or(99_999, plain_number);
                        directories.push(Directory {
                            name: word.clone().into_bytes(),
                            size: u64::try_from(size.clamp(4096, 2_147_483_647)).unwrap(),
                            keep: u64::try_from(last(index, 'n').map_or(10, plain_number).max(2))
                                .unwrap(),
                            processor: last(index, '!').map(|command| command.as_bytes().to_vec()),
                        });
                    }
                    _ => {}
                }
            }
            assert_eq!(script.actions, actions, "{words:?}");
            assert_eq!(script.directories, directories, "{words:?}");
            assert_eq!(script.status_files, files, "{words:?}");
        }
    }
}
