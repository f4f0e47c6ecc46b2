//! `BarrierAligner`: when a barrier that arrives on several channels is forwarded, and which channels wait for it. The
//! channels are those of a gate, or the inputs of an operator.
//!
//! Flink's rules (`SingleCheckpointBarrierHandler`, `CheckpointBarrierTracker`), as a value without I/O:
//!
//! - A channel that has delivered a checkpoint's barrier is blocked until every open channel has; then the barrier is
//!   forwarded. *At least once*: no channel is blocked, and several checkpoints may be in progress.
//! - A later barrier ends the alignment of all earlier ones, also of those that arrive after it, unless it blocks no
//!   channel. A barrier that is not later than the last one forwarded, or whose checkpoint was aborted, is ignored.
//! - A channel that has ended counts as having delivered every barrier.
//! - *Unaligned*: a barrier that overtakes is forwarded once the first channel or the job master has announced it, and
//!   blocks no channel from then on.

use std::collections::VecDeque;

use super::{Barrier, Concluded};
use crate::seeded_bugs::seeded;

/// A barrier that some channels have delivered.
#[derive(Debug)]
struct Arriving {
    barrier: Barrier,
    brought: Vec<bool>,
}

/// Aligns the barriers of several channels.
#[derive(Debug)]
pub(crate) struct BarrierAligner {
    ended: Vec<bool>,
    held: Vec<bool>,
    /// In checkpoint order; at most one if barriers block channels.
    arriving: VecDeque<Arriving>,
    /// The checkpoints whose barriers were forwarded or are no longer awaited.
    concluded: Concluded,
}

impl BarrierAligner {
    /// Creates an aligner of `channels` open channels.
    pub(crate) fn new(channels: usize) -> Self {
        BarrierAligner {
            ended: vec![false; channels],
            held: vec![false; channels],
            arriving: VecDeque::new(),
            concluded: Concluded::default(),
        }
    }

    /// How many channels there are.
    pub(crate) fn channels(&self) -> usize {
        self.ended.len()
    }

    /// Whether a channel is blocked, so that nothing may be read from it now.
    #[inline]
    pub(crate) fn is_held(&self, channel: usize) -> bool {
        self.held[channel] && !seeded("channel-not-held")
    }

    /// Handles a barrier from a channel. Returns the barrier to forward now, if any.
    pub(crate) fn on_barrier(&mut self, channel: usize, barrier: Barrier) -> Option<Barrier> {
        if self.concluded.contains(barrier.checkpoint) {
            return None;
        }
        if barrier.holds() {
            self.give_up_before(barrier.checkpoint);
        }
        let known = self
            .arriving
            .iter()
            .position(|a| a.barrier.checkpoint == barrier.checkpoint);
        let place = known.unwrap_or_else(|| {
            let later = |a: &Arriving| a.barrier.checkpoint > barrier.checkpoint;
            let place = self
                .arriving
                .iter()
                .position(later)
                .unwrap_or(self.arriving.len());
            let brought = vec![false; self.ended.len()];
            self.arriving.insert(place, Arriving { barrier, brought });
            place
        });
        let arriving = &mut self.arriving[place];
        arriving.brought[channel] = true;
        // On the first channel it may have arrived before it was told to overtake.
        arriving.barrier.options |= barrier.options;
        self.held[channel] = barrier.holds();
        self.go_on(place)
    }

    /// Forwards an overtaking barrier now, whichever channels have delivered it. Returns `false` if it was concluded
    /// before.
    pub(crate) fn overtake(&mut self, barrier: Barrier) -> bool {
        if self.concluded.contains(barrier.checkpoint) {
            return false;
        }
        self.arriving
            .retain(|a| a.barrier.checkpoint > barrier.checkpoint);
        self.held.fill(false);
        self.concluded.conclude(barrier.checkpoint);
        true
    }

    /// Whether the barrier of a checkpoint was neither forwarded nor given up.
    pub(crate) fn awaits(&self, checkpoint: u64) -> bool {
        !self.concluded.contains(checkpoint)
    }

    /// Whether a channel will deliver no more frames that precede this checkpoint's barrier.
    pub(crate) fn has_brought(&self, channel: usize, checkpoint: u64) -> bool {
        let mut arriving = self.arriving.iter();
        self.ended[channel]
            || arriving.any(|a| a.barrier.checkpoint == checkpoint && a.brought[channel])
    }

    /// Whether all channels have ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.iter().all(|ended| *ended)
    }

    /// Handles the end of a channel. Returns the barrier to forward now, if any: the latest, which subsumes those
    /// before it.
    pub(crate) fn on_end(&mut self, channel: usize) -> Option<Barrier> {
        self.ended[channel] = true;
        self.held[channel] = false;
        (0..self.arriving.len())
            .rev()
            .find_map(|place| self.go_on(place))
    }

    /// Aborts a checkpoint: its barriers are no longer awaited, and ignored from now on.
    pub(crate) fn abort(&mut self, checkpoint: u64) {
        let is_aborted = |a: &Arriving| a.barrier.checkpoint == checkpoint;
        let place = self.arriving.iter().position(is_aborted);
        let aborted = place.and_then(|place| self.arriving.remove(place));
        if aborted.is_some_and(|a| a.barrier.holds()) {
            self.held.fill(false);
        }
        self.concluded.abort(checkpoint);
    }

    /// Ends the alignment of all earlier barriers, also of those that come only now: on another channel they were aborted
    /// before they were sent.
    fn give_up_before(&mut self, checkpoint: u64) {
        let earlier = |a: &Arriving| a.barrier.checkpoint < checkpoint;
        if self.arriving.iter().any(earlier) {
            self.arriving.retain(|a| !earlier(a));
            self.held.fill(false);
        }
        self.concluded.conclude(checkpoint.saturating_sub(1));
    }

    fn go_on(&mut self, place: usize) -> Option<Barrier> {
        let arriving = &self.arriving[place];
        let mut channels = arriving.brought.iter().zip(&self.ended);
        let is_brought = |(brought, ended): (&bool, &bool)| *brought || *ended;
        if !channels.all(is_brought) && !seeded("barrier-passed-early") {
            return None;
        }
        let barrier = arriving.barrier;
        self.concluded.conclude(barrier.checkpoint);
        self.arriving.drain(..=place);
        // Whoever waits does so for this barrier or an earlier one: a later one that blocks would have ended these.
        self.held.fill(false);
        Some(barrier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly_once(checkpoint: u64) -> Barrier {
        Barrier {
            checkpoint,
            options: 0,
        }
    }

    fn at_least_once(checkpoint: u64) -> Barrier {
        let options = Barrier::AT_LEAST_ONCE;
        Barrier {
            checkpoint,
            options,
        }
    }

    #[test]
    fn barrier_goes_on_when_every_channel_has_brought_it() {
        let mut aligner = BarrierAligner::new(3);
        assert_eq!(aligner.on_barrier(1, exactly_once(1)), None);
        assert!(!aligner.is_held(0) && aligner.is_held(1));
        assert_eq!(aligner.on_barrier(0, exactly_once(1)), None);
        assert_eq!(
            aligner.on_barrier(2, exactly_once(1)),
            Some(exactly_once(1))
        );
        assert!((0..3).all(|channel| !aligner.is_held(channel)));
        assert_eq!(
            BarrierAligner::new(1).on_barrier(0, exactly_once(7)),
            Some(exactly_once(7))
        );
    }

    #[test]
    fn later_barrier_subsumes_the_one_that_is_waited_for() {
        let mut aligner = BarrierAligner::new(2);
        assert_eq!(aligner.on_barrier(0, exactly_once(1)), None);
        assert_eq!(aligner.on_barrier(1, exactly_once(2)), None);
        assert!(!aligner.is_held(0) && aligner.is_held(1));
        assert_eq!(
            aligner.on_barrier(0, exactly_once(1)),
            None,
            "one that was given up"
        );
        assert!(!aligner.is_held(0));
        assert_eq!(
            aligner.on_barrier(0, exactly_once(2)),
            Some(exactly_once(2))
        );
    }

    #[test]
    fn earlier_barrier_that_comes_after_a_later_one_releases_nobody_and_is_ignored() {
        let mut aligner = BarrierAligner::new(2);
        assert_eq!(aligner.on_barrier(0, exactly_once(4)), None);
        // It was aborted before channel 0 sent it, and nobody has told so here.
        assert_eq!(aligner.on_barrier(1, exactly_once(3)), None);
        assert!(aligner.is_held(0) && !aligner.is_held(1));
        aligner.abort(3);
        assert!(aligner.is_held(0));
        assert_eq!(
            aligner.on_barrier(1, exactly_once(4)),
            Some(exactly_once(4))
        );
    }

    #[test]
    fn barrier_that_overtakes_on_any_channel_goes_on_as_one_that_does() {
        let overtaking = Barrier {
            checkpoint: 1,
            options: Barrier::UNALIGNED,
        };
        for barriers in [[exactly_once(1), overtaking], [overtaking, exactly_once(1)]] {
            let mut aligner = BarrierAligner::new(2);
            assert_eq!(aligner.on_barrier(0, barriers[0]), None);
            assert_eq!(aligner.on_barrier(1, barriers[1]), Some(overtaking));
        }
    }

    #[test]
    fn abort_of_a_checkpoint_that_holds_nobody_releases_nobody() {
        let mut aligner = BarrierAligner::new(2);
        assert_eq!(aligner.on_barrier(0, exactly_once(1)), None);
        assert_eq!(aligner.on_barrier(1, at_least_once(2)), None);
        aligner.abort(2);
        assert!(aligner.is_held(0));
    }

    #[test]
    fn aborted_barrier_is_not_waited_for_and_ignored_afterwards() {
        let mut aligner = BarrierAligner::new(2);
        assert_eq!(aligner.on_barrier(0, exactly_once(3)), None);
        aligner.abort(3);
        assert!(!aligner.is_held(0));
        assert_eq!(aligner.on_barrier(1, exactly_once(3)), None);
        assert!(!aligner.is_held(1));
        aligner.abort(4);
        assert_eq!(aligner.on_barrier(1, exactly_once(4)), None);
        assert!(!aligner.is_held(1), "aborted before it came");
        assert_eq!(aligner.on_barrier(1, exactly_once(5)), None);
        aligner.abort(2);
        assert!(aligner.is_held(1), "an older one changes nothing");
        assert_eq!(
            aligner.on_barrier(0, exactly_once(5)),
            Some(exactly_once(5))
        );
    }

    #[test]
    fn barrier_is_waited_for_though_a_later_one_is_aborted_which_is_ignored_when_it_comes() {
        let mut aligner = BarrierAligner::new(2);
        assert_eq!(aligner.on_barrier(0, exactly_once(1)), None);
        aligner.abort(2);
        assert!(aligner.is_held(0));
        assert_eq!(
            aligner.on_barrier(1, exactly_once(1)),
            Some(exactly_once(1))
        );
        assert_eq!(aligner.on_barrier(0, exactly_once(2)), None);
        assert!(!aligner.is_held(0));
        aligner.abort(4);
        assert_eq!(aligner.on_barrier(0, exactly_once(3)), None, "before it");
        assert!(aligner.is_held(0));
    }

    #[test]
    fn ended_channel_has_brought_every_barrier() {
        let mut aligner = BarrierAligner::new(2);
        assert_eq!(aligner.on_barrier(0, exactly_once(1)), None);
        assert_eq!(aligner.on_end(1), Some(exactly_once(1)));
        assert!(!aligner.is_held(0));
        assert_eq!(
            aligner.on_barrier(0, exactly_once(2)),
            Some(exactly_once(2))
        );
        assert_eq!(aligner.on_end(0), None);
    }

    #[test]
    fn barrier_that_overtakes_goes_on_at_once_and_only_once() {
        let mut aligner = BarrierAligner::new(3);
        assert_eq!(aligner.on_barrier(1, exactly_once(1)), None);
        assert!(aligner.has_brought(1, 1) && !aligner.has_brought(0, 1));
        assert!(aligner.overtake(exactly_once(1)));
        assert!(!aligner.is_held(1));
        assert!(!aligner.overtake(exactly_once(1)));
        assert_eq!(aligner.on_barrier(0, exactly_once(1)), None);
        assert!(!aligner.is_held(0));
        aligner.abort(2);
        assert!(!aligner.overtake(exactly_once(2)), "aborted before it came");
        assert!(aligner.overtake(exactly_once(3)));
    }

    #[test]
    fn at_least_once_holds_nobody_and_a_later_one_drops_those_before() {
        let mut aligner = BarrierAligner::new(2);
        assert_eq!(aligner.on_barrier(0, at_least_once(1)), None);
        assert_eq!(aligner.on_barrier(0, at_least_once(2)), None);
        assert!(!aligner.is_held(0));
        assert_eq!(
            aligner.on_barrier(1, at_least_once(2)),
            Some(at_least_once(2))
        );
        assert_eq!(aligner.on_barrier(1, at_least_once(1)), None);
        assert_eq!(aligner.on_barrier(0, at_least_once(3)), None);
        assert_eq!(
            aligner.on_barrier(1, at_least_once(3)),
            Some(at_least_once(3))
        );
    }
}
