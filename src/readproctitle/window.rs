//! The newest bytes of a stream: what readproctitle shows. No I/O.

/// The minimum length of the last argument, as in 0.76.
pub const SHORTEST: usize = 5;

/// The number of dots that always remain at the beginning.
const DOTS: usize = 3;

/// A word of a fixed length: three dots, then the newest bytes, padded with dots on the left.
#[derive(Debug)]
pub struct Window(Vec<u8>);

impl Window {
    /// A word of `len` dots.
    pub fn new(len: usize) -> Window {
        Window(vec![b'.'; len])
    }

    /// Appends `bytes`. NUL bytes are dropped: they would terminate the word.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = self.0.len().saturating_sub(DOTS);
        let newest = bytes.iter().rev().filter(|byte| **byte != 0).take(room);
        let mut newest: Vec<u8> = newest.copied().collect();
        newest.reverse();
        let from = self.0.len() - room;
        self.0.drain(from..from + newest.len());
        self.0.extend_from_slice(&newest);
    }

    /// The word.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;

    /// The method of 0.76: one byte at a time.
    fn shifted(word: &mut [u8], byte: u8) {
        if byte != 0 {
            word.copy_within(4.., 3);
            *word.last_mut().unwrap() = byte;
        }
    }

    #[test]
    fn it_begins_with_dots_alone() {
        assert_eq!(Window::new(6).bytes(), b"......");
    }

    #[test]
    fn three_dots_stay_and_the_newest_bytes_are_at_the_end() {
        let mut window = Window::new(8);
        window.push(b"ab");
        assert_eq!(window.bytes(), b"......ab");
        window.push(b"c\0d\n");
        assert_eq!(window.bytes(), b"...abcd\n");
        window.push(b"0123456789");
        assert_eq!(window.bytes(), b"...56789");
        window.push(b"");
        window.push(b"\0\0");
        assert_eq!(window.bytes(), b"...56789");
    }

    #[test]
    fn any_pieces_give_what_0_76_shows_byte_by_byte() {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let mut random = |below: usize| numbers.below(below);
        for len in [SHORTEST, 6, 7, 20, 400] {
            let mut window = Window::new(len);
            let mut word = vec![b'.'; len];
            for _ in 0..300 {
                let piece: Vec<u8> = (0..random(2 * len + 2))
                    .map(|_| u8::try_from(random(256)).unwrap() / 3 * 3)
                    .collect();
                piece.iter().for_each(|byte| shifted(&mut word, *byte));
                window.push(&piece);
                assert_eq!(window.bytes(), word);
            }
        }
    }
}
