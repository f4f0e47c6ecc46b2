//! A harness for operators and functions: the kernel's own, and yours.
//!
//! A [`Contract`] is a script of records and signals. It drives one operator through the script in
//! every way in which the runtime may: record by record, in batches, in front of an output that is
//! full again and again, with budgets that are too small. The results and their order must be the same
//! each time, and the operator must keep to the protocol of [`Operator`](crate::operator::Operator). An
//! operator whose state is kept by checkpoints ([`Contract::restores`]) is besides frozen between any two
//! elements, written in small slices, thrown away, and restored, and must go on as if nothing had happened.
//! What does not hold is a [`Violation`] that says in which way of driving, and at which step.
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
