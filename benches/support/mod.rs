//! What several benchmarks need: records in memory, random numbers, a head's way of driving a chain, threads on cores.
#![allow(dead_code, reason = "each benchmark needs a part of it")]

pub(crate) mod cores;
pub(crate) mod driver;
pub(crate) mod random;
pub(crate) mod source;
