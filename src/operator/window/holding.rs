//! `Holding`: how long the first phase of windows may hold back what it has aggregated.
//!
//! A slice can wait for the watermark that closes it as long as event time downstream waits for that watermark,
//! too. It does not wait for an idle channel, nor for one that was idle and has not caught up with the others since.
//! Whether it has is not known upstream of the exchange, so a subtask that was idle once never again holds anything
//! back: each record crosses the exchange alone, as it would without a first phase.
//!
//! Holding records until the subtask's next watermark would not do: a record behind it, which sends none, may be on
//! time when it arrives here, and too late by the time of that watermark.

use crate::operator::Signal;
use crate::time::Timestamp;

use super::slicing::Slice;

/// How long a slice may be held back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Holding {
    /// Until the watermark closes it: event time downstream is not ahead of this subtask's.
    #[default]
    UntilClosed,
    /// Not at all: the subtask is or was idle.
    Never,
}

impl Holding {
    /// Takes note of a signal.
    pub(super) fn on_signal(&mut self, signal: Signal) {
        if signal == Signal::Idle {
            *self = Holding::Never;
        }
    }

    /// Returns whether a slice is held back.
    #[inline]
    pub(super) fn holds(self, slice: Slice, watermark: Timestamp) -> bool {
        slice.last > self.reached(watermark)
    }

    /// Returns which event time may have been reached downstream, given this subtask's watermark: slices that end
    /// by then are emitted ahead of a signal.
    pub(super) fn reached(self, watermark: Timestamp) -> Timestamp {
        match self {
            Holding::UntilClosed => watermark,
            Holding::Never => Timestamp::MAX,
        }
    }
}
