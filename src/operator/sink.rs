//! Sinks: where records go.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::checkpoint::{
    CheckpointError, Deferred, SnapshotOutput, StateRef, ValueSnapshot, share,
};
use crate::metrics::Counter;
use crate::state::StateKind;
use crate::time::Timestamp;

use super::{Budget, OpenContext, Operator, OperatorError, Outcome, Push, Signal, raise};

/// A sink for records of type `V`: a description, held by the graph; it opens nothing.
pub trait Sink<V: ?Sized>: Send + Sync + 'static {
    /// The writer of one subtask.
    type Writer: SinkWriter<V>;

    /// Creates the writer of one subtask. Opens nothing yet. Each time the job is started, and started anew after a
    /// failure, this is called in the order of the indices.
    fn writer(&self, index: u32, parallelism: u32) -> Self::Writer;

    /// The job has ended for good, however it did, and all writers are closed. One that is started anew asks for
    /// writers again.
    fn job_ended(&self) {}
}

/// What a sink hands over at a barrier.
#[derive(Default)]
pub struct Prepared {
    transactions: Vec<Vec<u8>>,
    work: Vec<Deferred>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("transactions", &self.transactions.len())
            .finish_non_exhaustive()
    }
}

impl Prepared {
    /// Has the checkpoint store `transaction`: whatever lets the sink, or its successor, commit it. A
    /// transaction that is still uncommitted at the next barrier must be handed over again.
    pub fn keep(&mut self, transaction: Vec<u8>) {
        self.transactions.push(transaction);
    }

    /// Returns the transactions that were handed over.
    #[must_use]
    pub fn transactions(&self) -> &[Vec<u8>] {
        &self.transactions
    }

    /// Takes the work that must be done before the checkpoint is complete.
    #[must_use]
    pub fn take_work(&mut self) -> Vec<Deferred> {
        std::mem::take(&mut self.work)
    }

    /// Schedules `work` to be done off this thread before the checkpoint completes, such as syncing a file.
    pub fn before_completion(&mut self, work: Deferred) {
        self.work.push(work);
    }
}

/// One subtask's writer of a sink.
pub trait SinkWriter<V: ?Sized>: Send + 'static {
    /// Opens what the writer needs.
    ///
    /// # Errors
    /// If the output cannot be opened. A [`CheckpointError`] says that the job cannot go on from its checkpoint, now or
    /// later: it is not restarted.
    fn open(&mut self, cx: &OpenContext) -> Outcome {
        let _ = cx;
        Ok(())
    }

    /// Writes one record.
    ///
    /// # Errors
    /// If the record cannot be written; the subtask fails.
    fn write(&mut self, record: &V, at: Timestamp) -> Outcome;

    /// Returns whether another record may be written now. A writer whose output is full returns `false`, keeps what it
    /// was given last, and is asked to [`resume`](SinkWriter::resume) until it has room: backpressure. So does one
    /// whose writes go to a [`CommitQueue`](super::CommitQueue), while many are pending.
    #[inline(always)]
    fn ready(&self) -> bool {
        true
    }

    /// Returns whether a barrier that overtakes in-flight data can be taken now, for which [`prepare`](Self::prepare)
    /// is called: as a rule, once everything received has been written. A writer whose output is not durable anyway
    /// need not wait for that.
    fn takes_barrier(&self) -> bool {
        self.ready()
    }

    /// Tries to write what did not fit.
    ///
    /// # Errors
    /// If it cannot be written; the subtask fails.
    fn resume(&mut self) -> Outcome {
        Ok(())
    }

    /// Ends a batch: makes what was written visible where that is cheap.
    ///
    /// # Errors
    /// If flushing fails; the subtask fails.
    fn flush(&mut self) -> Outcome {
        Ok(())
    }

    /// Called when the watermark has advanced.
    ///
    /// # Errors
    /// An error fails the subtask.
    fn watermark(&mut self, at: Timestamp) -> Outcome {
        let _ = at;
        Ok(())
    }

    /// Called at a barrier: everything written since the previous one belongs to this checkpoint, and nothing that
    /// is written from now on does. An exactly-once sink hands over whatever lets its output be committed, even by
    /// another process; any sink may hand over work that must be done before the checkpoint completes.
    ///
    /// # Errors
    /// If what was written cannot be made durable; the subtask fails.
    fn prepare(&mut self, checkpoint: u64, prepared: &mut Prepared) -> Outcome {
        let _ = (checkpoint, prepared);
        self.flush()
    }

    /// The checkpoint is complete: commits everything prepared up to it. May not be called for every checkpoint,
    /// and may be called twice for one; a missing call is normal. Give a commit that waits for a disk or a
    /// database to a [`CommitQueue`](super::CommitQueue), because nothing on a worker may wait.
    ///
    /// # Errors
    /// If it cannot be committed; the subtask fails, and tries again when it is restored.
    fn commit(&mut self, checkpoint: u64) -> Outcome {
        let _ = checkpoint;
        Ok(())
    }

    /// Resumes from a checkpoint, after [`open`](Self::open) and before the first record: commits what the checkpoint
    /// lists as prepared, whether or not it has been committed already, and drops what was written after it.
    /// `transactions` is this subtask's share, which may come from other subtasks.
    ///
    /// # Errors
    /// If they cannot be committed; the subtask fails. A [`CheckpointError`] is final, as in [`open`](Self::open).
    fn recover(&mut self, transactions: Vec<Vec<u8>>) -> Outcome {
        let _ = transactions;
        Ok(())
    }

    /// The end of input: the last records have been written.
    ///
    /// # Errors
    /// If finishing fails; the subtask fails.
    fn finish(&mut self) -> Outcome {
        Ok(())
    }

    /// Releases what the writer holds; called on failure and cancellation too.
    ///
    /// # Errors
    /// If releasing fails.
    fn close(&mut self) -> Outcome {
        Ok(())
    }
}

/// The end of a chain: passes records to a writer.
pub struct SinkOperator<W, V: ?Sized> {
    writer: W,
    name: Arc<str>,
    written: u64,
    records_out: Counter,
    /// The state that stores transactions, if checkpoints are enabled.
    transactions: Option<ValueSnapshot>,
    uid: Arc<str>,
    /// What must be done before the prepared checkpoint is complete.
    work: Vec<Deferred>,
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
    /// Creates the end of a chain, called `name`.
    pub fn new(name: Arc<str>, writer: W) -> Self {
        let records_out = Counter::default();
        SinkOperator {
            writer,
            uid: Arc::clone(&name),
            name,
            written: 0,
            records_out,
            transactions: None,
            work: Vec::new(),
            record: PhantomData,
        }
    }

    /// Binds the sink's transactions to a uid rather than to its name.
    #[must_use]
    pub fn uid(mut self, uid: Arc<str>) -> Self {
        self.uid = uid;
        self
    }

    /// Fails the subtask if `outcome` is an error.
    #[inline(always)]
    fn check(&self, outcome: Outcome) {
        if let Err(cause) = outcome {
            raise(OperatorError::function(&self.name, cause));
        }
    }

    /// Work whose errors say whose they are: it is done elsewhere.
    fn named(&self, work: Deferred) -> Deferred {
        let name = Arc::clone(&self.name);
        Box::new(move || work().map_err(|cause| OperatorError::function(&name, cause).into()))
    }
}

impl<V: ?Sized, W: SinkWriter<V>> SinkOperator<W, V> {
    /// Prepares for a checkpoint and captures what it stores.
    fn prepare(&mut self, checkpoint: u64) -> Outcome {
        let mut prepared = Prepared::default();
        self.writer.prepare(checkpoint, &mut prepared)?;
        if let Some(transactions) = &mut self.transactions {
            transactions.capture(checkpoint, &prepared.transactions);
            let named = prepared.work.into_iter().map(|work| self.named(work));
            self.work = named.collect();
        }
        Ok(())
    }

    /// Returns this subtask's share of the stored transactions, if the checkpoint has any of this sink.
    fn recovered(
        cx: &OpenContext,
        kept: &ValueSnapshot,
    ) -> Result<Option<Vec<Vec<u8>>>, CheckpointError> {
        let Some(restored) = &cx.checkpointing.restored else {
            return Ok(None);
        };
        let values = restored.values::<Vec<u8>>(kept.state(), kept.schema())?;
        Ok(values.map(|values| share(values, cx.subtask.index, cx.subtask.parallelism)))
    }
}

impl<V: ?Sized, W: SinkWriter<V>> Operator for SinkOperator<W, V> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.records_out = cx.operator_metrics(&self.name).counter("records_out");
        let failed = |cause| OperatorError::not_resumed(&self.name, cause);
        self.writer.open(cx).map_err(failed)?;
        let state = StateRef::new(&self.uid, "transactions");
        let kept = ValueSnapshot::of::<Vec<u8>>(state, StateKind::OperatorList);
        let recovered = Self::recovered(cx, &kept);
        if let Some(transactions) =
            recovered.map_err(|cause| OperatorError::restore(&self.name, cause))?
        {
            let recovered = self.writer.recover(transactions);
            recovered.map_err(|cause| OperatorError::not_resumed(&self.name, cause))?;
        }
        self.transactions = cx.checkpointing.enabled.then_some(kept);
        Ok(())
    }

    fn begin(&mut self, _now: Timestamp) {}

    fn signal(&mut self, signal: Signal) {
        let outcome = match signal {
            Signal::Watermark(at) => self.writer.watermark(at),
            Signal::Barrier(barrier) => self.prepare(barrier.checkpoint),
            Signal::CheckpointComplete(checkpoint) => self.writer.commit(checkpoint),
            Signal::End => self.writer.finish(),
            _ => Ok(()),
        };
        self.check(outcome);
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.writer.ready()
    }

    fn takes_barrier(&self) -> bool {
        self.writer.takes_barrier()
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

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let Some(transactions) = &mut self.transactions else {
            return true;
        };
        let written = transactions.drain(out);
        if written {
            self.work.drain(..).for_each(|work| out.defer(work));
        }
        written
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

    #[inline(always)]
    fn is_straight(&self) -> bool {
        true
    }
}
