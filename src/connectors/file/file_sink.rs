//! A sink that writes files which appear whole, once, when a checkpoint is complete.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::Storage;
use crate::connectors::line_format::{By, ByDebug, ByDisplay, LineFormat};
use crate::connectors::transaction::TransactionalWriter;
use crate::operator::{Outcome, Sink};

use super::part_file::{PartFiles, Target};

/// How records become the bytes of files.
pub trait FileFormat<V: ?Sized>: Send + Sync + 'static {
    /// What makes the bytes in one subtask.
    type Encoder: FileEncoder<V>;

    /// The encoder of a subtask.
    fn encoder(&self) -> Self::Encoder;
}

/// Makes the bytes of one file after the other.
pub trait FileEncoder<V: ?Sized>: Send + 'static {
    /// Appends what a file begins with. Called when there is a first record.
    ///
    /// # Errors
    /// Where it cannot be written so; the subtask fails.
    fn begin(&mut self, bytes: &mut Vec<u8>) -> Outcome {
        let _ = bytes;
        Ok(())
    }

    /// Appends a record.
    ///
    /// # Errors
    /// Where it cannot be written so; the subtask fails.
    fn append(&mut self, record: &V, bytes: &mut Vec<u8>) -> Outcome;

    /// Appends what was held back, and what a file ends with.
    ///
    /// # Errors
    /// Where it cannot be written so; the subtask fails.
    fn end(&mut self, bytes: &mut Vec<u8>) -> Outcome {
        let _ = bytes;
        Ok(())
    }
}

/// Writes records into files `part-<subtask>-<n>` of a directory: exactly once, if the job takes checkpoints.
///
/// What a subtask writes between two checkpoints is one part. Its name begins with a dot while it is written
/// and until the checkpoint that ends it is complete; then it gets its own, and never changes again: what is
/// visible is whole and counts. Without checkpoints a part ends with the input. A subtask without records
/// writes no part, and no file is ever overwritten.
///
/// A job that goes on from a checkpoint makes the parts of that checkpoint visible and removes what is hidden
/// and later; one that starts anew removes what no checkpoint can have kept. So **a directory belongs to one sink of
/// one job**. It is created if it is not there.
///
/// ```
/// use thalweg::connectors::FileSink;
///
/// let lines = FileSink::lines("out").extension("txt"); // records that are `Display`
/// let sums = FileSink::lines("out");
/// let sums = sums.with(|sum: &(u64, f64), f| write!(f, "{}\t{:.2}", sum.0, sum.1));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FileSink<F> {
    target: Target,
    pub(in crate::connectors) extension: Arc<str>,
    pub(in crate::connectors) format: F,
}

impl FileSink<Lines<ByDisplay>> {
    /// Writes every record as a line.
    pub fn lines(directory: impl AsRef<Path>) -> Self {
        FileSink::new(directory, Lines(ByDisplay))
    }
}

impl<F> FileSink<F> {
    /// Writes records in a format of the program's own.
    pub fn new(directory: impl AsRef<Path>, format: F) -> Self {
        FileSink {
            target: Target::Directory(directory.as_ref().to_path_buf()),
            extension: "".into(),
            format,
        }
    }

    /// Writes parts there, in place of a directory.
    pub fn to_storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.target = Target::Storage(storage);
        self
    }

    /// Parts are named `part-<subtask>-<n>.<extension>`.
    pub fn extension(mut self, extension: &str) -> Self {
        self.extension = format!(".{extension}").into();
        self
    }

    pub(in crate::connectors) fn format<G>(self, format: impl FnOnce(F) -> G) -> FileSink<G> {
        FileSink {
            target: self.target,
            extension: self.extension,
            format: format(self.format),
        }
    }
}

impl<F> FileSink<Lines<F>> {
    /// Writes records by their `Debug`.
    pub fn debug(self) -> FileSink<Lines<ByDebug>> {
        self.format(|_| Lines(ByDebug))
    }

    /// Writes records by a closure that writes as an implementation of `Display` does.
    pub fn with<V, G>(self, function: G) -> FileSink<Lines<By<V, G>>>
    where
        V: ?Sized,
        G: Fn(&V, &mut fmt::Formatter<'_>) -> fmt::Result,
    {
        self.format(|_| Lines(By::new(function)))
    }
}

impl<V: ?Sized + 'static, F: FileFormat<V>> Sink<V> for FileSink<F> {
    type Writer = TransactionalWriter<V, PartFiles<F::Encoder>>;

    fn writer(&self, index: u32, parallelism: u32) -> Self::Writer {
        let (subtask, encoder) = ((index, parallelism), self.format.encoder());
        let parts = PartFiles::new(&self.target, &self.extension, encoder, subtask);
        TransactionalWriter::new(parts)
    }
}

/// The format of a line for every record.
#[derive(Clone, Debug)]
pub struct Lines<F>(F);

/// Writes lines.
#[derive(Debug)]
pub struct LineEncoder<F> {
    format: F,
    line: String,
}

impl<V: ?Sized, F: LineFormat<V>> FileFormat<V> for Lines<F> {
    type Encoder = LineEncoder<F>;

    fn encoder(&self) -> LineEncoder<F> {
        LineEncoder {
            format: self.0.clone(),
            line: String::new(),
        }
    }
}

impl<V: ?Sized, F: LineFormat<V>> FileEncoder<V> for LineEncoder<F> {
    fn append(&mut self, record: &V, bytes: &mut Vec<u8>) -> Outcome {
        self.line.clear();
        self.format.append(record, &mut self.line)?;
        self.line.push('\n');
        bytes.extend_from_slice(self.line.as_bytes());
        Ok(())
    }
}
