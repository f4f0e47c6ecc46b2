//! Where records come from and go to: sources and sinks.
//!
//! Each is a plain description that opens nothing; a subtask opens its own reader or writer.
//!
//! | source | reads | parallel | position, from which it can be replayed |
//! |---|---|---|---|
//! | [`Collection`] | a vector | no | an index |
//! | [`Sequence`] | consecutive numbers | yes, contiguous shares | the next number |
//! | [`Generator`] | a function of the index, at a rate | yes, striding | the next index |
//! | `CsvSource` | rows of files, directories, watched paths | by file | a byte offset per file |
//! | [`LineSource`] | lines of the same | by file | a byte offset per file |
//! | [`LineBlocks`] | lines of a mapped file, in place | yes, by block | a block and a byte offset |
//! | [`RecordSource`] | fixed-size records of a mapped file, in place | yes, by block | a block and an offset in it |
//! | [`inlet`] | what a thread of the program pushes | no | none: it cannot be restarted |
//!
//! Without a checkpoint a restarted job reads from the start.
//!
//! | sink | writes | after a failure |
//! |---|---|---|
//! | [`LineFile`], `CsvSink` | part files, hidden until whole | written again |
//! | [`outlet`] | to a thread of the program, which polls | at least once |
//! | [`Print`] | lines to standard output or error | at least once |
//! | [`Collected`] | into memory, for tests | at least once |
//! | [`Discard`] | nothing, counts | at least once |
//! | [`ForEach`] | what a closure does | at least once |
//!
//! CSV and `.gz` files need the feature `csv`.
//!
//! *Architecture invariant:* no connector knows what a job is, or which thread runs it.

mod collect;
mod collection;
#[cfg(feature = "csv")]
mod csv;
mod discard;
mod file;
mod for_each;
mod generator;
mod inlet;
mod line_format;
mod outlet;
mod pacer;
mod print;
mod record_ring;
mod sequence;
#[cfg(test)]
mod test_chain;

pub use collect::{Collect, CollectWith, CollectWriter, Collected};
pub use collection::{Collection, CollectionReader};
#[cfg(feature = "csv")]
pub use csv::{
    Column, CsvDecoder, CsvError, CsvFields, CsvRow, CsvSink, CsvSource, CsvWriter, Malformed,
    MalformedRow, Place,
};
pub use discard::{Discard, DiscardWriter};
pub use file::{
    Decoded, Decoder, FileError, FilePosition, FileReader, Input, LineBlockReader, LineBlocks,
    LineDecoder, LineFile, LineFileWriter, LinePosition, LineSource, RecordPosition, RecordReader,
    RecordSource,
};
pub use for_each::{ForEach, ForEachWriter, IntoOutcome};
pub use generator::{Generator, GeneratorReader};
pub use inlet::{Inlet, InletBatch, InletError, InletReader, InletSource, inlet};
pub use line_format::{By, ByDebug, ByDisplay, FormatFailed, LineFormat};
pub use outlet::{Outlet, OutletError, OutletSink, OutletWriter, outlet};
pub use pacer::Pacer;
pub use print::{Print, PrintError, PrintWriter};
pub use sequence::{Sequence, SequenceReader};
