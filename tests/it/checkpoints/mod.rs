//! Checkpoints in files: what is kept, and what no crash, fault or damage can do to it.

mod crash;
mod damage;
mod entry_count;
mod fault;
mod fold;
mod forge;
mod format;
mod inspect;
mod model;
mod mutation;
mod savepoint;
mod store;
mod world;
