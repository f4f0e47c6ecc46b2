//! Thalweg: an embeddable, single-node stateful dataflow kernel.

pub mod connectors;
pub mod datastream;
pub mod graph;
pub mod metrics;
pub mod operator;
pub mod record;
pub mod ring;
pub mod runtime;
pub mod state;
pub mod testing;
pub mod time;
