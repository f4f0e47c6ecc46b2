//! The join of two keyed streams by windows of event time.
//!
//! | file | holds |
//! |---|---|
//! | `operator` | [`WindowJoin`]: where records go; lateness; signals |
//! | `state` | the records of each slice, and which slices make a window |
//! | `index` | places of records by their key |
//! | `firing` | what a watermark or a late record sets going, step by step |
//! | `pairs` | the steps that find and emit pairs |
//! | `groups` | the steps that collect a key's records |
//! | `function` | what is computed of a pair, or of a key's records |
//!
//! # How
//!
//! A record that arrives is appended to the log of its slice: one copy, and neither its key nor its hash
//! is looked at. When a window fires, its left side is put into a small index, which is used for one window
//! after the other, and the records of the right side look for their partners there. So the arriving records
//! touch memory in sequence, however many windows are open and however far one input runs ahead of the other,
//! and the random access of the join happens in one window at a time: some thousand records, in the second
//! cache. A table that is kept up to date as records arrive would hold the records of all open windows instead.
//!
//! Records of sliding windows are kept once, in their slice; a window indexes those of all its slices.
//!
//! Late records that are still allowed fire their windows again, for their key alone, and then, unlike
//! when the watermark fires them, a key must be found among all records of both sides. Slices to which
//! such records come get an index of their own, made when the first one comes; groups use those too.
//!
//! # Checkpoints
//!
//! All state between two records is the logs: indexes are made from them, and no firing is under way when
//! a barrier passes. What was appended to a log since the barrier before is the end of it, so a checkpoint
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
