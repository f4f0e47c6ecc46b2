//! What every peer shares: the command line, mapped inputs, the checksum, the clock and the report.
//!
//! A peer gives [`main`] a function that runs one query once; everything that could make two peers
//! incomparable (what is timed, what is hashed, how a file is dealt out) stands here, and so do the
//! containers that the hand-written state of windows and joins is made of, in the loops and in the engines alike.

mod ahead;
mod digest;
mod huge_pages;
mod input;
mod key_table;
mod latency;
mod options;
mod panes;
mod parts;
mod report;
mod sliding;
mod subtask;
mod waiting;
mod word;

/// As in the `thalweg` program: engines that hand on vectors of records measure their allocator too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use ahead::{ahead, fetch, fetch_after, pages};
pub use digest::{Digest, fnv1a64, h2, h3, h4, mix64};
pub use huge_pages::HugePages;
pub use input::{
    Auction, BLOCK_BYTES, BLOCK_RECORDS, Bid, Inputs, Keyed, Lines, Person, blocks, price_in_euros,
};
pub use key_table::KeyTable;
pub use latency::{Arrivals, Latency, Tick, Ticks, Trial};
pub use options::{Options, Query};
pub use panes::Panes;
pub use parts::Parts;
pub use report::{Clock, Outcome, Stopwatch, Variant, main};
pub use sliding::{Counts, Most, SLIDE_MS, Sliding, WINDOW_MS};
pub use subtask::{pin, run_subtasks};
pub use waiting::Waiting;
pub use word::{Text, Word};
