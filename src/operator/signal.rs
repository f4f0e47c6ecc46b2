//! Signals: what travels in order with the records but is none.

use crate::time::{TimeSignal, Timestamp};

/// A number for a split of a source, unique within one reader.
pub type SplitId = u32;

/// A checkpoint barrier: everything before it belongs to the checkpoint, nothing after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Barrier {
    /// The checkpoint's id: 1, 2, 3 …
    pub checkpoint: u64,
    /// 24 bits of options: whether a savepoint, whether unaligned.
    pub options: u32,
}

/// A signal, in order with the records around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// No record with a timestamp at or before this one will follow.
    Watermark(Timestamp),
    /// The channel is idle: it holds no watermark back.
    Idle,
    /// The channel is active again.
    Active,
    /// A checkpoint barrier.
    Barrier(Barrier),
    /// The records that follow belong to this split of the source. Does not cross an exchange.
    Split(SplitId),
    /// This split is finished. Does not cross an exchange.
    SplitEnd(SplitId),
    /// No record and no signal follows.
    End,
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
