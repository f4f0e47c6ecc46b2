//! Sinks: where records go.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::metrics::Counter;
use crate::time::Timestamp;

use super::{Budget, OpenContext, Operator, OperatorError, Outcome, Push, Signal, raise};

/// A sink for records of type `V`: the description, held by the graph; it opens nothing.
pub trait Sink<V: ?Sized>: Send + Sync + 'static {
    /// What writes in one subtask.
    type Writer: SinkWriter<V>;

    /// The writer of one subtask. Opens nothing yet.
    fn writer(&self, index: u32, parallelism: u32) -> Self::Writer;
}

/// One subtask's end of a sink.
pub trait SinkWriter<V: ?Sized>: Send + 'static {
    /// Opens what the writer needs.
    ///
    /// # Errors
    /// Where the output cannot be opened.
    fn open(&mut self, cx: &OpenContext) -> Outcome {
        let _ = cx;
        Ok(())
    }

    /// Writes one record.
    ///
    /// # Errors
    /// Where the record cannot be written; the subtask fails.
    fn write(&mut self, record: &V, at: Timestamp) -> Outcome;

    /// Whether another record may be written now. A writer whose output is full says no, keeps what it
    /// was given last, and is asked to [`resume`](SinkWriter::resume) until it has room: back-pressure.
    #[inline(always)]
    fn ready(&self) -> bool {
        true
    }

    /// Tries to write what did not fit.
    ///
    /// # Errors
    /// Where it cannot be written; the subtask fails.
    fn resume(&mut self) -> Outcome {
        Ok(())
    }

    /// Ends a batch: what was written should become visible where that is cheap.
    ///
    /// # Errors
    /// Where flushing fails; the subtask fails.
    fn flush(&mut self) -> Outcome {
        Ok(())
    }

    /// Learns that the watermark has moved.
    ///
    /// # Errors
    /// Fails the subtask.
    fn watermark(&mut self, at: Timestamp) -> Outcome {
        let _ = at;
        Ok(())
    }

    /// The end of input: the last records have been written.
    ///
    /// # Errors
    /// Where finishing fails; the subtask fails.
    fn finish(&mut self) -> Outcome {
        Ok(())
    }

    /// Releases what the writer holds; called on failure and cancellation too.
    ///
    /// # Errors
    /// Where releasing fails.
    fn close(&mut self) -> Outcome {
        Ok(())
    }
}

/// The end of a chain: hands records to a writer.
pub struct SinkOperator<W, V: ?Sized> {
    writer: W,
    name: Arc<str>,
    written: u64,
    records_out: Counter,
    record: PhantomData<fn(&V)>,
}

impl<W, V: ?Sized> std::fmt::Debug for SinkOperator<W, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkOperator")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<W, V: ?Sized> SinkOperator<W, V> {
    /// A chain's end called `name`.
    pub fn new(name: Arc<str>, writer: W) -> Self {
        let records_out = Counter::default();
        SinkOperator {
            writer,
            name,
            written: 0,
            records_out,
            record: PhantomData,
        }
    }

    /// Fails the subtask if `outcome` is an error.
    #[inline(always)]
    fn check(&self, outcome: Outcome) {
        if let Err(cause) = outcome {
            raise(OperatorError::function(&self.name, cause));
        }
    }
}

impl<V: ?Sized, W: SinkWriter<V>> Operator for SinkOperator<W, V> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.records_out = cx.operator_metrics(&self.name).counter("records_out");
        self.writer
            .open(cx)
            .map_err(|cause| OperatorError::function(&self.name, cause))
    }

    fn begin(&mut self, _now: Timestamp) {}

    fn signal(&mut self, signal: Signal) {
        let outcome = match signal {
            Signal::Watermark(at) => self.writer.watermark(at),
            Signal::End => self.writer.finish(),
            _ => Ok(()),
        };
        self.check(outcome);
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.writer.ready()
    }

    fn resume(&mut self, _budget: &mut Budget) {
        let outcome = self.writer.resume();
        self.check(outcome);
    }

    fn flush(&mut self) {
        self.records_out.set(self.written);
        let outcome = self.writer.flush();
        self.check(outcome);
    }

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        self.records_out.set(self.written);
        self.writer
            .close()
            .map_err(|cause| OperatorError::function(&self.name, cause))
    }
}

impl<V: ?Sized, W: SinkWriter<V>> Push<V> for SinkOperator<W, V> {
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        self.written += 1;
        let outcome = self.writer.write(record, at);
        self.check(outcome);
    }
}
