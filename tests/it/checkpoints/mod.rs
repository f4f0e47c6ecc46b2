//! Checkpoints in files: what is stored, and that no crash, fault or damage can harm it.

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
