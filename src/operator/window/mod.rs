//! Windows: assigners, window functions, and the operators for sliced windows and for sessions.

mod assigner;
mod assignment;
mod current;
mod elements;
mod firing;
mod function;
mod holding;
mod join;
mod keyed_merge;
mod keyed_partial;
mod late;
mod lateness;
mod open_slice;
mod operator;
mod partial;
mod progress;
mod reduced;
mod session;
mod sketch;
mod slice_snapshot;
mod slice_table;
mod slicing;
mod state;
#[cfg(test)]
mod tests;
mod time_window;
mod timeline;

pub use assigner::{
    EventTime, ProcessingTime, SlicedAssigner, Sliding, Tumbling, WindowError, WindowTime,
};
pub use assignment::{WindowAssigner, WindowParts};
pub use elements::{Elements, ElementsIter};
pub use function::{AggregateWindow, ProcessWindow, WindowFunction};
pub use join::{CoGroup, Group, GroupIter, JoinFunction, JoinPairs, WindowJoin};
pub use keyed_merge::{FoundKey, KeyedPartial, MergeKeyedPartials, PartialKey};
pub use keyed_partial::KeyedPartials;
pub use lateness::Lateness;
pub use operator::WindowOperator;
pub use partial::{MergePartials, PartialAggregate};
pub use reduced::{ReduceWindow, Reduced};
pub use session::{DynamicGap, FixedGap, Session, SessionGap, SessionOperator};
pub use slicing::Slicing;
pub use time_window::{ArchivedTimeWindow, TimeWindow};
