//! The contents of a readproctitle: the last messages that no logger wrote.

/// The text in `window`, the last argument of a readproctitle: without the leading dots,
/// and with a newline at its end. The first line may be truncated. Empty if there is no
/// text. Terminal control characters become `?`, as in ps(1): any user's service may have
/// written them.
pub fn text(window: &[u8]) -> Vec<u8> {
    let dots = window.iter().take_while(|byte| **byte == b'.').count();
    let text = window.get(dots..).unwrap_or_default();
    let mut before = 0;
    let mut text: Vec<u8> = text
        .iter()
        .map(|byte| {
            // Of two bytes in UTF-8: U+0080 to U+009F.
            let is_second = before == 0xc2 && (0x80..0xa0).contains(byte);
            before = *byte;
            let is_control = byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t');
            if is_control || is_second { b'?' } else { *byte }
        })
        .collect();
    if text.last().is_some_and(|byte| *byte != b'\n') {
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dots_before_the_text_are_none_of_it() {
        assert_eq!(text(b"........supervise: fatal\n"), b"supervise: fatal\n");
        assert_eq!(text(b"...ost its start...\nx"), b"ost its start...\nx\n");
        assert_eq!(text(b"......"), b"");
        assert_eq!(text(b""), b"");
    }

    #[test]
    fn no_terminal_is_made_to_obey() {
        assert_eq!(
            text(b"..a\x1b]0;x\x07\tb\x7f\r\xc2\x9b1m\xc3\xa4\n"),
            b"a?]0;x?\tb??\xc2?1m\xc3\xa4\n"
        );
    }
}
