//! A subtask's part in checkpoints: from the barrier until all that it froze is handed over.

use std::collections::VecDeque;

use crate::checkpoint::{PieceSink, SnapshotOutput, StateReport};
use crate::operator::{Barrier, Concluded};

use super::head::Head;

/// How many entries a turn writes of a snapshot: some ten microseconds' worth.
const SLICE_ENTRIES: usize = 4096;

/// What a subtask tells the job master.
#[derive(Debug)]
pub(crate) enum Message {
    /// All of its state of a checkpoint is handed over.
    Acknowledged {
        checkpoint: u64,
        states: Vec<StateReport>,
    },
    /// It cannot take part in a checkpoint.
    Declined { checkpoint: u64, reason: String },
    /// All of its input has come to its end. What it keeps is part of the checkpoints to come.
    AtEnd,
}

/// The snapshots of one subtask, one at a time: a chain freezes what a barrier finds once, so the next barrier waits
/// until that is written, before the sources of the subtask and in the rings that it reads.
pub(crate) struct SubtaskSnapshot {
    /// The subtask's index.
    index: u32,
    sink: Box<dyn PieceSink + Send>,
    /// The checkpoint whose state is being written.
    current: Option<u64>,
    /// Up to the last one whose state is written; and those that will not be completed: what is frozen of them is got
    /// rid of, what is not will not be. One may be told of before its barrier comes through an input.
    concluded: Concluded,
    /// The last one whose barrier was given: it may wait for room behind a source.
    given: u64,
    reports: Vec<StateReport>,
    /// Checkpoints that wait until the state of the current one, and of the one that was given, is written.
    waiting: VecDeque<Barrier>,
    /// The last checkpoint whose barriers were told to overtake.
    overtaking: u64,
    /// The last slice wrote nothing: the writer is behind, or a barrier has not come yet.
    stalled: bool,
}

impl SubtaskSnapshot {
    pub(crate) fn new(index: u32, sink: Box<dyn PieceSink + Send>) -> Self {
        SubtaskSnapshot {
            index,
            sink,
            current: None,
            concluded: Concluded::default(),
            given: 0,
            reports: Vec::new(),
            waiting: VecDeque::new(),
            overtaking: 0,
            stalled: false,
        }
    }

    /// The checkpoint whose state is being written.
    pub(crate) fn current(&self) -> Option<u64> {
        self.current
    }

    /// The last checkpoint whose state is written.
    pub(crate) fn written(&self) -> u64 {
        self.concluded.last()
    }

    /// Whether records have to wait, because what they would make tables copy has nowhere to go.
    pub(crate) fn is_full(&self) -> bool {
        self.current.is_some() && self.sink.is_full()
    }

    /// Whether there is something to write now.
    pub(crate) fn has_work(&self) -> bool {
        self.current.is_some() && !self.stalled
    }

    /// A checkpoint was triggered: gives its barrier if it need not wait.
    pub(crate) fn trigger(&mut self, barrier: Barrier) -> Option<Barrier> {
        // The barrier may have come through an input before this.
        let has_come = self.current.unwrap_or(self.written()) >= barrier.checkpoint;
        if has_come || self.is_free() {
            self.given = barrier.checkpoint;
            return Some(barrier);
        }
        self.waiting.push_back(barrier);
        None
    }

    /// Whether no barrier is under way in the subtask.
    fn is_free(&self) -> bool {
        self.current.is_none() && self.given <= self.written()
    }

    /// The barriers of a checkpoint are to overtake what is on its way. Says whether it waits here, and nobody
    /// else need know.
    pub(crate) fn overtake(&mut self, barrier: Barrier) -> bool {
        self.overtaking = barrier.checkpoint;
        let mut waiting = self.waiting.iter_mut();
        match waiting.find(|waiting| waiting.checkpoint == barrier.checkpoint) {
            Some(waiting) => {
                *waiting = barrier;
                true
            }
            None => false,
        }
    }

    /// A checkpoint is not worth it any more, whether it waits or is being written. A barrier that was given and has
    /// not gone into a chain will not any more.
    pub(crate) fn abort(&mut self, checkpoint: u64) {
        self.concluded.abort(checkpoint);
        if self.given == checkpoint {
            self.given = self.written();
        }
        self.waiting
            .retain(|barrier| barrier.checkpoint != checkpoint);
    }

    /// Writes some of the state that the chains have frozen, if there is any; gives what all of it came to when
    /// it is written.
    pub(crate) fn write(&mut self, heads: &mut [Box<dyn Head>]) -> Option<Message> {
        let latest = heads.iter().map(|head| head.barrier()).max().unwrap_or(0);
        if self.current.is_none() && latest > self.written() {
            self.current = Some(latest);
        }
        let checkpoint = self.current?;
        let reports = &mut self.reports;
        let mut out = SnapshotOutput::new(
            checkpoint,
            self.index,
            &mut *self.sink,
            reports,
            SLICE_ENTRIES,
        )
        .overtaking(checkpoint == self.overtaking);
        let mut all = true;
        for head in heads {
            all &= head.snapshot(&mut out) && head.barrier() >= checkpoint;
        }
        self.stalled = !all && !out.has_written();
        let is_aborted = self.concluded.contains(checkpoint);
        all |= is_aborted && !out.has_written() && out.budget() > 0;
        all.then(|| {
            self.current = None;
            self.concluded.conclude(checkpoint);
            Message::Acknowledged {
                checkpoint,
                states: std::mem::take(reports),
            }
        })
    }

    /// The next checkpoint that has waited, if its turn has come.
    pub(crate) fn next(&mut self) -> Option<Barrier> {
        if !self.is_free() {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.given = next.checkpoint;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::MemorySnapshot;
    use crate::runtime::endless_head::EndlessHead;

    fn barrier(checkpoint: u64) -> Barrier {
        Barrier {
            checkpoint,
            options: 0,
        }
    }

    /// The two inputs of an operator: each has brought this barrier. The operator has frozen nothing before both have
    /// brought the same.
    fn inputs(barriers: [u64; 2]) -> Vec<Box<dyn Head>> {
        let input = |barrier| -> Box<dyn Head> {
            Box::new(EndlessHead {
                barrier,
                ..EndlessHead::default()
            })
        };
        barriers.map(input).into()
    }

    #[test]
    fn checkpoint_that_is_aborted_between_two_inputs_does_not_hold_up_the_next() {
        let mut snapshot = SubtaskSnapshot::new(0, Box::new(MemorySnapshot::new(1)));
        assert!(snapshot.write(&mut inputs([1, 0])).is_none());
        assert_eq!(snapshot.current(), Some(1));
        assert!(snapshot.trigger(barrier(2)).is_none(), "it waits");
        assert!(snapshot.write(&mut inputs([1, 0])).is_none());
        snapshot.abort(1);
        assert!(snapshot.write(&mut inputs([1, 0])).is_some());
        assert_eq!(snapshot.next(), Some(barrier(2)));
    }

    #[test]
    fn checkpoint_whose_barrier_comes_through_one_input_after_it_was_aborted_does_not_hold_up_the_next()
     {
        let mut snapshot = SubtaskSnapshot::new(0, Box::new(MemorySnapshot::new(1)));
        assert!(snapshot.write(&mut inputs([0, 0])).is_none());
        snapshot.abort(1);
        assert!(snapshot.write(&mut inputs([1, 0])).is_some());
        assert_eq!(snapshot.trigger(barrier(2)), Some(barrier(2)));
        assert!(snapshot.write(&mut inputs([2, 0])).is_none());
        assert_eq!(snapshot.current(), Some(2));
    }

    #[test]
    fn barrier_that_has_come_through_an_input_already_is_not_waited_with() {
        let mut snapshot = SubtaskSnapshot::new(0, Box::new(MemorySnapshot::new(1)));
        assert!(snapshot.write(&mut inputs([1, 0])).is_none());
        assert_eq!(snapshot.trigger(barrier(1)), Some(barrier(1)));
    }

    #[test]
    fn barrier_that_waits_is_told_to_overtake_where_it_waits() {
        let mut snapshot = SubtaskSnapshot::new(0, Box::new(MemorySnapshot::new(1)));
        assert!(snapshot.write(&mut inputs([1, 0])).is_none());
        assert!(snapshot.trigger(barrier(2)).is_none());
        let overtaking = Barrier {
            options: Barrier::UNALIGNED,
            ..barrier(2)
        };
        assert!(!snapshot.overtake(barrier(1)), "its barrier has gone");
        assert!(snapshot.overtake(overtaking));
        snapshot.abort(1);
        assert!(snapshot.write(&mut inputs([1, 0])).is_some());
        assert_eq!(snapshot.next(), Some(overtaking));
    }
}
