//! Thalweg: an embeddable, single-node stateful dataflow kernel.

pub mod connectors;
pub mod metrics;
pub mod operator;
pub mod record;
pub mod ring;
pub mod time;
