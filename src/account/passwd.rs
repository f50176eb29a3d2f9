//! passwd(5): which line is the first one of a name.
//!
//! glibc reads the file line by line and takes the first line of the name that it can parse. It
//! accepts much: blanks before a name, lines with too few or too many fields, NUL bytes,
//! invalid numbers. Here such a line gives no answer, and neither does any line after it. Only
//! a file in the format of passwd(5), up to the line in question, is certain to give the same
//! result in both.

use std::io::BufRead;

/// The result of a search for a name in lines of `/etc/passwd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The ids in the first line of that name.
    Certain {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// Only the C library can answer.
    AskNss,
    /// This number of bytes are complete lines, none of them of that name.
    Behind(usize),
}

/// Searches for `name` in `text`, which begins with a line. A last line without a newline
/// is ignored: a process may still be writing it.
pub fn look_up(text: &[u8], name: &[u8]) -> Answer {
    if !is_plain(name) {
        return Answer::AskNss;
    }
    let mut rest = text;
    let mut read = 0;
    // The memchr crate is not used: before its first search it executes CPUID, which takes
    // longer in a virtual machine than all of this. The C library, which this calls, has done
    // so at its start.
    while let Ok(length @ 1..) = rest.skip_until(b'\n') {
        let whole = text.get(read..read + length).unwrap_or_default();
        let Some(line) = whole.strip_suffix(b"\n") else {
            break;
        };
        if !line.starts_with(b"#") || line.contains(&0) {
            match entry(line) {
                None => return Answer::AskNss,
                Some((known, uid, gid)) if known == name => return Answer::Certain { uid, gid },
                Some(_) => {}
            }
        }
        read += length;
    }
    Answer::Behind(read)
}

/// Whether this is a usual name, as useradd(8) accepts them: letters, digits, and `.`, `_` and
/// `-`, the latter not at the beginning.
fn is_plain(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && !name.starts_with(b"-") && name.iter().all(allowed)
}

/// The name and ids of a line with all seven fields and nothing unusual.
fn entry(line: &[u8]) -> Option<(&[u8], u32, u32)> {
    let is_odd = |odd, byte: &u8| odd | byte.is_ascii_control();
    if line.iter().fold(false, is_odd) {
        return None;
    }
    // Counting them separately takes a fraction of the time.
    let colons = line.iter().filter(|byte| **byte == b':').count();
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields.next()?;
    // A missing field, or one that only NIS uses ("+::::::"), or one that glibc shifts.
    if matches!(name.first()?, b'+' | b'-' | b' ') {
        return None;
    }
    let _password = fields.next()?;
    let uid = number(fields.next()?)?;
    let gid = number(fields.next()?)?;
    // Comment, home and shell follow.
    (colons == 6).then_some((name, uid, gid))
}

/// Parses digits only, up to 2^32-1.
fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;

    const ROOT: &str = "root:x:0:0:root:/root:/bin/bash\n";

    fn ask(text: &str, name: &str) -> Answer {
        look_up(text.as_bytes(), name.as_bytes())
    }

    const fn certain(uid: u32, gid: u32) -> Answer {
        Answer::Certain { uid, gid }
    }

    #[test]
    fn a_line_as_passwd_5_has_it_is_certain() {
        for line in [
            "u:x:7:70:::",
            "u:x:7:70::/home/u:/bin/sh",
            "u::7:70:Caf\u{e9} [a, b] #c:/:",
            "u:!*:7:70:a b:/ :/bin/sh",
            "u:x:007:0000000000070:::",
        ] {
            assert_eq!(ask(&format!("{line}\n"), "u"), certain(7, 70), "{line}");
            let text = format!("{ROOT}u2:x:8:8:::\nv:x:9:9:u::u\n{line}\nu:x:1:1:::\n");
            assert_eq!(ask(&text, "u"), certain(7, 70), "{line}");
        }
        let largest = "u:x:4294967295:4294967294:::\n";
        assert_eq!(ask(largest, "u"), certain(u32::MAX, u32::MAX - 1));
        for name in ["0", "1000", "a.b", "_a", "A-", "a-b_c.d", "systemd-network"] {
            let text = format!("{ROOT}{name}:x:5:6:::\n");
            assert_eq!(ask(&text, name), certain(5, 6), "{name}");
        }
    }

    #[test]
    fn of_two_lines_the_first_counts_if_it_can_be_read() {
        assert_eq!(ask("u:x:1:2:::\nu:x:3:4:::\n", "u"), certain(1, 2));
        assert_eq!(ask("u:x:x:2:::\nu:x:3:4:::\n", "u"), Answer::AskNss);
        assert_eq!(ask("u:x:1:2\nu:x:3:4:::\n", "u"), Answer::AskNss);
        assert_eq!(ask(" u:x:1:2:::\nu:x:3:4:::\n", "u"), Answer::AskNss);
    }

    #[test]
    fn only_the_whole_name_counts() {
        for other in ["uu", "U", "u.", "ua", "x", "\u{fc}"] {
            let text = format!("{other}:u:1:2:u:u:u\n");
            assert_eq!(ask(&text, "u"), Answer::Behind(text.len()), "{other}");
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_not_decided_here() {
        assert_eq!(ask("", "u"), Answer::Behind(0));
        assert_eq!(ask("u:x:1:2:::", "u"), Answer::Behind(0));
        assert_eq!(ask(ROOT, "u"), Answer::Behind(ROOT.len()));
        let partly = format!("{ROOT}u:x:1:10");
        assert_eq!(ask(&partly, "u"), Answer::Behind(ROOT.len()));
        let comments = "# nothing\n#u:x:1:1:::\n";
        assert_eq!(ask(comments, "u"), Answer::Behind(comments.len()));
    }

    #[test]
    fn an_odd_line_makes_all_behind_it_uncertain_and_nothing_before_it() {
        for odd in [
            "",
            " ",
            "\t",
            "x",
            "x:",
            ":x:1:1:::",
            "u",
            " # comment",
            " u:x:1:1:::",
            "\tu:x:1:1:::",
            "u :x:1:1",
            "+",
            "+::::::",
            "+u:x:1:1:::",
            "-u:x:1:1:::",
            "+@group::::::",
            "v:x:1:1::",
            "v:x:1:1::::",
            "v:x:1:1::/:/bin/sh:",
            "v:x::1:::",
            "v:x:1::::",
            "v:x:+1:1:::",
            "v:x:-1:1:::",
            "v:x: 1:1:::",
            "v:x:1 :1:::",
            "v:x:1:1x:::",
            "v:x:0x1:1:::",
            "v:x:1.0:1:::",
            "v:x:4294967296:1:::",
            "v:x:1:4294967296:::",
            "v:x:99999999999999999999:1:::",
            "v:x:1:1:::\r",
            "v:x:1:1:\u{b}::",
            "v:x:1:1:a\tb::",
            "v:x:1:1:\0::",
            "\0u:x:1:1:::",
            "# \0",
            "v:x:1:1:::\u{7f}",
        ] {
            let after = format!("{ROOT}{odd}\nu:x:7:70:::\n");
            assert_eq!(ask(&after, "u"), Answer::AskNss, "{odd:?}");
            let before = format!("{ROOT}u:x:7:70:::\n{odd}\n");
            assert_eq!(ask(&before, "u"), certain(7, 70), "{odd:?}");
        }
        assert_eq!(ask("u:x:7:70:::\r\n", "u"), Answer::AskNss);
        assert_eq!(
            look_up(b"v:x:1:\xb2:::\nu:x:1:1:::\n", b"u"),
            Answer::AskNss
        );
    }

    #[test]
    fn an_odd_name_is_not_decided_here() {
        for name in [
            "", "-", "-u", "+", "+u", "u:x", "u u", " u", "u ", "u\n", "u\t", "u\0", "#", "u$",
            "DOM\\u", "u@x", "\u{fc}", "*", "../u",
        ] {
            let text = format!("{name}:x:1:1:::\n");
            assert_eq!(ask(&text, name), Answer::AskNss, "{name:?}");
        }
    }

    #[test]
    fn a_comment_is_passed_over() {
        let text = format!("# c\n#\n#u:x:1:1:::\n## caf\u{e9}:\t\r\n{ROOT}#\nu:x:7:70:::\n");
        assert_eq!(ask(&text, "u"), certain(7, 70));
    }

    #[test]
    fn read_in_pieces_it_says_the_same() {
        let mut numbers = Numbers(42);
        for _ in 0..2000 {
            let mut text = String::new();
            for _ in 0..numbers.below(8) {
                let name = numbers.pick(&["a", "b", "c", "u", "uu", "#", " u", "+", ""]);
                let ids = numbers.pick(&["1:2", "3:4", "x:1", "5:", "6:7:"]);
                text.push_str(&format!("{name}:x:{ids}:::\n"));
            }
            let whole = ask(&text, "u");
            let mut waiting = Vec::new();
            let mut answer = Answer::Behind(0);
            for piece in numbers.cut(text.as_bytes(), &[1, 3, 10, 40]) {
                waiting.extend_from_slice(piece);
                answer = look_up(&waiting, b"u");
                match answer {
                    Answer::Behind(read) => drop(waiting.drain(..read)),
                    _ => break,
                }
            }
            match whole {
                Answer::Behind(all) => assert_eq!((all, waiting.len()), (text.len(), 0)),
                _ => assert_eq!(answer, whole, "{text}"),
            }
        }
    }
}
