//! What a log may contain: the lines of each run of a service, in order, none missing; after a
//! KILL of multilog those of its last batch may be there once more.

use crate::multilog::BATCH;
use std::collections::VecDeque;

/// A line of a run of the service: its length varies, and its end names it.
pub(super) fn line(run: usize, number: usize) -> String {
    format!("{} {run} {number}", "x".repeat(number * 37 % 101))
}

/// Follows a log.
#[derive(Default)]
pub(super) struct Follower {
    /// How many lines of each run are there.
    seen: Vec<usize>,
    /// The newest lines, as many as a batch may have; none twice.
    recent: VecDeque<String>,
    /// Their size.
    size: usize,
    /// Where in them the next line is expected; at their end, if nothing is done over.
    next: usize,
    /// The line before was the end of one that is in `recent`: a batch that is done over can
    /// begin amid a line.
    fragment: Option<String>,
    /// How often lines were done over.
    pub(super) twice: usize,
}

impl Follower {
    /// Takes the next line of the log, without its stamp and end.
    ///
    /// # Errors
    /// It does not follow.
    pub(super) fn take(&mut self, text: &str) -> Result<(), String> {
        let fragment = self.fragment.take();
        let follows = |at: usize| match &fragment {
            Some(end) => at > 0 && self.recent[at - 1].ends_with(end),
            None => at == self.next,
        };
        let is_new = follows(self.recent.len()) && self.is_new(text);
        let again = (0..self.recent.len()).find(|at| follows(*at) && self.recent[*at] == text);
        if is_new {
            self.push(text);
        } else if let Some(at) = again {
            self.next = at + 1;
        } else if let (Some(at), None) = (self.recent.iter().position(|it| it == text), &fragment) {
            self.twice += 1;
            self.next = at + 1;
        } else if fragment.is_none() && self.recent.iter().any(|it| it.ends_with(text)) {
            self.twice += 1;
            self.fragment = Some(text.to_owned());
        } else {
            let last = self.recent.get(self.next.wrapping_sub(1));
            return Err(format!("{text:?} after {last:?} {fragment:?}"));
        }
        Ok(())
    }

    /// How many there are, without those that are there twice.
    pub(super) fn lines(&self) -> usize {
        self.seen.iter().sum()
    }

    /// Whether it is the next of its run or the first of a later one.
    fn is_new(&self, text: &str) -> bool {
        let mut words = text.rsplit(' ').map(|word| word.parse().ok());
        let (Some(Some(number)), Some(Some(run))) = (words.next(), words.next()) else {
            return false;
        };
        let seen = self.seen.get(run).copied().unwrap_or(0);
        run + 1 >= self.seen.len() && number == seen && text == line(run, number)
    }

    fn push(&mut self, text: &str) {
        let run = text.rsplit(' ').nth(1).and_then(|run| run.parse().ok());
        let run: usize = run.unwrap();
        self.seen.resize(run + 1, 0);
        self.seen[run] += 1;
        self.recent.push_back(text.to_owned());
        self.size += text.len() + 1;
        while self.size > BATCH {
            self.size -= self.recent.pop_front().map_or(0, |text| text.len() + 1);
        }
        self.next = self.recent.len();
    }

    /// Whether all are there that each run has noted as written, and at most one more: it is
    /// noted behind its write.
    ///
    /// # Errors
    /// What is missing, or too much.
    pub(super) fn compare(
        &self,
        noted: impl Iterator<Item = usize>,
        ended: bool,
    ) -> Result<(), String> {
        for (run, noted) in noted.enumerate() {
            let seen = self.seen.get(run).copied().unwrap_or(0);
            if seen < noted || ended && seen > noted + 1 {
                return Err(format!("run {run} wrote {noted} lines, {seen} are logged"));
            }
        }
        match self.next == self.recent.len() && self.fragment.is_none() {
            true => Ok(()),
            false => Err("not all is done over that was begun again".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(lines: &[&str]) -> Result<Follower, String> {
        let mut follower = Follower::default();
        let taken = lines.iter().try_for_each(|line| follower.take(line));
        taken.map(|()| follower)
    }

    #[test]
    fn lines_are_followed_in_order_and_over_a_batch_that_is_there_twice() {
        let all: Vec<String> = (0..4).map(|number| line(0, number)).collect();
        let next = line(2, 0);
        let [a, b, c, d] = [0, 1, 2, 3].map(|number| all[number].as_str());
        let follower = take(&[a, b, c, d, &next]).ok().unwrap();
        assert_eq!(follower.twice, 0);
        assert!(follower.compare([4, 0, 1].into_iter(), true).is_ok());
        assert!(follower.compare([3, 0, 0].into_iter(), true).is_ok());
        assert!(follower.compare([2, 0, 1].into_iter(), true).is_err());
        assert!(follower.compare([4, 0, 2].into_iter(), false).is_err());
        assert_eq!(take(&[a, b, c, b, c, d]).ok().unwrap().twice, 1);
        assert_eq!(take(&[a, b, c, &b[9..], c, d]).ok().unwrap().twice, 1);
        assert_eq!(take(&[a, b, &b[9..], c, d]).ok().unwrap().twice, 1);
        assert_eq!(take(&[a, b, c, b, b, c, d]).ok().unwrap().twice, 2);
        for lost in [
            &[a, c][..],
            &[b],
            &[a, b, c, b, d],
            &[a, &b[..9], c],
            &[&next, a],
        ] {
            assert!(take(lost).is_err(), "{lost:?}");
        }
        let begun = take(&[a, b, c, b]).ok().unwrap();
        assert!(begun.compare([3].into_iter(), false).is_err());
    }
}
