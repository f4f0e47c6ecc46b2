//! Session windows: records of a key that follow one another within a gap.
//!
//! Flink's `EventTimeSessionWindows`: each record opens a window from its time to a gap later, and windows of
//! a key that overlap *or touch* become one. The rules are those of its `WindowOperator` with a
//! `MergingWindowSet` and an `EventTimeTrigger`:
//!
//! - Lateness is judged on the merged window, so a record that would be too late on its own is taken if it
//!   belongs to a session that is still there.
//! - A session fires when the watermark reaches its last timestamp. One that has fired, and is not over yet,
//!   fires again at once for a record that leaves its end behind the watermark; a record that moves its end
//!   beyond the watermark opens it again, and it fires again at its new end.
//! - Of merged sessions, one is left, with what all of them accumulated; what the others would have fired
//!   they do not fire any more.
//!
//! Flink's refusal to merge into a window that is late cannot happen: a session whose time is over is gone.
//! One thing is not followed: with gaps that differ, a record whose window equals a merged one makes Flink
//! forget what that accumulated.
//!
//! | file | holds |
//! |---|---|
//! | `gap` | [`Session`]: which sessions are wanted |
//! | `sessions` | the sessions of one key: finding and merging |
//! | `agenda`, `clockwork` | when to look after which key's sessions |
//! | `operator` | [`SessionOperator`]: records, lateness |
//! | `firing` | what a watermark sets going |
//! | `snapshot` | what checkpoints keep |

mod agenda;
mod clockwork;
mod firing;
mod gap;
mod operator;
mod sessions;
mod snapshot;

pub use gap::{DynamicGap, FixedGap, Session, SessionGap};
pub use operator::SessionOperator;
