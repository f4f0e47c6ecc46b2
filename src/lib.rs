//! Thalweg: an embeddable, single-node stateful dataflow kernel.

pub mod record;
pub mod ring;
pub mod time;
