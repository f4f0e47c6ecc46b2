//! Files and directories: sources that read them and sinks that write them.

mod blocks;
mod error;
mod file_sink;
#[cfg(test)]
mod file_sink_test;
mod files;
mod files_left;
mod identity;
mod line_blocks;
mod line_source;
mod mapping;
mod output;
mod part_file;
mod part_name;
mod reader;
mod record_source;
mod schedule;

pub use error::FileError;
pub use file_sink::{FileEncoder, FileFormat, FileSink, LineEncoder, Lines};
#[cfg(feature = "csv")]
pub(super) use files::Files;
pub use files_left::FilePlace;
#[cfg(feature = "csv")]
pub(super) use files_left::FilesLeft;
pub use line_blocks::{LineBlockReader, LineBlocks};
pub use line_source::{LineDecoder, LineSource};
pub use part_file::{Part, PartFiles};
pub use reader::{Decoded, Decoder, FileReader, Input};
pub use record_source::{RecordReader, RecordSource};
