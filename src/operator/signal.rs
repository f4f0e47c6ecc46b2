//! Signals: control messages that travel in order with the records.

use std::collections::VecDeque;

use crate::state::Extent;
use crate::time::{TimeSignal, TimeSignals, Timestamp};

/// The number of a source's split, unique within one reader.
pub type SplitId = u32;

/// A checkpoint barrier: everything before it belongs to the checkpoint, nothing after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Barrier {
    /// The checkpoint's id: 1, 2, 3 …
    pub checkpoint: u64,
    /// Options, 24 bits at most.
    pub options: u32,
}

impl Barrier {
    /// Option: every state is written in full, not only its changes.
    pub const WHOLE: u32 = 1;
    /// Option: inputs on which the barrier has arrived are not blocked while waiting for the others.
    pub const AT_LEAST_ONCE: u32 = 2;
    /// Option: nothing is read after the barrier, because the job ends with this checkpoint.
    pub const SUSPEND: u32 = 4;
    /// Option: the barrier overtakes in-flight data, which becomes part of the checkpoint.
    pub const UNALIGNED: u32 = 8;

    /// Returns how much of its state an operator writes.
    #[must_use]
    pub fn extent(self) -> Extent {
        if self.options & Barrier::WHOLE == 0 {
            Extent::Changes
        } else {
            Extent::Whole
        }
    }

    /// Returns whether sources stop at the barrier.
    #[must_use]
    pub fn suspends(self) -> bool {
        self.options & Barrier::SUSPEND != 0
    }

    /// Returns whether the barrier overtakes in-flight data.
    #[must_use]
    pub fn overtakes(self) -> bool {
        self.options & Barrier::UNALIGNED != 0
    }

    /// Returns whether an input is blocked from the arrival of the barrier until it has arrived on all others.
    #[must_use]
    pub fn holds(self) -> bool {
        self.options & Barrier::AT_LEAST_ONCE == 0
    }
}

/// A signal, ordered with the records around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// No record with a timestamp at or before this one will follow.
    Watermark(Timestamp),
    /// The channel is idle: it does not hold back the watermark.
    Idle,
    /// The channel is active again.
    Active,
    /// A checkpoint barrier.
    Barrier(Barrier),
    /// The records that follow belong to this split of the source. Does not cross an exchange.
    Split(SplitId),
    /// This split is finished. Does not cross an exchange.
    SplitEnd(SplitId),
    /// The checkpoint with this number is complete, and so is every earlier one that was not aborted. Does
    /// not cross an exchange.
    CheckpointComplete(u64),
    /// The checkpoint with this number will not complete. Does not cross an exchange.
    CheckpointAborted(u64),
    /// No more records follow. Barriers may: the chain's state is part of checkpoints until the job ends.
    End,
}

impl Signal {
    /// Returns whether this is a barrier that overtakes in-flight data: it is taken even if outputs are full, see
    /// [`Operator::takes_barrier`](super::Operator::takes_barrier).
    #[inline]
    #[must_use]
    pub fn overtakes(self) -> bool {
        matches!(self, Signal::Barrier(barrier) if barrier.overtakes())
    }

    /// Takes an overtaking barrier out of the waiting signals, if it is the only one.
    pub(super) fn take_overtaking(waiting: &mut VecDeque<Signal>) -> Option<Signal> {
        let is_alone = waiting.len() == 1 && waiting[0].overtakes();
        is_alone.then(|| waiting.pop_front()).flatten()
    }
}

/// Forwards time signals, in order.
pub(super) fn forward(signals: TimeSignals, send: &mut (impl FnMut(Signal) + ?Sized)) {
    for signal in signals {
        send(signal.into());
    }
}

impl From<TimeSignal> for Signal {
    #[inline]
    fn from(signal: TimeSignal) -> Self {
        match signal {
            TimeSignal::Watermark(at) => Signal::Watermark(at),
            TimeSignal::Idle => Signal::Idle,
            TimeSignal::Active => Signal::Active,
        }
    }
}
