//! Checkpoints in files: what is kept, and what no crash, fault or damage can do to it.

mod store;
mod world;
