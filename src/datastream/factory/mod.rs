//! Factories: what each builder call puts into the graph to make its operators from.

mod keyed;

pub use keyed::{AggregateFactory, ReduceFactory, TimestampsFactory};
