//! Deadlock detection: commands that wait for each other in a circle.
//!
//! A command that a script calls holds, through its ancestors, the locks of other services
//! while it waits for one. Of the commands in a circle the one with the highest rank fails; as
//! all see the same, it is only one.

/// A command that waits for a lock.
pub struct Waiting<L, R> {
    /// The command with the highest rank in a circle fails.
    pub rank: R,
    /// The locks that its ancestors hold.
    pub held: Vec<L>,
    /// The lock it waits for.
    pub wanted: L,
}

/// The circle in which `own` waits for commands of lower rank among `others`: each lock is held
/// by the command that waits for the next; the first lock is held by `own`, which waits for the
/// last.
pub fn find<L: Copy + Eq, R: Ord>(own: &Waiting<L, R>, others: &[Waiting<L, R>]) -> Option<Vec<L>> {
    let lower: Vec<_> = others.iter().filter(|one| one.rank < own.rank).collect();
    // Each lock that is reached, with the index of its predecessor.
    let mut reached = vec![(own.wanted, None)];
    let mut index = 0;
    while let Some((lock, _)) = reached.get(index).copied() {
        if own.held.contains(&lock) {
            let before = |index: &usize| reached.get(*index).and_then(|(_, before)| *before);
            let indexes = std::iter::successors(Some(index), before);
            let mut circle: Vec<L> = indexes
                .filter_map(|index| reached.get(index))
                .map(|(lock, _)| *lock)
                .collect();
            circle.reverse();
            return Some(circle);
        }
        for one in lower.iter().filter(|one| one.held.contains(&lock)) {
            if !reached.iter().any(|(lock, _)| *lock == one.wanted) {
                reached.push((one.wanted, Some(index)));
            }
        }
        index += 1;
    }
    None
}

/// `A waits for B, which waits for A`, for the names of the locks of a circle, the last one
/// first.
pub fn describe(names: &[String]) -> String {
    let Some(last) = names.last() else {
        return String::new();
    };
    format!("{last} waits for {}", names.join(", which waits for "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(rank: u32, held: &[char], wanted: char) -> Waiting<char, u32> {
        let held = held.to_vec();
        Waiting { rank, held, wanted }
    }

    #[test]
    fn a_circle_is_found_by_its_highest_only() {
        let all = || {
            [
                waiting(1, &['a'], 'b'),
                waiting(3, &['b'], 'c'),
                waiting(2, &['c'], 'a'),
            ]
        };
        for own in 0..3 {
            let mut others: Vec<_> = all().into_iter().collect();
            let own = others.remove(own);
            let circle = find(&own, &others);
            let expected = (own.rank == 3).then(|| vec!['c', 'a', 'b']);
            assert_eq!(circle, expected, "{}", own.rank);
        }
        let names = ["c", "a", "b"].map(str::to_owned);
        let told = "b waits for c, which waits for a, which waits for b";
        assert_eq!(describe(&names), told);
    }

    #[test]
    fn a_chain_is_no_circle_nor_is_one_that_others_wait_in() {
        let own = waiting(9, &['a'], 'b');
        assert_eq!(find(&own, &[]), None);
        let chain = [waiting(1, &['b'], 'c'), waiting(2, &['x'], 'a')];
        assert_eq!(find(&own, &chain), None);
        let of_others = [waiting(1, &['b'], 'c'), waiting(2, &['c'], 'b')];
        assert_eq!(find(&own, &of_others), None);
    }

    #[test]
    fn who_holds_several_locks_is_in_a_circle_by_each_of_them() {
        let own = waiting(9, &['o', 'a'], 'b');
        let others = [
            waiting(1, &['z'], 'o'),
            waiting(2, &['b', 'y'], 'c'),
            waiting(3, &['x', 'c'], 'a'),
        ];
        assert_eq!(find(&own, &others), Some(vec!['b', 'c', 'a']));
    }
}
