//! Record logs: what a window keeps where it must keep every record.

mod chunk;
mod record_log;

pub use chunk::ChunkPool;
pub use record_log::{RecordLog, Run};
