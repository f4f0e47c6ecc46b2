//! `thalweg bench checkpoint`: what checkpoints cost a job whose state is running sums, and how fast it recovers.
//!
//! | file | holds |
//! |---|---|
//! | `keys` | which keys change, and the rows that a run must produce |
//! | `source` | every key once, then changes as fast as possible; measures the stops in between |
//! | `stops` | how long processing stood still, and when |
//! | `leg` | one run: without checkpoints, with them, or restored from the last |
//! | `session` | all runs in turn, each in its own process |
//! | `report` | the output |

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
