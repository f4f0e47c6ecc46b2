//! Session windows: records of a key that follow one another within a gap.
//!
//! Flink's `EventTimeSessionWindows`: each record opens a window from its time to a gap later, and windows of
//! a key that overlap *or touch* are merged. The rules are those of its `WindowOperator` with a
//! `MergingWindowSet` and an `EventTimeTrigger`:
//!
//! - Lateness is judged on the merged window, so a record that would be too late on its own is accepted if it belongs
//!   to a session that still exists.
//! - A session fires when the watermark reaches its last timestamp. One that has fired, but is not over yet, fires
//!   again immediately for a record that leaves its end behind the watermark; a record that moves its end beyond the
//!   watermark reopens it, and it fires again at its new end.
//! - When sessions are merged, one remains, with what all of them accumulated; pending firings of the others are
//!   cancelled.
//!
//! Flink's refusal to merge into a late window cannot occur: a session whose time is over is gone.
//! One behaviour is not reproduced: with varying gaps, a record whose window equals a merged one makes Flink
//! forget what that accumulated.
//!
//! | file | contents |
//! |---|---|
//! | `gap` | [`Session`]: the description of the sessions |
//! | `sessions` | the sessions of one key: finding and merging |
//! | `agenda`, `clockwork` | when to check which key's sessions |
//! | `operator` | [`SessionOperator`]: records, lateness |
//! | `firing` | what a watermark triggers |
//! | `snapshot` | what is checkpointed |

mod agenda;
mod clockwork;
mod firing;
mod gap;
mod operator;
mod sessions;
mod snapshot;

pub use gap::{DynamicGap, FixedGap, Session, SessionGap};
pub use operator::SessionOperator;
