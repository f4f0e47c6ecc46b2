//! The join of two keyed streams over windows in event time.
//!
//! | file | contents |
//! |---|---|
//! | `operator` | [`WindowJoin`]: where records go; lateness; signals |
//! | `state` | the records of each slice, and which slices make up a window |
//! | `index` | places of records by key |
//! | `firing` | what a watermark or a late record triggers, step by step |
//! | `pairs` | the steps that find and emit pairs |
//! | `groups` | the steps that collect a key's records |
//! | `function` | what is computed from a pair, or from a key's records |
//!
//! # How it works
//!
//! An arriving record is appended to the log of its slice: one copy, and neither its key nor its hash
//! is looked at. When a window fires, its left side is put into a small index, which is reused from window
//! to window, and the records of the right side look up their partners there. So arriving records
//! access memory sequentially, however many windows are open and however far one input runs ahead of the other,
//! and the random access of the join happens one window at a time: over some thousand records, in the L2
//! cache. A table kept up to date as records arrive would hold the records of all open windows instead.
//!
//! Records of sliding windows are stored once, in their slice; a window indexes those of all its slices.
//!
//! Late records that are still allowed fire their windows again, for their key alone; then, unlike
//! when the watermark fires them, a key must be found among all records of both sides. Slices to which
//! such records are added get an index of their own, built when the first one arrives; groups use those too.
//!
//! # Checkpoints
//!
//! The logs are all the state there is between two records: indexes are built from them, and no firing is in
//! progress when a barrier passes. What was appended since the previous barrier is the tail of a log, so a checkpoint
//! writes that, each record with its key and its place, and which slices are gone.

mod firing;
mod function;
mod group;
mod groups;
mod index;
mod operator;
mod pairs;
mod snapshot;
mod staged;
mod state;

pub use function::{CoGroup, JoinFunction, JoinPairs};
pub use group::{Group, GroupIter};
pub use operator::WindowJoin;
