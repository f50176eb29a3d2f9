//! Decides which of the remaining descendants get which signal; no I/O.

use crate::child::{End, Pid};

/// A signal that is passed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PassedSignal {
    /// One that requests termination: descendants that are reparented to us later get it, too.
    End(i32),
    /// Any other signal.
    Other(i32),
}

/// The state of our descendants.
#[derive(Debug, Default)]
pub(crate) struct Family {
    /// The signal that requested termination, if any.
    ending: Option<i32>,
    /// The current children that were sent it.
    asked: Vec<Pid>,
    /// How the last one ended.
    last: Option<End>,
}

/// Send this process the signal with this number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Send(pub Pid, pub i32);

impl Family {
    /// `signal` was received; `children` are the current children.
    pub(crate) fn signalled(&mut self, signal: PassedSignal, children: &[Pid]) -> Vec<Send> {
        let number = match signal {
            PassedSignal::Other(number) => number,
            PassedSignal::End(number) => {
                self.ending = Some(number);
                self.asked = children.to_vec();
                number
            }
        };
        children.iter().map(|child| Send(*child, number)).collect()
    }

    /// The child `pid` has ended.
    pub(crate) fn ended(&mut self, pid: Pid, end: End) {
        self.last = Some(end);
        self.asked.retain(|asked| *asked != pid);
    }

    /// The current children after some have ended, whose own children have been reparented to
    /// us.
    pub(crate) fn left_with(&mut self, children: &[Pid]) -> Vec<Send> {
        let Some(number) = self.ending else {
            return Vec::new();
        };
        let new = children.iter().filter(|child| !self.asked.contains(child));
        let new: Vec<Pid> = new.copied().collect();
        self.asked.extend(&new);
        new.into_iter().map(|child| Send(child, number)).collect()
    }

    /// Whether a signal must be sent to children that are reparented to us.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// How the last one ended.
    pub(crate) fn last(&self) -> Option<End> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pids(numbers: &[u32]) -> Vec<Pid> {
        numbers
            .iter()
            .map(|number| Pid::new(*number).unwrap())
            .collect()
    }

    fn pid(number: u32) -> Pid {
        Pid::new(number).unwrap()
    }

    const TERM: i32 = 15;
    const HUP: i32 = 1;

    #[test]
    fn a_signal_goes_to_all_that_are_there() {
        let mut family = Family::default();
        let sent = family.signalled(PassedSignal::Other(HUP), &pids(&[5, 6]));
        assert_eq!(sent, [Send(pid(5), HUP), Send(pid(6), HUP)]);
        family.ended(pid(5), End::Exited(0));
        assert_eq!(family.left_with(&pids(&[6, 7])), []);
    }

    #[test]
    fn who_comes_back_after_a_term_is_asked_once_too() {
        let mut family = Family::default();
        family.signalled(PassedSignal::End(TERM), &pids(&[5]));
        family.ended(pid(5), End::Killed(15));
        let sent = family.left_with(&pids(&[6, 7]));
        assert_eq!(sent, [Send(pid(6), TERM), Send(pid(7), TERM)]);
        family.ended(pid(6), End::Killed(15));
        assert_eq!(family.left_with(&pids(&[7])), []);
        // A pid that is reused is a new process.
        family.ended(pid(7), End::Killed(15));
        assert_eq!(family.left_with(&pids(&[6])), [Send(pid(6), TERM)]);
    }

    #[test]
    fn the_last_end_is_the_one_that_counts() {
        let mut family = Family::default();
        assert_eq!(family.last(), None);
        family.ended(pid(5), End::Exited(0));
        family.ended(pid(6), End::Killed(9));
        assert_eq!(family.last(), Some(End::Killed(9)));
    }
}
