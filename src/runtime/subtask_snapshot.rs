//! A subtask's part in checkpoints: from the barrier until everything that it froze has been handed over.

use std::collections::VecDeque;

use crate::checkpoint::{PieceSink, SnapshotOutput, StateReport};
use crate::operator::{Barrier, Concluded};

use super::head::Head;

/// How many entries of a snapshot one turn writes: some ten microseconds' worth.
const SLICE_ENTRIES: usize = 4096;

/// A message from a subtask to the job master.
#[derive(Debug)]
pub(crate) enum Message {
    /// All of its state for a checkpoint has been handed over.
    Acknowledged {
        checkpoint: u64,
        states: Vec<StateReport>,
    },
    /// It cannot take part in a checkpoint.
    Declined { checkpoint: u64, reason: String },
    /// All of its input has ended. Its state is still part of checkpoints.
    AtEnd,
}

/// The snapshots of one subtask, one at a time: a chain can hold only one frozen state, so the next barrier waits until
/// that is written: at the sources of the subtask and in the rings that it reads.
pub(crate) struct SubtaskSnapshot {
    /// The subtask's index.
    index: u32,
    sink: Box<dyn PieceSink + Send>,
    /// The checkpoint whose state is being written.
    current: Option<u64>,
    /// All checkpoints up to the last one whose state is written, and aborted ones: state frozen for these is
    /// discarded, and none is frozen any more. An abort may arrive before the barrier does through an input.
    concluded: Concluded,
    /// The last checkpoint whose barrier was handed to the heads; it may still wait for room at a source.
    given: u64,
    reports: Vec<StateReport>,
    /// Checkpoints that wait until the states of the current one and of the last one given are written.
    waiting: VecDeque<Barrier>,
    /// The last checkpoint whose barriers were made to overtake.
    overtaking: u64,
    /// The last slice wrote nothing: the writer is behind, or a barrier has not arrived yet.
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

    /// Whether records must wait, because there is no room for what they would make tables copy.
    pub(crate) fn is_full(&self) -> bool {
        self.current.is_some() && self.sink.is_full()
    }

    /// Whether there is something to write now.
    pub(crate) fn has_work(&self) -> bool {
        self.current.is_some() && !self.stalled
    }

    /// Handles a triggered checkpoint: returns its barrier unless that must wait.
    pub(crate) fn trigger(&mut self, barrier: Barrier) -> Option<Barrier> {
        // The barrier may have arrived through an input before this.
        let has_come = self.current.unwrap_or(self.written()) >= barrier.checkpoint;
        if has_come || self.is_free() {
            self.given = barrier.checkpoint;
            return Some(barrier);
        }
        self.waiting.push_back(barrier);
        None
    }

    /// Whether no barrier is in progress in the subtask.
    fn is_free(&self) -> bool {
        self.current.is_none() && self.given <= self.written()
    }

    /// Makes the barriers of a checkpoint overtake in-flight data. Returns whether the barrier still waits here, so
    /// that the heads need not be notified.
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

    /// Aborts a checkpoint, whether it waits or is being written. A barrier that was given but has not entered a chain
    /// yet no longer will.
    pub(crate) fn abort(&mut self, checkpoint: u64) {
        self.concluded.abort(checkpoint);
        if self.given == checkpoint {
            self.given = self.written();
        }
        self.waiting
            .retain(|barrier| barrier.checkpoint != checkpoint);
    }

    /// Writes part of the state that the chains have frozen, if there is any. Once all of it is written, returns the
    /// acknowledgement.
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
        for head in heads.iter_mut() {
            all &= head.snapshot(&mut out) && head.barrier() >= checkpoint;
        }
        self.stalled = !all && !out.has_written();
        // Where the barrier of an aborted checkpoint was dropped, nothing will be frozen. One that still waits in a
        // chain will freeze the tables behind it, and they must be drained before the next one comes.
        let is_aborted = self.concluded.contains(checkpoint);
        let is_over = is_aborted && out.nothing_to_write();
        all |= is_over && !heads.iter().any(|head| head.may_hold_barrier());
        all.then(|| {
            self.current = None;
            self.concluded.conclude(checkpoint);
            Message::Acknowledged {
                checkpoint,
                states: std::mem::take(reports),
            }
        })
    }

    /// Takes the next waiting checkpoint, if its turn has come.
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
    use std::cell::Cell;

    use super::*;
    use crate::checkpoint::{Deferred, MemorySnapshot, Piece};
    use crate::runtime::endless_head::EndlessHead;

    fn barrier(checkpoint: u64) -> Barrier {
        Barrier {
            checkpoint,
            options: 0,
        }
    }

    /// The two inputs of an operator, each of which has delivered the given barrier. The operator freezes nothing
    /// before both have delivered the same one.
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
    fn aborted_checkpoint_is_not_over_while_its_barrier_waits_in_a_chain() {
        let mut snapshot = SubtaskSnapshot::new(0, Box::new(MemorySnapshot::new(1)));
        let mut heads = inputs([1, 1]);
        assert!(snapshot.write(&mut heads).is_none());
        snapshot.abort(1);
        heads[1] = Box::new(EndlessHead {
            barrier: 1,
            holds_barrier: true,
            ..EndlessHead::default()
        });
        assert!(snapshot.write(&mut heads).is_none());
        assert_eq!(snapshot.trigger(barrier(2)), None, "it waits");
        assert!(snapshot.write(&mut inputs([1, 1])).is_some());
        assert_eq!(snapshot.next(), Some(barrier(2)));
    }

    /// Has no room when it is asked for the first time, and then has.
    #[derive(Default)]
    struct Busy {
        asked: Cell<bool>,
    }

    impl PieceSink for Busy {
        fn has_room(&self) -> bool {
            self.asked.replace(true)
        }

        fn is_full(&self) -> bool {
            false
        }

        fn send(&mut self, _checkpoint: u64, _piece: Piece) {}

        fn defer(&mut self, _checkpoint: u64, _work: Deferred) {}

        fn buffer(&mut self) -> Vec<u8> {
            Vec::new()
        }
    }

    #[test]
    fn aborted_checkpoint_is_not_over_while_there_was_no_room_for_what_is_left_of_it() {
        let mut snapshot = SubtaskSnapshot::new(0, Box::new(Busy::default()));
        assert!(snapshot.write(&mut inputs([1, 1])).is_none());
        snapshot.abort(1);
        snapshot.sink = Box::new(Busy::default());
        assert!(snapshot.write(&mut inputs([1, 1])).is_none());
        assert!(snapshot.write(&mut inputs([1, 1])).is_some(), "it had room");
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
