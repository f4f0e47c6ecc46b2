//! Factories: what each builder call puts into the graph to make its operators from.

mod join;
mod keyed;
mod process;
mod window;

pub use join::{UnboundedJoinFactory, WindowJoinFactory};
pub use keyed::{AggregateFactory, ReduceFactory, TimestampsFactory};
pub use process::{
    CoProcessFactory, KeyedCoProcessFactory, KeyedProcessFactory, ProcessFactory, UnionFactory,
};
pub use window::{KeyedPartialFactory, PartialFactory, WindowFactory};
