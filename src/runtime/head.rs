//! Heads: the drivers of fused chains. A source or a ring reader, behind one `dyn` call per batch.

use std::collections::VecDeque;

use crate::checkpoint::SnapshotOutput;
use crate::operator::{
    Barrier, BoxError, Budget, OpenContext, OperatorError, Push, Signal, Suspension,
};
use crate::seeded_bugs::seeded;
use crate::time::Timestamp;

/// What a turn achieved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Progress {
    /// There was nothing to do.
    Idle,
    /// There is something to do, but an output is full.
    Blocked,
    /// Something was done.
    Worked,
}

/// One turn of a subtask: how much it may do, and the time at its start.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) now: Timestamp,
    pub(crate) budget: Budget,
    /// The last checkpoint whose state is written, and the last whose barrier a head of the subtask has taken, perhaps
    /// in this turn.
    pub(crate) written: u64,
    pub(crate) taken: u64,
}

impl Turn {
    /// Whether a barrier must wait because the state of another checkpoint is not written yet: of the last one whose
    /// barrier was taken, here or by another head of the subtask. If that is a later one, this one was aborted, and the
    /// notice of it is on its way.
    pub(crate) fn waits_for(&self, barrier: Barrier, pending: &Pending) -> bool {
        let taken = self.taken.max(pending.barrier_queued);
        self.written < taken && taken != barrier.checkpoint && !seeded("barrier-not-waited-with")
    }
}

/// A notice about checkpoints that reaches a head other than through its records.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notice {
    /// A checkpoint starts: sources send its barrier.
    Triggered(Barrier),
    /// A triggered checkpoint takes too long: from now on its barrier overtakes in-flight data.
    Overtake(Barrier),
    /// The job is being drained: sources end as if their input were over.
    Drain,
    /// A checkpoint is complete.
    Complete(u64),
    /// A checkpoint was aborted.
    Aborted(u64),
}

/// The driver of one chain.
pub(crate) trait Head: Send {
    /// Opens the chain, then the head's own input.
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError>;

    /// Drives the chain for at most a batch.
    fn poll(&mut self, turn: &mut Turn) -> Result<Progress, OperatorError>;

    /// Whether a poll would do something now; checked before the worker sleeps.
    fn has_work(&mut self) -> bool;

    /// When, in processing time, the head must be polled even if nothing arrives.
    fn deadline(&self) -> Option<Timestamp>;

    /// How far event time has advanced, as generated in its chain or delivered by its channels; `None` if unknown.
    fn event_time(&self) -> Option<Timestamp> {
        None
    }

    /// Whether the end of input has passed through the whole chain and all outputs are empty.
    fn is_done(&self) -> bool;

    /// Whether all queued signals have gone down the chain.
    fn is_settled(&self) -> bool;

    /// Handles a notice about a checkpoint.
    ///
    /// # Errors
    /// If a source cannot report its position; the checkpoint is then declined.
    fn notice(&mut self, notice: Notice) -> Result<(), BoxError>;

    /// The checkpoint whose barrier is to overtake what the head has not read, but has not yet.
    fn postponed(&self) -> Option<u64> {
        None
    }

    /// Whether the head lets the barriers of a checkpoint overtake in its subtask now: its own does not have to, has come
    /// in line, or can enter the chain.
    fn lets_overtake(&self, checkpoint: u64) -> bool {
        let _ = checkpoint;
        true
    }

    /// Makes the postponed barrier enter the chain.
    fn overtake(&mut self) {}

    /// The last checkpoint whose barrier has entered the chain.
    fn barrier(&self) -> u64;

    /// The last checkpoint whose barrier was taken, though it may wait to enter the chain.
    fn barrier_queued(&self) -> u64;

    /// Whether a barrier that has entered the chain may still wait in it, in front of an operator that is not ready.
    fn may_hold_barrier(&self) -> bool {
        false
    }

    /// Writes part of what the chain, and the head itself, froze at the barrier. Returns whether that is all.
    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool;

    /// Closes the chain.
    fn close(&mut self) -> Result<(), OperatorError>;
}

/// Signals that wait, in order, for their chain to be ready; almost always empty.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    signals: VecDeque<Signal>,
    ended: bool,
    barrier: u64,
    barrier_queued: u64,
    suspension: Suspension,
}

impl Pending {
    /// Queues a signal.
    pub(crate) fn add(&mut self, signal: Signal) {
        if let Signal::Barrier(barrier) = signal {
            self.barrier_queued = barrier.checkpoint;
        }
        self.suspension.note(signal);
        self.signals.push_back(signal);
    }

    /// Aborts a checkpoint: removes its barrier if it has not been delivered yet.
    pub(crate) fn abort(&mut self, checkpoint: u64) {
        let is_barrier =
            |signal: &Signal| matches!(signal, Signal::Barrier(b) if b.checkpoint == checkpoint);
        self.signals.retain(|signal| !is_barrier(signal));
        if self.barrier_queued == checkpoint {
            self.barrier_queued = self.barrier;
        }
        self.add(Signal::CheckpointAborted(checkpoint));
    }

    /// Whether a barrier that stops the job was queued or delivered, after which nothing may be read and time must not
    /// advance.
    pub(crate) fn is_suspended(&self) -> bool {
        self.suspension.is_on()
    }

    /// Queues signals.
    pub(crate) fn extend(&mut self, signals: impl IntoIterator<Item = Signal>) {
        signals.into_iter().for_each(|signal| self.add(signal));
    }

    /// Delivers queued signals to `next` while it is ready; returns whether none is left and it still is.
    #[inline]
    pub(crate) fn deliver<V: ?Sized, D: Push<V>>(&mut self, next: &mut D) -> bool {
        while next.ready() || self.overtakes::<V, D>(next) {
            let Some(signal) = self.pop() else {
                return true;
            };
            next.signal(signal);
        }
        false
    }

    /// Takes the next signal, to be delivered now.
    fn pop(&mut self) -> Option<Signal> {
        let signal = self.signals.pop_front()?;
        match signal {
            Signal::End => self.ended = true,
            Signal::Barrier(barrier) => self.barrier = barrier.checkpoint,
            _ => {}
        }
        Some(signal)
    }

    /// Whether the next signal is a barrier that is delivered even though `next` is not ready.
    pub(crate) fn overtakes<V: ?Sized, D: Push<V>>(&self, next: &D) -> bool {
        self.begins_with_overtaking() && next.takes_barrier()
    }

    fn begins_with_overtaking(&self) -> bool {
        let first = self.signals.front();
        first.is_some_and(|signal| signal.overtakes())
    }

    /// Makes a queued barrier overtake. Returns whether it is queued or was delivered.
    pub(crate) fn overtake(&mut self, barrier: Barrier) -> bool {
        for signal in &mut self.signals {
            if let Signal::Barrier(queued) = signal
                && queued.checkpoint == barrier.checkpoint
            {
                queued.options |= Barrier::UNALIGNED;
            }
        }
        self.barrier_queued >= barrier.checkpoint
    }

    /// Whether [`Signal::End`] was delivered.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// The last checkpoint whose barrier was delivered.
    pub(crate) fn barrier(&self) -> u64 {
        self.barrier
    }

    /// The last checkpoint whose barrier was queued.
    pub(crate) fn barrier_queued(&self) -> u64 {
        self.barrier_queued
    }

    /// Whether signals are waiting.
    pub(crate) fn is_empty(&self) -> bool {
        self.signals.is_empty()
    }
}

/// Starts a turn of a chain: resumes unfinished work, passes on the time, delivers queued signals.
///
/// `None`: the chain takes records now. `Some`: it does not, and this is what the turn achieved.
#[inline]
pub(crate) fn start_turn<V: ?Sized, D: Push<V>>(
    next: &mut D,
    pending: &mut Pending,
    turn: &mut Turn,
) -> Option<Progress> {
    let budget = turn.budget.left();
    if !next.ready() {
        next.resume(&mut turn.budget);
    }
    if next.ready() && !pending.is_suspended() {
        next.begin(turn.now);
    }
    if pending.deliver(next) {
        return None;
    }
    Some(if turn.budget.left() < budget {
        Progress::Worked
    } else {
        Progress::Blocked
    })
}

/// Whether a chain that was not ready makes progress now. Checked before sleeping, because a release
/// before the worker announced its sleep has woken nobody.
pub(crate) fn gets_on<V: ?Sized, D: Push<V>>(next: &mut D) -> bool {
    let mut budget = Budget::new(1);
    next.resume(&mut budget);
    next.flush();
    next.ready() || budget.left() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::recorder::{Event, Recorder};

    /// The checkpoints of the barriers that have reached the end of a chain since the last call.
    fn barriers(tail: &Recorder<u64>) -> Vec<u64> {
        let events = tail.take().into_iter();
        let barrier = |event| match event {
            Event::Signal(Signal::Barrier(barrier)) => Some(barrier.checkpoint),
            _ => None,
        };
        events.filter_map(barrier).collect()
    }

    fn barrier(checkpoint: u64, options: u32) -> Barrier {
        Barrier {
            checkpoint,
            options,
        }
    }

    fn turn(now: i64) -> Turn {
        Turn {
            now: Timestamp(now),
            budget: Budget::new(1),
            written: 0,
            taken: 0,
        }
    }

    #[test]
    fn no_time_passes_behind_a_barrier_with_which_the_job_stops_until_that_is_aborted() {
        let (mut tail, mut pending) = (Recorder::<u64>::new(), Pending::default());
        // Which calls that pass on the time were made.
        let mut start = |pending: &mut Pending, now| {
            start_turn::<u64, _>(&mut tail, pending, &mut turn(now));
            tail.take_calls()
        };
        assert_eq!(start(&mut pending, 1), ["begin"]);
        pending.add(Signal::Barrier(barrier(4, Barrier::SUSPEND)));
        assert!(start(&mut pending, 2).is_empty());
        assert!(start(&mut pending, 3).is_empty());
        pending.abort(3);
        assert!(start(&mut pending, 4).is_empty());
        pending.abort(4);
        assert_eq!(start(&mut pending, 5), ["begin"]);
        assert_eq!(barriers(&tail), [4]);
    }

    #[test]
    fn barrier_that_waits_for_room_is_taken_back_with_its_checkpoint() {
        let (mut tail, mut pending) = (Recorder::<u64>::new(), Pending::default());
        tail.set_room(0);
        pending.add(Signal::Barrier(barrier(1, 0)));
        assert!(!pending.deliver::<u64, _>(&mut tail));
        assert!(turn(0).waits_for(barrier(2, 0), &pending));
        pending.abort(1);
        assert!(!turn(0).waits_for(barrier(2, 0), &pending));
        pending.add(Signal::Barrier(barrier(2, 0)));
        tail.set_room(usize::MAX);
        assert!(pending.deliver::<u64, _>(&mut tail));
        assert_eq!((barriers(&tail), pending.barrier()), (vec![2], 2));
    }

    #[test]
    fn barrier_waits_until_the_state_of_the_one_before_it_in_the_same_turn_is_written() {
        let (mut tail, mut pending) = (Recorder::<u64>::new(), Pending::default());
        pending.add(Signal::Barrier(barrier(1, 0)));
        assert!(pending.deliver::<u64, _>(&mut tail));
        let in_this_turn = turn(0);
        assert!(in_this_turn.waits_for(barrier(2, 0), &pending));
        assert!(!in_this_turn.waits_for(barrier(1, 0), &pending));
        let later = Turn {
            written: 1,
            ..turn(0)
        };
        assert!(!later.waits_for(barrier(2, 0), &pending));
    }
}
