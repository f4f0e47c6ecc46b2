//! `Holding`: how long the first phase of windows may hold back what it has aggregated.
//!
//! A slice can wait for the watermark that closes it as long as event time downstream waits for that watermark,
//! too. It does not wait for an idle channel, nor for one that was idle and has not caught up with the others since.
//! Whether it has is not known upstream of the exchange, so a subtask that was idle once never again holds anything
//! back beyond a watermark.

use crate::operator::Signal;
use crate::time::Timestamp;

use super::slicing::Slice;

/// How long a slice may be held back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Holding {
    /// Until the watermark closes it: event time downstream is not ahead of this subtask's.
    #[default]
    UntilClosed,
    /// Until the next watermark: the subtask was idle.
    UntilWatermark,
    /// Not at all: the subtask is idle.
    Never,
}

impl Holding {
    /// Takes note of a signal.
    pub(super) fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Idle => *self = Holding::Never,
            Signal::Active if *self == Holding::Never => *self = Holding::UntilWatermark,
            _ => {}
        }
    }

    /// Returns whether a slice is held back.
    #[inline]
    pub(super) fn holds(self, slice: Slice, watermark: Timestamp) -> bool {
        slice.last > watermark && self != Holding::Never
    }

    /// Returns which event time may have been reached downstream, given this subtask's watermark: slices that end
    /// by then are emitted ahead of a signal.
    pub(super) fn reached(self, watermark: Timestamp) -> Timestamp {
        match self {
            Holding::UntilClosed => watermark,
            Holding::UntilWatermark | Holding::Never => Timestamp::MAX,
        }
    }
}
