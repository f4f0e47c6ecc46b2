//! A sink that writes files, each of which becomes visible, complete, when a checkpoint completes.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::Storage;
use crate::connectors::line_format::{By, ByDebug, ByDisplay, LineFormat};
use crate::connectors::transaction::TransactionalWriter;
use crate::operator::{Outcome, Sink};

use super::output::Output;
use super::part_file::PartFiles;

/// The format in which records are written to files.
pub trait FileFormat<V: ?Sized>: Send + Sync + 'static {
    /// The encoder type.
    type Encoder: FileEncoder<V>;

    /// Creates the encoder of a subtask.
    fn encoder(&self) -> Self::Encoder;
}

/// Encodes the records of one file after another.
pub trait FileEncoder<V: ?Sized>: Send + 'static {
    /// Appends the header of a file. Called before the first record.
    ///
    /// # Errors
    /// If it cannot be encoded; the subtask fails.
    fn begin(&mut self, bytes: &mut Vec<u8>) -> Outcome {
        let _ = bytes;
        Ok(())
    }

    /// Appends a record.
    ///
    /// # Errors
    /// If it cannot be encoded; the subtask fails.
    fn append(&mut self, record: &V, bytes: &mut Vec<u8>) -> Outcome;

    /// Appends anything held back, and the footer of the file.
    ///
    /// # Errors
    /// If it cannot be encoded; the subtask fails.
    fn end(&mut self, bytes: &mut Vec<u8>) -> Outcome {
        let _ = bytes;
        Ok(())
    }
}

/// Writes records into the files `part-<subtask>-<n>` of a directory: exactly once if the job takes checkpoints.
///
/// A subtask writes one part file between two checkpoints. The file's name starts with a dot while it is being
/// written and until the checkpoint that ends it completes. Then it is renamed and never changes again: every visible
/// file is complete and final. Without checkpoints a part file ends with the input. A subtask without records writes
/// no part file, and no file is ever overwritten.
///
/// A job that resumes from a checkpoint makes that checkpoint's part files visible. Whether it resumes or starts from
/// scratch, it removes hidden ones that no checkpoint can refer to. So **a directory belongs to one sink of one job**,
/// and while it is in use no other sink can open it, where the file system has locks. It is created if it does not
/// exist.
///
/// Visible files may be moved away or removed at any time. One that the checkpoint ended and that is neither visible
/// nor hidden when the job resumes is taken for moved away, with a warning, because nothing tells it from one that was
/// lost. If the whole directory is missing, or a hidden file has not the size that the checkpoint has for it, the job
/// fails.
///
/// ```
/// use thalweg::connectors::FileSink;
///
/// let lines = FileSink::lines("out").extension("txt"); // records that are `Display`
/// let sums = FileSink::lines("out");
/// let sums = sums.with(|sum: &(u64, f64), f| write!(f, "{}\t{:.2}", sum.0, sum.1));
/// ```
#[derive(Debug)]
#[must_use]
pub struct FileSink<F> {
    output: Arc<Output>,
    pub(in crate::connectors) extension: Arc<str>,
    pub(in crate::connectors) format: F,
}

impl<F: Clone> Clone for FileSink<F> {
    /// Another sink to the same place: the two cannot be in use at the same time.
    fn clone(&self) -> Self {
        FileSink {
            output: Arc::new(self.output.of_another_sink()),
            extension: Arc::clone(&self.extension),
            format: self.format.clone(),
        }
    }
}

impl FileSink<Lines<ByDisplay>> {
    /// Writes every record as a line.
    pub fn lines(directory: impl AsRef<Path>) -> Self {
        FileSink::new(directory, Lines(ByDisplay))
    }
}

impl<F> FileSink<F> {
    /// Writes records in a custom format.
    pub fn new(directory: impl AsRef<Path>, format: F) -> Self {
        FileSink {
            output: Arc::new(Output::directory(directory.as_ref())),
            extension: "".into(),
            format,
        }
    }

    /// Writes part files to `storage` instead of a directory.
    pub fn to_storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.output = Arc::new(Output::storage(storage));
        self
    }

    /// Names part files `part-<subtask>-<n>.<extension>`.
    pub fn extension(mut self, extension: &str) -> Self {
        self.extension = format!(".{extension}").into();
        self
    }

    pub(in crate::connectors) fn format<G>(self, format: impl FnOnce(F) -> G) -> FileSink<G> {
        FileSink {
            output: self.output,
            extension: self.extension,
            format: format(self.format),
        }
    }
}

impl<F> FileSink<Lines<F>> {
    /// Writes records using `Debug`.
    pub fn debug(self) -> FileSink<Lines<ByDebug>> {
        self.format(|_| Lines(ByDebug))
    }

    /// Writes records with a closure that works like an implementation of `Display`.
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
        let parts = PartFiles::new(&self.output, &self.extension, encoder, subtask);
        TransactionalWriter::new(parts)
    }
}

/// A file format of one line per record.
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
