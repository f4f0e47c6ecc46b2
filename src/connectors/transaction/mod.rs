//! Sinks whose output is seen exactly once despite failures, by two-phase commit or through the checkpoint itself.

mod outbox;
#[cfg(test)]
mod outbox_test;
mod two_phase_commit;
#[cfg(test)]
mod two_phase_commit_test;

pub use outbox::{Outbox, OutboxTarget, OutboxWriter};
pub use two_phase_commit::{
    TransactionError, Transactional, TransactionalWriter, TwoPhaseCommit, Work,
};
