//! What an operator did that it may not do.

use std::fmt;

use crate::time::Timestamp;

/// A broken rule of the protocol, or a difference between two ways of driving.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("driven {driving}, at step {step}: {fault}")]
pub struct Violation {
    /// How the operator was driven.
    pub driving: &'static str,
    /// How many steps of the script had been begun.
    pub step: usize,
    /// What was wrong.
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

/// What was wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The operator's `open` or `close` returned an error.
    #[error("{0} returned an error: {1}")]
    Failed(Phase, String),
    /// A record or signal left the operator in a call that may emit nothing.
    #[error("something was emitted in {0}: {1}")]
    Emitted(Phase, String),
    /// More came than one input, firing or signal may cause, although the output was full.
    #[error("{count} records and signals were emitted in {phase} to an output that was not ready")]
    OutputFull {
        /// During which call.
        phase: Phase,
        /// How many.
        count: u32,
    },
    /// A resumption that did more than its budget.
    #[error("`resume` with a budget of {budget} emitted {count} records and signals")]
    OverBudget {
        /// The budget.
        budget: u32,
        /// How many came.
        count: u32,
    },
    /// The watermark went on before everything that it caused.
    #[error("a result at {at} follows the watermark {watermark} that caused it: {record}")]
    BehindWatermark {
        /// The result.
        record: String,
        /// Its timestamp.
        at: Timestamp,
        /// The watermark.
        watermark: Timestamp,
    },
    /// A watermark that is lower than the one before it.
    #[error("the watermark {to} follows {from}")]
    WatermarkReceded {
        /// The one before.
        from: Timestamp,
        /// The lower one.
        to: Timestamp,
    },
    /// Something followed the end.
    #[error("something follows the end: {0}")]
    AfterEnd(String),
    /// The end of input did not come out.
    #[error("the end of input did not go on")]
    NoEnd,
    /// A call that did not reach the operator behind.
    #[error("{0} does not reach the operator behind, or more than once where once is right")]
    NotPassedOn(Phase),
    /// A barrier did not go on, or not once.
    #[error("the barrier of checkpoint {checkpoint} went on {count} times")]
    Barrier {
        /// The checkpoint.
        checkpoint: u64,
        /// How often it came out.
        count: usize,
    },
    /// A snapshot was said to be written before its barrier came.
    #[error("`snapshot` says that checkpoint {0} is written, whose barrier has not come")]
    WrittenEarly(u64),
    /// A snapshot is never written, however often it is gone on with.
    #[error("`snapshot` never says that checkpoint {0} is written")]
    NeverWritten(u64),
    /// A restored operator emitted again what it had emitted before the checkpoint.
    #[error("a watermark that came before the checkpoint has an effect after it: {0}")]
    Repeated(String),
    /// The operator does not become ready, however often it is resumed.
    #[error("the operator does not become ready although its output is")]
    Stuck,
    /// The results depend on how the operator is driven.
    #[error("result {place} is {found}; driven record by record it is {expected}")]
    Differs {
        /// The first result that differs, from 0.
        place: usize,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
}
