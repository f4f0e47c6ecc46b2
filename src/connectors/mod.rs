//! Where records come from and go to: sources and sinks.
//!
//! Each is a plain description that opens nothing; a subtask opens its own reader or writer.
//!
//! | source | reads | parallel | after a failure |
//! |---|---|---|---|
//! | [`Collection`] | a vector | no | position: exactly once |
//! | [`Sequence`] | consecutive numbers | yes, contiguous shares | position: exactly once |
//! | [`Generator`] | a function of the index, at a rate | yes, striding | position: exactly once |
//! | `CsvSource` (feature `csv`) | rows of files, directories, watched paths | by file | position: exactly once |
//! | [`LineSource`] | lines of the same | by file | position: exactly once |
//! | [`inlet`] | what a thread of the program pushes | no | none: it cannot be restarted |
//!
//! | sink | writes | after a failure |
//! |---|---|---|
//! | [`LineFile`], `CsvSink` (feature `csv`) | part files of a directory | whole parts only, again |
//! | [`outlet`] | to a thread of the program, which polls | at least once |
//! | [`Print`] | lines to standard output or error | at least once |
//! | [`Collected`] | into memory, for tests | at least once |
//! | [`Discard`] | nothing, counts | at least once |
//! | [`ForEach`] | what a closure does | at least once |
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
    Decoded, Decoder, FileError, FilePosition, FileReader, Input, LineDecoder, LineFile,
    LineFileWriter, LineSource,
};
pub use for_each::{ForEach, ForEachWriter, IntoOutcome};
pub use generator::{Generator, GeneratorReader};
pub use inlet::{Inlet, InletBatch, InletError, InletReader, InletSource, inlet};
pub use line_format::{By, ByDebug, ByDisplay, FormatFailed, LineFormat};
pub use outlet::{Outlet, OutletError, OutletSink, OutletWriter, outlet};
pub use pacer::Pacer;
pub use print::{Print, PrintError, PrintWriter};
pub use sequence::{Sequence, SequenceReader};
