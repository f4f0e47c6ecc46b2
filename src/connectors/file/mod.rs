//! Files and directories: which of them a source reads, how they are read and written.

mod error;
mod files;
mod line_blocks;
mod line_sink;
mod line_source;
mod mapping;
mod part_file;
mod reader;
mod record_source;

pub use error::FileError;
#[cfg(feature = "csv")]
pub(super) use files::Files;
pub use line_blocks::{LineBlockReader, LineBlocks, LinePosition};
pub use line_sink::{LineFile, LineFileWriter};
pub use line_source::{LineDecoder, LineSource};
#[cfg(feature = "csv")]
pub(super) use part_file::{PartFile, PartFiles};
pub use reader::{Decoded, Decoder, FilePosition, FileReader, Input};
pub use record_source::{RecordPosition, RecordReader, RecordSource};
