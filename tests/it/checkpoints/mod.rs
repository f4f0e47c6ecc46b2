//! Checkpoints in files: what is kept, and what no crash, fault or damage can do to it.

mod crash;
mod damage;
mod fault;
mod fold;
mod format;
mod inspect;
mod model;
mod savepoint;
mod store;
mod world;
