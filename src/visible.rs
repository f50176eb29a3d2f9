//! Text for a terminal: makes control characters visible, so that the terminal does not
//! interpret them.

use std::ffi::OsStr;

/// Appends `text` to `out` as a terminal can show it: `\xNN` for each byte of a control
/// character (C0, DEL, C1) and for each byte that is not valid UTF-8. Newlines, tabs
/// and all other characters stay.
pub(crate) fn put(text: &[u8], out: &mut Vec<u8>) {
    let mut visible = Visible::default();
    visible.feed(text, out);
    visible.end(out);
}

/// Whether [`put`] changes nothing in `text`. May be false for text that it leaves as it is.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'))
}

/// As [`put`], for text that comes in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Visible {
    /// The start of an incomplete character: at most three bytes.
    incomplete: Vec<u8>,
}

impl Visible {
    /// Takes the next piece. The start of a character at its end is held back.
    pub(crate) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.incomplete.is_empty() {
            return self.take(piece, out);
        }
        let mut bytes = std::mem::take(&mut self.incomplete);
        bytes.extend_from_slice(piece);
        self.take(&bytes, out);
    }

    /// There is no more input for now: appends what was held back.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        escape(&std::mem::take(&mut self.incomplete), out);
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Err(error) = std::str::from_utf8(rest) {
            let (valid, behind) = rest
                .split_at_checked(error.valid_up_to())
                .unwrap_or_default();
            put_valid(valid, out);
            let Some(length) = error.error_len() else {
                self.incomplete = behind.to_vec();
                return;
            };
            let (invalid, behind) = behind.split_at_checked(length).unwrap_or_default();
            escape(invalid, out);
            rest = behind;
        }
        put_valid(rest, out);
    }
}

/// Appends `text`, which is valid UTF-8. In it, 0xc2 before a byte below 0xa0 is a C1
/// control character.
fn put_valid(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'\n' | b'\t' => out.push(*byte),
            0..0x20 | 0x7f => escape(&[*byte], out),
            0xc2 => match rest.next() {
                Some(second) if *second < 0xa0 => escape(&[*byte, *second], out),
                second => out.extend([*byte].iter().chain(second)),
            },
            _ => out.push(*byte),
        }
    }
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
    }
}

/// `name` as it can be typed into a shell, if it is text.
pub(crate) fn as_typed(name: &OsStr) -> String {
    let text = name.to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    if text.chars().all(is_plain) {
        return text.into_owned();
    }
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    let shown: String = text.chars().map(shown).collect();
    format!("'{}'", shown.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put(text, &mut out);
        out
    }

    #[test]
    fn control_characters_are_shown_and_text_stays() {
        for (text, shown) in [
            (b"a\tb\n".as_slice(), b"a\tb\n".as_slice()),
            (b"\x1b]0;x\x07", b"\\x1b]0;x\\x07"),
            (b"\0\r\x7f\x08", b"\\x00\\x0d\\x7f\\x08"),
            ("grün € 𝄞".as_bytes(), "grün € 𝄞".as_bytes()),
            (
                "\u{9b}1m\u{80}\u{9f}\u{a0}".as_bytes(),
                "\\xc2\\x9b1m\\xc2\\x80\\xc2\\x9f\u{a0}".as_bytes(),
            ),
            (b"\x9b1m\xff", b"\\x9b1m\\xff"),
            (b"\xc0\x9b\xe0\x82\x9b", b"\\xc0\\x9b\\xe0\\x82\\x9b"),
            (b"\xc2", b"\\xc2"),
            (b"\xe2\x82x", b"\\xe2\\x82x"),
        ] {
            let found = visible(text);
            assert_eq!(found, shown, "{}", found.escape_ascii());
            assert!(!is_plain(text) || text == shown);
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same() {
        let text = "a\u{9b}€\u{1b}𝄞\n".as_bytes();
        let text = [text, b"\xe2\x82\x9b\xf0\x9d", text, b"\xc2"].concat();
        for size in 1..text.len() {
            let (mut all, mut out) = (Visible::default(), Vec::new());
            for piece in text.chunks(size) {
                all.feed(piece, &mut out);
            }
            all.end(&mut out);
            assert_eq!(out, visible(&text), "{size}");
        }
    }

    #[test]
    fn a_name_can_be_typed_into_a_shell() {
        let typed = |name| as_typed(OsStr::new(name));
        assert_eq!(typed("/service/squid"), "/service/squid");
        assert_eq!(typed("my service"), "'my service'");
        assert_eq!(typed("it's\n"), r"'it'\''s\n'");
    }
}
