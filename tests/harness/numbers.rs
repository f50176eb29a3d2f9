//! Numbers that look random and are the same in every run, for the unit tests and
//! for the tests of programs.
#![allow(dead_code, reason = "not every test takes all of it")]

/// A small generator (xorshift64); its seed is anything but 0.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// Any number but 0.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    /// A number from `least` to below `limit`.
    pub(crate) fn between(&mut self, least: usize, limit: usize) -> usize {
        least + self.below(limit - least)
    }

    /// Whether the one of so many chances has come.
    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    /// One of them.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// So many bytes out of `from`.
    pub(crate) fn some(&mut self, count: usize, from: &[u8]) -> Vec<u8> {
        (0..count).map(|_| self.pick(from)).collect()
    }

    /// `input` in pieces of at most one of `sizes`, which is picked for all of them.
    pub(crate) fn cut<'a>(&mut self, mut input: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
        let most = self.pick(sizes);
        let mut pieces = Vec::new();
        while !input.is_empty() {
            let (piece, rest) = input.split_at(self.below(most.min(input.len())) + 1);
            pieces.push(piece);
            input = rest;
        }
        pieces
    }
}
