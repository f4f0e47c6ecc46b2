//! `UnboundedJoin`: every record of one input with every record of the other that has the same key, for ever.
//!
//! What Flink's SQL calls a regular join, restricted to inserts: both sides are kept, and a pair is emitted as soon
//! as both of its records have arrived, with the timestamp of the later one.
//!
//! ```text
//! table   key ─► links of the records added last, left and right ─┐ one access per record
//! log     record, record, record …                                ▼
//! links   link of the previous record with the same key, or 0;  a link is a place counted from 1
//! ```
//! Records are appended to a log and never moved, so storing one costs a copy, and the table's entries are
//! small whatever the records. A key with a million partners does not block its worker: a record
//! emits some pairs, and then yields.
//!
//! The random access, to the table, is deferred by some dozen records: records *arrive*, the cache line of the table
//! that each will need is prefetched, and when there are [`ROOM`] of them, or the batch is over, or a signal arrives,
//! they are *linked*, in arrival order. So cache misses are waited for together, whatever is upstream of
//! the join, and a filter there does not cause prefetches for records that it rejects.
//!
//! A checkpoint has the records, each with its key and its place; what was added since the previous one is the
//! tail of the logs. The table and the links are derived from them.
//!
//! | file | contents |
//! |---|---|
//! | `records` | the records of one input; those that are not linked yet |
//! | `operator` | [`UnboundedJoin`]: arriving, linking, pairs |
//! | `snapshot` | what is checkpointed |

mod operator;
mod records;
mod snapshot;

pub use operator::UnboundedJoin;
