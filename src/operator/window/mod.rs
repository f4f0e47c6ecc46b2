//! Windows: assigners, window functions, and the operator for windows made of slices.

mod assigner;
mod current;
mod elements;
mod firing;
mod function;
mod join;
mod lateness;
mod operator;
mod partial;
mod reduced;
mod sketch;
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
pub use elements::{Elements, ElementsIter};
pub use function::{AggregateWindow, ProcessWindow, WindowFunction};
pub use join::{CoGroup, Group, GroupIter, JoinFunction, JoinPairs, WindowJoin};
pub use lateness::Lateness;
pub use operator::WindowOperator;
pub use partial::{MergePartials, PartialAggregate};
pub use reduced::{ReduceWindow, Reduced};
pub use slicing::Slicing;
pub use time_window::TimeWindow;
