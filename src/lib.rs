//! Thalweg: an embeddable, single-node stateful dataflow kernel.

pub mod record;
pub mod state;
pub mod time;
