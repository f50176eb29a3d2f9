//! What a readproctitle holds: the last errors that nobody logged.

/// The text in `window`, the last argument of a readproctitle: without the dots
/// that stand before it, and with a newline at its end. The first line may have
/// lost its beginning. Empty if it holds nothing.
pub fn text(window: &[u8]) -> Vec<u8> {
    let dots = window.iter().take_while(|byte| **byte == b'.').count();
    let mut text = window.get(dots..).unwrap_or_default().to_vec();
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
}
