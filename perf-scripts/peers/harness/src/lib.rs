//! What every peer shares: the command line, mapped inputs, the checksum, the clock and the report.
//!
//! A peer gives [`main`] a function that runs one query once; everything that could make two peers
//! incomparable (what is timed, what is hashed, how a file is dealt out) stands here.

mod digest;
mod input;
mod options;
mod report;
mod subtask;

/// As in the `thalweg` program: engines that hand on vectors of records measure their allocator too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use digest::{Digest, fnv1a64, h2, h3, h4, mix64};
pub use input::{
    Auction, BLOCK_BYTES, BLOCK_RECORDS, Bid, Inputs, Keyed, Lines, Person, blocks, price_in_euros,
};
pub use options::{Options, Query};
pub use report::{Outcome, Stopwatch, Variant, main};
pub use subtask::run_subtasks;
