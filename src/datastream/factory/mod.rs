//! Factories: what each builder call adds to the graph, from which its operators are made.

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
