//! Pipes: the typed prefixes of a job, one type for each way in which streams and operators are connected.

mod chained;
mod exchange;
mod fork;
mod loose_end;
mod per_subtask;
mod side_output;
mod sink;
mod source;
mod two_input;

pub use chained::{Chained, SideChained};
pub use exchange::Exchanged;
pub use fork::Forked;
pub use side_output::Side;
pub use source::Sourced;
pub use two_input::TwoInputs;

pub(super) use fork::fork;
pub(super) use loose_end::LooseEnd;
pub(super) use sink::SinkTerminal;
