//! The pace of a subtask's heads: they get on together in event time.
//!
//! What waits for the watermark of all inputs, the windows of a join above all, piles up for as long as there is a
//! backlog where nobody sees to it: of an input with a third of the records, all are there when a third of the other's
//! are. So while the head that is furthest behind, a source or a gate, has a backlog, one that is ahead takes a part of
//! what that one took in its last turn. A gate that takes little lets its rings fill, and so holds back the sources in
//! front.
//!
//! None is stopped for more than some turns in a row, so nothing can wait for itself. Where records come one by one
//! nobody waits.

use crate::time::Timestamp;

/// Which part a head takes that is ahead, of what the one furthest behind took: less than what two inputs of a join may
/// differ by in records for the same time, but something, should the other one's watermark never move.
const SHARE: u32 = 64;

/// A head that takes so many records in a turn has a backlog.
const BACKLOG: u32 = SHARE;

/// But not after so many turns without any.
const EMPTY_MAX: u32 = 16;

/// What each head of a subtask took.
#[derive(Debug)]
pub(super) struct Pace(Vec<Turns>);

/// The last turns of a head.
#[derive(Clone, Copy, Debug)]
struct Turns {
    /// Records in the last one that had some.
    took: u32,
    /// How many had none since.
    empty: u32,
}

impl Turns {
    fn has_backlog(self) -> bool {
        self.took >= BACKLOG && self.empty < EMPTY_MAX
    }
}

/// The head that is furthest behind, and what one may take that is ahead of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Slowest {
    at: Timestamp,
    share: u32,
}

impl Slowest {
    /// How many records a head at `at` may take; as many as it likes if it is not ahead.
    pub(super) fn share(self, at: Option<Timestamp>) -> Option<u32> {
        at.is_some_and(|at| at > self.at).then_some(self.share)
    }
}

impl Pace {
    /// Of so many heads.
    pub(super) fn new(heads: usize) -> Self {
        Pace(vec![Turns { took: 0, empty: 0 }; heads])
    }

    /// The head that is furthest behind of those with a backlog, if there are several heads. `time_of` gives the event
    /// time of one, if it has one and is not done.
    #[inline]
    pub(super) fn slowest(&self, time_of: impl Fn(usize) -> Option<Timestamp>) -> Option<Slowest> {
        if self.0.len() < 2 {
            return None;
        }
        let heads = self.0.iter().enumerate();
        let backlogs = heads.filter(|(_, turns)| turns.has_backlog());
        let slow = backlogs.filter_map(|(head, turns)| {
            // Without a first watermark, perhaps there never is one.
            let at = time_of(head).filter(|at| *at > Timestamp::MIN)?;
            let share = if turns.empty > 0 {
                0
            } else {
                turns.took / SHARE
            };
            Some(Slowest { at, share })
        });
        slow.min()
    }

    /// A head took so many records in its turn.
    #[inline]
    pub(super) fn note(&mut self, head: usize, took: u32) {
        let turns = &mut self.0[head];
        *turns = match took {
            0 => Turns {
                empty: turns.empty.saturating_add(1),
                ..*turns
            },
            took => Turns { took, empty: 0 },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two heads for so many turns. In a turn the first takes what it may of a batch, whose records are three apart in
    /// time; what the other one takes, records one apart, is said by turn. How far the first is ahead at most.
    fn lead(turns: i64, batch: u32, other: impl Fn(i64) -> u32) -> i64 {
        let mut pace = Pace::new(2);
        let mut at = [0, 0];
        let mut lead = 0;
        for turn in 0..turns {
            let times = at.map(|at| Some(Timestamp(at)));
            let slowest = pace.slowest(|head| times[head]);
            let share = slowest.and_then(|slowest| slowest.share(times[0]));
            let took = [share.map_or(batch, |share| share.min(batch)), other(turn)];
            if share != Some(0) {
                pace.note(0, took[0]);
            }
            pace.note(1, took[1]);
            at = [at[0] + 3 * i64::from(took[0]), at[1] + i64::from(took[1])];
            lead = lead.max(at[0] - at[1]);
        }
        lead
    }

    #[test]
    fn head_does_not_get_away_from_one_with_a_backlog() {
        assert!(lead(1000, 1024, |_| 1024) < 3 * 2048);
        assert!(lead(1000, 1024, |_| 200) < 3 * 2048);
        let now_and_then = |turn| if turn % 8 == 0 { 300 } else { 0 };
        assert!(lead(1000, 1024, now_and_then) < 3 * 2048);
    }

    #[test]
    fn nobody_waits_where_there_is_no_backlog() {
        let all = 1000 * 3 * 64;
        assert_eq!(lead(1000, 64, |_| 0), all);
        assert_eq!(lead(1000, 64, |_| 1), all - 1000, "one by one");
        let one_batch = |turn| if turn == 0 { 1024 } else { 0 };
        assert!(lead(1000, 64, one_batch) > all * 9 / 10);
    }

    #[test]
    fn head_without_watermarks_is_not_waited_for() {
        let mut pace = Pace::new(3);
        (0..3).for_each(|head| pace.note(head, 1024));
        let times = [None, Some(Timestamp::MIN), Some(Timestamp(7))];
        let slowest = pace.slowest(|head| times[head]).expect("the last");
        assert_eq!(slowest.share(times[2]), None);
        assert_eq!(slowest.share(times[0]), None);
        assert_eq!(slowest.share(Some(Timestamp(8))), Some(1024 / SHARE));
    }
}
