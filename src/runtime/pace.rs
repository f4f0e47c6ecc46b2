//! The pace of several inputs, the heads of a subtask or the channels of a gate: keeps them together in event time.
//!
//! Whatever waits for the combined watermark of all inputs, above all windows, would otherwise pile up during a backlog:
//! when an input of a join with a third of the records has been read completely, only a third of the other one has; and
//! when one worker is faster than another, what it sends is ahead of what the other one sends, by more and more. So while
//! the input that is furthest behind has a backlog, one that is ahead takes only a fraction of what that input took in
//! its last turn. An input that takes little lets its rings fill, and so slows down the sources upstream.
//!
//! No input is held back for more than some turns in a row, so there can be no deadlock. Where records arrive one by
//! one, no input waits.
//!
//! Measured: of a join of two files on two cores, a fifth was in memory at times, of which now a fiftieth is enough, and
//! it takes a sixth less time, because the open windows fit into a cache.

use crate::time::Timestamp;

/// An input that is ahead may take one record for every `SHARE` that the one furthest behind took: a fraction smaller
/// than the ratio in which the inputs of a join may differ in records over the same span of time, but not zero, in case
/// the other input's watermark never moves.
const SHARE: u32 = 64;

/// An input that takes at least this many records in a turn has a backlog.
const BACKLOG: u32 = SHARE;

/// But not after this many turns without any.
const EMPTY_MAX: u32 = 16;

/// What each input took recently.
#[derive(Debug)]
pub(super) struct Pace(Vec<Turns>);

/// An input's last turns.
#[derive(Clone, Copy, Debug)]
struct Turns {
    /// Records in the last turn that had any.
    took: u32,
    /// How many turns have had none since.
    empty: u32,
}

impl Turns {
    fn has_backlog(self) -> bool {
        self.took >= BACKLOG && self.empty < EMPTY_MAX
    }
}

/// Where the input furthest behind is in event time, and how many records an input ahead of it may take.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Slowest {
    at: Timestamp,
    share: u32,
}

impl Slowest {
    /// How many records an input at `at` may take; `None`, any number, if it is not ahead.
    pub(super) fn share(self, at: Option<Timestamp>) -> Option<u32> {
        at.is_some_and(|at| at > self.at).then_some(self.share)
    }
}

impl Pace {
    /// Creates the pace of so many inputs.
    pub(super) fn new(inputs: usize) -> Self {
        Pace(vec![Turns { took: 0, empty: 0 }; inputs])
    }

    /// The input furthest behind, among those with a backlog; `None` with fewer than two inputs. `time_of` returns the
    /// event time of an input, if it has one and takes turns.
    #[inline]
    pub(super) fn slowest(&self, time_of: impl Fn(usize) -> Option<Timestamp>) -> Option<Slowest> {
        if self.0.len() < 2 {
            return None;
        }
        let inputs = self.0.iter().enumerate();
        let backlogs = inputs.filter(|(_, turns)| turns.has_backlog());
        let slow = backlogs.filter_map(|(input, turns)| {
            // An input without a first watermark may never get one.
            let at = time_of(input).filter(|at| *at > Timestamp::MIN)?;
            let share = if turns.empty > 0 {
                0
            } else {
                turns.took / SHARE
            };
            Some(Slowest { at, share })
        });
        slow.min()
    }

    /// Notes how many records an input took in its turn.
    #[inline]
    pub(super) fn note(&mut self, input: usize, took: u32) {
        let turns = &mut self.0[input];
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

    /// Runs two inputs for `turns` turns and returns how far the first gets ahead at most. In each turn, the first takes
    /// as much as it may of a batch, with records three apart in time; the other takes `other(turn)` records, one apart
    /// in time.
    fn lead(turns: i64, batch: u32, other: impl Fn(i64) -> u32) -> i64 {
        let mut pace = Pace::new(2);
        let mut at = [0, 0];
        let mut lead = 0;
        for turn in 0..turns {
            let times = at.map(|at| Some(Timestamp(at)));
            let slowest = pace.slowest(|input| times[input]);
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
    fn input_does_not_get_away_from_one_with_a_backlog() {
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
    fn input_without_watermarks_is_not_waited_for() {
        let mut pace = Pace::new(3);
        (0..3).for_each(|input| pace.note(input, 1024));
        let times = [None, Some(Timestamp::MIN), Some(Timestamp(7))];
        let slowest = pace.slowest(|input| times[input]).expect("the last");
        assert_eq!(slowest.share(times[2]), None);
        assert_eq!(slowest.share(times[0]), None);
        assert_eq!(slowest.share(Some(Timestamp(8))), Some(1024 / SHARE));
    }
}
