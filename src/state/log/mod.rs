//! Record logs: the state of windows that must keep every record.

mod chunk;
mod entry;
mod record_log;

pub use chunk::ChunkPool;
pub use entry::{encode_logged, hash_of_logged, log_schema, logged_records};
pub use record_log::{RecordLog, Run};
