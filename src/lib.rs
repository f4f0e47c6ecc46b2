//! Thalweg: an embeddable, single-node stateful dataflow kernel.

pub mod metrics;
pub mod operator;
pub mod record;
pub mod ring;
pub mod state;
pub mod time;
