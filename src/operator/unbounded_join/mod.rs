//! `UnboundedJoin`: every record of one input with every record of the other that has its key, for ever.
//!
//! What Flink's SQL calls a regular join, of inserts only: both sides are kept, and a pair is emitted as soon
//! as both of its records are there, with the timestamp of the one that came second.
//!
//! ```text
//! table   key ─► links of the records added last, left and right ─┐ one access per record
//! log     record, record, record …                                ▼
//! links   link of the record before with the same key, or 0;  a link is a place counted from 1
//! ```
//! Records are appended to a log and never moved, so keeping one costs a copy, and the table's entries are
//! small whatever records there are. A key that has a million partners does not hold its worker up: a record
//! emits some, and then yields.
//!
//! What is random access, the table, comes some dozen records later: they *arrive*, the line of the table that
//! each will need is asked for, and when there are [`ROOM`] of them, or the batch is over, or a signal comes,
//! they are *linked*, in order of arrival. So cache misses are waited for together, whatever stands in front of
//! the join, and a filter there does not have the lines of refused records fetched.
//!
//! A checkpoint has the records, each with its key and its place; what was added since the one before is the
//! end of the logs. The table and the links follow from them.
//!
//! | file | holds |
//! |---|---|
//! | `records` | the records of one input; those that are not linked yet |
//! | `operator` | [`UnboundedJoin`]: arriving, linking, pairs |
//! | `snapshot` | what checkpoints keep |

mod operator;
mod records;
mod snapshot;

pub use operator::UnboundedJoin;
