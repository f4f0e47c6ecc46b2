//! A sink that prints: one line per record.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::operator::{OpenContext, Outcome, Sink, SinkWriter};
use crate::time::Timestamp;

use super::line_format::{By, ByDebug, ByDisplay, LineFormat};

/// The size in bytes at which a writer prints its buffered text in the middle of a batch.
const TEXT_SIZE_MAX: usize = 64 * 1024;

/// Where lines are printed.
#[derive(Clone)]
enum Target {
    Stdout,
    Stderr,
    Other(Arc<Mutex<dyn Write + Send>>),
}

impl Target {
    fn write(&self, text: &[u8]) -> std::io::Result<()> {
        match self {
            Target::Stdout => write_whole(&mut std::io::stdout().lock(), text),
            Target::Stderr => write_whole(&mut std::io::stderr().lock(), text),
            Target::Other(writer) => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                write_whole(&mut *writer, text)
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Target::Stdout => "standard output",
            Target::Stderr => "standard error",
            Target::Other(_) => "the writer",
        }
    }
}

fn write_whole(writer: &mut (impl Write + ?Sized), text: &[u8]) -> std::io::Result<()> {
    writer.write_all(text)?;
    writer.flush()
}

/// Prints every record as a line. Flink's `print`.
///
/// The prefix is Flink's: `2> ` for subtask index 1 if the sink has several subtasks and none if it has one; with an
/// [identifier](Print::identifier), `id:2> ` and `id> `. The text of a batch is written in one go, so that lines of
/// different subtasks are never interleaved mid-line.
///
/// ```
/// use thalweg::connectors::Print;
///
/// let plain = Print::stdout(); // records that are `Display`
/// let debug = Print::stderr().debug(); // records that are `Debug`
/// let chosen = Print::stdout().with(|sum: &(u64, f64), f| write!(f, "{}: {:.2}", sum.0, sum.1));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Print<F = ByDisplay> {
    target: Target,
    identifier: Option<Arc<str>>,
    format: F,
}

impl Print {
    /// Prints to standard output.
    pub fn stdout() -> Self {
        Print::on(Target::Stdout)
    }

    /// Prints to standard error.
    pub fn stderr() -> Self {
        Print::on(Target::Stderr)
    }

    /// Prints to `writer`, which all subtasks share.
    pub fn to(writer: Arc<Mutex<dyn Write + Send>>) -> Self {
        Print::on(Target::Other(writer))
    }

    fn on(target: Target) -> Self {
        Print {
            target,
            identifier: None,
            format: ByDisplay,
        }
    }
}

impl<F> Print<F> {
    /// Prefixes every line with `identifier`.
    pub fn identifier(mut self, identifier: impl Into<Arc<str>>) -> Self {
        self.identifier = Some(identifier.into());
        self
    }

    /// Formats records with `Debug`.
    pub fn debug(self) -> Print<ByDebug> {
        self.format(ByDebug)
    }

    /// Formats records with a closure that works like an implementation of `Display`.
    pub fn with<V, G>(self, function: G) -> Print<By<V, G>>
    where
        V: ?Sized,
        G: Fn(&V, &mut fmt::Formatter<'_>) -> fmt::Result,
    {
        self.format(By::new(function))
    }

    fn format<G>(self, format: G) -> Print<G> {
        Print {
            target: self.target,
            identifier: self.identifier,
            format,
        }
    }

    fn prefix(&self, index: u32, parallelism: u32) -> String {
        match (&self.identifier, parallelism > 1) {
            (None, false) => String::new(),
            (None, true) => format!("{}> ", index + 1),
            (Some(identifier), false) => format!("{identifier}> "),
            (Some(identifier), true) => format!("{identifier}:{}> ", index + 1),
        }
    }
}

impl<F> fmt::Debug for Print<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Print")
            .field("target", &self.target.name())
            .field("identifier", &self.identifier)
            .finish_non_exhaustive()
    }
}

impl<V: ?Sized, F: LineFormat<V>> Sink<V> for Print<F> {
    type Writer = PrintWriter<F>;

    fn writer(&self, index: u32, parallelism: u32) -> PrintWriter<F> {
        PrintWriter {
            target: self.target.clone(),
            prefix: self.prefix(index, parallelism),
            format: self.format.clone(),
            text: String::new(),
        }
    }
}

/// Prints the records of one subtask of a [`Print`].
pub struct PrintWriter<F> {
    target: Target,
    prefix: String,
    format: F,
    /// Complete lines that have not been printed yet.
    text: String,
}

impl<F> fmt::Debug for PrintWriter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrintWriter")
            .field("target", &self.target.name())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl<F> PrintWriter<F> {
    fn print(&mut self) -> Outcome {
        if self.text.is_empty() {
            return Ok(());
        }
        let written = self.target.write(self.text.as_bytes());
        self.text.clear();
        written.map_err(|cause| {
            PrintError {
                target: self.target.name(),
                cause,
            }
            .into()
        })
    }
}

impl<V: ?Sized, F: LineFormat<V>> SinkWriter<V> for PrintWriter<F> {
    fn open(&mut self, _cx: &OpenContext) -> Outcome {
        self.text.reserve(TEXT_SIZE_MAX + TEXT_SIZE_MAX / 4);
        Ok(())
    }

    fn write(&mut self, record: &V, _at: Timestamp) -> Outcome {
        let line_start = self.text.len();
        self.text.push_str(&self.prefix);
        if let Err(cause) = self.format.append(record, &mut self.text) {
            self.text.truncate(line_start);
            return Err(cause);
        }
        self.text.push('\n');
        if self.text.len() >= TEXT_SIZE_MAX {
            self.print()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Outcome {
        self.print()
    }

    fn close(&mut self) -> Outcome {
        self.print()
    }
}

/// The text could not be printed.
#[derive(Debug, thiserror::Error)]
#[error("could not print to {target}: {cause}")]
pub struct PrintError {
    /// The output that was written to.
    pub target: &'static str,
    /// The operating system's error.
    pub cause: std::io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed<F: LineFormat<u64>>(
        make: impl Fn(Arc<Mutex<dyn Write + Send>>) -> Print<F>,
    ) -> String {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let print = make(Arc::clone(&shown) as Arc<Mutex<dyn Write + Send>>);
        for (index, parallelism) in [(0, 1), (0, 2), (1, 2)] {
            let mut writer = print.writer(index, parallelism);
            writer.write(&3, Timestamp::MIN).unwrap();
            SinkWriter::<u64>::flush(&mut writer).unwrap();
        }
        let text = shown.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn prefix_is_the_subtask_index_plus_one_if_there_are_several() {
        assert_eq!(printed(Print::to), "3\n1> 3\n2> 3\n");
    }

    #[test]
    fn identifier_stands_before_the_subtask() {
        let text = printed(|writer| Print::to(writer).identifier("id"));
        assert_eq!(text, "id> 3\nid:1> 3\nid:2> 3\n");
    }

    #[test]
    fn closure_and_debug_choose_the_text() {
        let text = printed(|writer| Print::to(writer).with(|n: &u64, f| write!(f, "<{n:03}>")));
        assert_eq!(text, "<003>\n1> <003>\n2> <003>\n");
        let mut writer = Sink::<str>::writer(&Print::stdout().debug(), 0, 1);
        writer.write("quoted", Timestamp::MIN).unwrap();
        assert_eq!(std::mem::take(&mut writer.text), "\"quoted\"\n");
    }

    #[test]
    fn lines_of_a_batch_are_written_at_once_and_whole() {
        #[derive(Default)]
        struct Calls(Vec<usize>);
        impl Write for Calls {
            fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
                assert_eq!(text.last(), Some(&b'\n'));
                self.0.push(text.len());
                Ok(text.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let calls = Arc::new(Mutex::new(Calls::default()));
        let print = Print::to(Arc::clone(&calls) as Arc<Mutex<dyn Write + Send>>);
        let mut writer = Sink::<u64>::writer(&print, 0, 1);
        for _ in 0..10 {
            writer.write(&7, Timestamp::MIN).unwrap();
        }
        SinkWriter::<u64>::flush(&mut writer).unwrap();
        assert_eq!(calls.lock().unwrap().0, [20]);
        for _ in 0..TEXT_SIZE_MAX {
            writer.write(&7, Timestamp::MIN).unwrap();
        }
        assert_eq!(calls.lock().unwrap().0, [20, TEXT_SIZE_MAX, TEXT_SIZE_MAX]);
    }

    #[test]
    fn record_whose_formatting_fails_prints_no_half_line() {
        let print = Print::stdout().with(|n: &u64, f| {
            write!(f, "half")?;
            if *n == 0 { Err(fmt::Error) } else { Ok(()) }
        });
        let mut writer = print.writer(0, 1);
        let error = writer.write(&0, Timestamp::MIN).unwrap_err();
        assert!(error.to_string().contains("formatting returned an error"));
        assert!(writer.text.is_empty());
    }

    #[test]
    fn closed_output_is_a_named_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let print = Print::to(Arc::new(Mutex::new(Closed)));
        let mut writer = Sink::<u64>::writer(&print, 0, 1);
        writer.write(&7, Timestamp::MIN).unwrap();
        let error = SinkWriter::<u64>::flush(&mut writer).unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not print to the writer: broken pipe"
        );
    }
}
