//! A test harness for operators and functions: the kernel's own, and yours.
//!
//! A [`Contract`] is a script of records and signals. It drives one operator through the script in every way in which
//! the runtime may: record by record, in batches, with an output that keeps getting full, with budgets that are too
//! small. The results and their order must be the same each time, and the operator must obey the protocol of
//! [`Operator`](crate::operator::Operator). An operator whose state is kept in checkpoints ([`Contract::restores`]) is
//! also frozen between any two elements, written in small slices, discarded and restored, and must continue as if
//! nothing had happened. Any failure is a [`Violation`] that names the way of driving and the step.
//!
//! ```
//! use thalweg::operator::Map;
//! use thalweg::testing::{Contract, Output};
//! use thalweg::time::Timestamp;
//!
//! let outputs = Contract::<u64>::new()
//!     .record(20_u64, Timestamp(1))
//!     .watermark(Timestamp(5))
//!     .record(21_u64, Timestamp(7))
//!     .check(|tail| Map::new(|n: &u64| n * 2, tail))?;
//! assert_eq!(outputs[0], Output::Record(40, Timestamp(1)));
//! # Ok::<(), thalweg::testing::Violation>(())
//! ```
//!
//! *Architecture invariant:* nothing in the kernel names this module.

mod contract;
mod drive;
mod restoring;
mod tail;
mod two_inputs;
mod violation;

pub use contract::{Contract, open_context};
pub use tail::{Output, SideTail, Tail};
pub use two_inputs::TwoInputContract;
pub use violation::{Fault, Phase, Violation};
