//! Where records come from and go to: sources and sinks.
//!
//! Each is a plain description that opens nothing; each subtask opens its own reader or writer.
//!
//! | source | reads | parallel | position in a checkpoint | records are |
//! |---|---|---|---|---|
//! | [`Collection`] | a vector | no | an index | exactly once¹ |
//! | [`Sequence`] | consecutive numbers | yes, contiguous shares | the rest of each share | exactly once |
//! | [`Generator`] | a function of the index, at a rate | yes, interleaved | the rest of each share | exactly once¹ |
//! | `CsvSource`, [`LineSource`] | rows or lines of files, directories | by file | files begun (byte, line), finished and waiting | exactly once² |
//! | the same, watching a path | | by file | files begun and finished | exactly once, a changed file again in full, or by `watch_new` never |
//! | [`LineBlocks`] | lines of a mapped file | yes, by block | blocks left, a byte offset | exactly once² |
//! | [`RecordSource`] | fixed-size records of a mapped file, in place | yes, by block | blocks left, a record count | exactly once² |
//! | [`durable_inlet`] | what threads of the program push, logged on disk | no | a record's number | exactly once |
//! | [`inlet`] | what a thread of the program pushes | no | none: it cannot be part of a checkpoint | at most once |
//!
//! ¹ If the program produces the same record for the same index again. ² A file that has since changed or been
//! removed is an error.
//!
//! A job that resumes from a checkpoint may have a different number of readers: the remaining work is redistributed
//! among them. Without a checkpoint, a restarted job reads from the start.
//!
//! | sink | writes | with checkpoints |
//! |---|---|---|
//! | [`FileSink`] | part files of lines or CSV rows, hidden until their checkpoint completes | exactly once |
//! | [`Transactional`] | to a custom target, in two phases ([`TwoPhaseCommit`]) | exactly once |
//! | [`Outbox`] | to a target with transactions, from the checkpoint ([`OutboxTarget`]) | exactly once |
//! | `SqliteSink` | rows of a table, by primary key | at least once and idempotent, or exactly once |
//! | [`outlet`] | to a thread of the program, which polls | at least once |
//! | [`Print`] | lines to standard output or standard error | at least once |
//! | [`Collected`] | into memory, for tests | at least once |
//! | [`Discard`] | nothing, only counts | at least once |
//! | [`ForEach`] | whatever a closure does | at least once |
//!
//! CSV and `.gz` files need the feature `csv`, SQLite the feature `sqlite`.
//!
//! *Architecture invariant:* no connector knows what a job is, or which thread runs it.

mod collect;
mod collection;
#[cfg(feature = "csv")]
mod csv;
mod discard;
mod durable_inlet;
mod file;
mod for_each;
mod generator;
mod inlet;
mod line_format;
mod outlet;
#[cfg(test)]
mod outlet_test;
mod pacer;
mod print;
mod record_ring;
mod sequence;
mod splits;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(test)]
mod test_chain;
mod transaction;

pub use collect::{Collect, CollectWith, CollectWriter, Collected};
pub use collection::{Collection, CollectionReader};
#[cfg(feature = "csv")]
pub use csv::{
    Column, CsvDecoder, CsvEncoder, CsvError, CsvFields, CsvRow, CsvRows, CsvSource, Malformed,
    MalformedRow, Place,
};
pub use discard::{Discard, DiscardWriter};
pub use durable_inlet::{
    DurableInlet, DurableInletError, DurableInletReader, DurableInletSource, durable_inlet,
    durable_inlet_in,
};
pub use file::{
    Decoded, Decoder, FileEncoder, FileError, FileFormat, FilePlace, FileReader, FileSink, Input,
    LineBlockReader, LineBlocks, LineDecoder, LineEncoder, LineSource, Lines, Part, PartFiles,
    RecordReader, RecordSource,
};
pub use for_each::{ForEach, ForEachWriter, IntoOutcome};
pub use generator::{Generator, GeneratorReader};
pub use inlet::{Inlet, InletBatch, InletError, InletReader, InletSource, inlet};
pub use line_format::{By, ByDebug, ByDisplay, FormatFailed, LineFormat};
pub use outlet::{Outlet, OutletError, OutletSink, OutletWriter, outlet};
pub use pacer::Pacer;
pub use print::{Print, PrintError, PrintWriter};
pub use sequence::{Sequence, SequenceReader};
pub use splits::PositionError;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqlRow, SqliteError, SqliteSink, SqliteTable, SqliteWriter};
pub use transaction::{
    Outbox, OutboxTarget, OutboxWriter, TransactionError, Transactional, TransactionalWriter,
    TwoPhaseCommit, Work,
};
