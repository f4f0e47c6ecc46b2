//! Factories: what each builder call puts into the graph to make its operators from.

mod keyed;
mod process;

pub use keyed::{AggregateFactory, ReduceFactory, TimestampsFactory};
pub use process::{
    CoProcessFactory, KeyedCoProcessFactory, KeyedProcessFactory, ProcessFactory, UnionFactory,
};
