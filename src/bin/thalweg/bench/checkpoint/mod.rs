//! `thalweg bench checkpoint`: what checkpoints cost a job whose state is running sums, and how fast it is back.
//!
//! | file | holds |
//! |---|---|
//! | `keys` | which keys change, and what the rows must come to |
//! | `source` | every key once, then changes as fast as possible; the stops in between |
//! | `stops` | how long the processing stood still, and when |
//! | `leg` | one run: without checkpoints, with them, or back from the last |
//! | `session` | the runs in turn, each in a process of its own |
//! | `report` | what is told |

mod keys;
mod leg;
mod memory;
mod options;
mod report;
mod session;
mod source;
mod stops;

pub(super) use options::{CheckpointOptions, HELP};
pub(super) use session::run;
