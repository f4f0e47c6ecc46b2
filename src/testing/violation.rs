//! Violations: operator behaviour that the protocol forbids.

use std::fmt;

use crate::time::Timestamp;

/// A protocol violation, or a difference between two ways of driving.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("driven {driving}, at step {step}: {fault}")]
pub struct Violation {
    /// How the operator was driven.
    pub driving: &'static str,
    /// How many steps of the script had begun.
    pub step: usize,
    /// What went wrong.
    pub fault: Fault,
}

/// The call during which something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Phase {
    /// `open`.
    Open,
    /// `begin`.
    Begin,
    /// `prefetch`.
    Prefetch,
    /// `push`.
    Push,
    /// `signal`.
    Signal,
    /// `resume`.
    Resume,
    /// `flush`.
    Flush,
    /// `snapshot`.
    Snapshot,
    /// `close`.
    Close,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Phase::Open => "open",
            Phase::Begin => "begin",
            Phase::Prefetch => "prefetch",
            Phase::Push => "push",
            Phase::Signal => "signal",
            Phase::Resume => "resume",
            Phase::Flush => "flush",
            Phase::Snapshot => "snapshot",
            Phase::Close => "close",
        };
        write!(f, "`{name}`")
    }
}

/// What went wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The operator's `open` or `close` returned an error.
    #[error("{0} returned an error: {1}")]
    Failed(Phase, String),
    /// A record or signal was emitted during a call that must not emit any.
    #[error("something was emitted in {0}: {1}")]
    Emitted(Phase, String),
    /// More was emitted than one input, firing or signal may cause, although the output was full.
    #[error("{count} records and signals were emitted in {phase} to an output that was not ready")]
    OutputFull {
        /// The call.
        phase: Phase,
        /// How many records and signals there were.
        count: u32,
    },
    /// A resumption exceeded its budget.
    #[error("`resume` with a budget of {budget} emitted {count} records and signals")]
    OverBudget {
        /// The budget.
        budget: u32,
        /// How many records and signals there were.
        count: u32,
    },
    /// The watermark was emitted before everything that it caused.
    #[error("a result at {at} follows the watermark {watermark} that caused it: {record}")]
    BehindWatermark {
        /// The result.
        record: String,
        /// Its timestamp.
        at: Timestamp,
        /// The watermark.
        watermark: Timestamp,
    },
    /// A watermark is lower than the previous one.
    #[error("the watermark {to} follows {from}")]
    WatermarkReceded {
        /// The previous one.
        from: Timestamp,
        /// The lower one.
        to: Timestamp,
    },
    /// Something was emitted after the end of input.
    #[error("something follows the end: {0}")]
    AfterEnd(String),
    /// The end of input was not emitted.
    #[error("the end of input did not go on")]
    NoEnd,
    /// A call did not reach the downstream operator, or did so too often.
    #[error("{0} does not reach the operator behind, or more than once where once is right")]
    NotPassedOn(Phase),
    /// A barrier was not emitted exactly once.
    #[error("the barrier of checkpoint {checkpoint} went on {count} times")]
    Barrier {
        /// The checkpoint.
        checkpoint: u64,
        /// How often it was emitted.
        count: usize,
    },
    /// A snapshot was reported as written before its barrier arrived.
    #[error("`snapshot` says that checkpoint {0} is written, whose barrier has not come")]
    WrittenEarly(u64),
    /// A snapshot is never completed, however often it is continued.
    #[error("`snapshot` never says that checkpoint {0} is written")]
    NeverWritten(u64),
    /// A restored operator emitted something again that it had emitted before the checkpoint.
    #[error("a watermark that came before the checkpoint has an effect after it: {0}")]
    Repeated(String),
    /// The operator never becomes ready, however often it is resumed.
    #[error("the operator does not become ready although its output is")]
    Stuck,
    /// The results depend on how the operator is driven.
    #[error("result {place} is {found}; driven record by record it is {expected}")]
    Differs {
        /// The index of the first result that differs, from 0.
        place: usize,
        /// The actual result.
        found: String,
        /// The expected result.
        expected: String,
    },
}
