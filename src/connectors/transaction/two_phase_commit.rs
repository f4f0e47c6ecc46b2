//! Sinks that write in transactions, pre-committed at a checkpoint's barrier and committed when it completes.

use std::collections::VecDeque;
use std::marker::PhantomData;

use crate::operator::{
    BoxError, CommitQueue, OpenContext, Outcome, Prepared, Sink, SinkWriter, Unrecoverable,
};
use crate::seeded_bugs::seeded;
use crate::time::Timestamp;

/// Work that must not run on a worker.
pub type Work = Box<dyn FnOnce() -> Outcome + Send>;

/// A target that supports two-phase commit: Flink's `TwoPhaseCommitSinkFunction`.
///
/// ```text
/// begin ─► write* ─► pre_commit ──────────────────► commit
///   │                 at a barrier: the handle        when the checkpoint is complete,
///   ▼                 is kept in the checkpoint       or by the job that resumes from it
/// abort (close), or recover_and_abort (by the job that resumes from a checkpoint)
/// ```
/// The writes between two barriers form one transaction. Its *handle* is all that is needed to commit it, even from
/// another process: a name, a number, a session. If a checkpoint never completes, its transaction is committed with
/// the next one: a missing completion notice is normal.
///
/// In most databases an open transaction is lost with its connection. If so, `pre_commit` must make it survive
/// (`PREPARE TRANSACTION`), or the output belongs in an [`Outbox`](super::Outbox).
///
/// ```
/// use thalweg::connectors::{Transactional, TwoPhaseCommit, Work};
/// use thalweg::operator::{BoxError, Outcome};
/// use thalweg::time::Timestamp;
///
/// /// Writes numbers to directories that are renamed when they are complete.
/// #[derive(Clone)]
/// struct Directories;
///
/// impl TwoPhaseCommit<u64> for Directories {
///     type Transaction = Vec<u64>;
///
///     fn begin(&mut self) -> Result<Vec<u64>, BoxError> {
///         Ok(Vec::new())
///     }
///     fn write(&mut self, numbers: &mut Vec<u64>, number: &u64, _at: Timestamp) -> Outcome {
///         numbers.push(*number);
///         Ok(())
///     }
///     fn pre_commit(&mut self, numbers: Vec<u64>, _checkpoint: u64) -> Result<Option<Vec<u8>>, BoxError> {
///         // Makes the numbers durable under a hidden name, and returns that name.
///         Ok((!numbers.is_empty()).then(|| b"a hidden name".to_vec()))
///     }
///     fn commit(&mut self, _handle: &[u8]) -> Result<Work, BoxError> {
///         Ok(Box::new(|| Ok(()))) // Renames; does nothing if already renamed.
///     }
///     fn abort(&mut self, _numbers: Vec<u64>) -> Outcome {
///         Ok(())
///     }
/// }
///
/// let sink = Transactional::new(|_subtask, _parallelism| Directories);
/// # let _: Box<dyn std::any::Any> = Box::new(sink);
/// ```
pub trait TwoPhaseCommit<V: ?Sized>: Send + 'static {
    /// A transaction in progress.
    type Transaction: Send;

    /// Opens the resources that the target needs.
    ///
    /// # Errors
    /// If they cannot be opened.
    fn open(&mut self, cx: &OpenContext) -> Outcome {
        let _ = cx;
        Ok(())
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// If it cannot begin; the subtask fails.
    fn begin(&mut self) -> Result<Self::Transaction, BoxError>;

    /// Writes a record in a transaction.
    ///
    /// # Errors
    /// If it cannot be written; the subtask fails.
    fn write(&mut self, transaction: &mut Self::Transaction, record: &V, at: Timestamp) -> Outcome;

    /// The handle by which a transaction still in progress can be aborted, if there is one. A checkpoint stores it
    /// for [`recover_and_abort`](Self::recover_and_abort).
    fn handle(&self, transaction: &Self::Transaction) -> Option<Vec<u8>> {
        let _ = transaction;
        None
    }

    /// Ends a transaction such that only an error of the target can prevent it from being committed. Returns the
    /// handle with which to commit it, or `None` if nothing was written.
    ///
    /// # Errors
    /// If it cannot be pre-committed; the subtask fails.
    fn pre_commit(
        &mut self,
        transaction: Self::Transaction,
        checkpoint: u64,
    ) -> Result<Option<Vec<u8>>, BoxError>;

    /// Returns work on a pre-committed transaction that a checkpoint is about to store, to be done on another thread
    /// before that checkpoint completes.
    ///
    /// # Errors
    /// If it is already known that the work is impossible.
    fn before_completion(&mut self, handle: &[u8]) -> Result<Option<Work>, BoxError> {
        let _ = handle;
        Ok(None)
    }

    /// Returns work to be done before any checkpoint completes, whether or not it stores a transaction, and at the
    /// end of the job. Transactions committed since the previous checkpoint are no longer stored, so they must now be
    /// durable.
    ///
    /// # Errors
    /// If it is already known that the work is impossible.
    fn before_any_completion(&mut self) -> Result<Option<Work>, BoxError> {
        Ok(None)
    }

    /// Returns the work of committing a transaction, which must do nothing if it is already committed. The work runs
    /// on another thread, after that of earlier transactions, while records continue to be written. If it fails,
    /// the later transactions are committed nevertheless, then the subtask fails with the first error, and all that a
    /// checkpoint stores are committed again when the job resumes from it.
    ///
    /// # Errors
    /// If it is already known that the transaction cannot be committed.
    fn commit(&mut self, handle: &[u8]) -> Result<Work, BoxError>;

    /// Commits a transaction stored in the checkpoint.
    ///
    /// # Errors
    /// If it cannot be committed; the job fails.
    fn recover_and_commit(&mut self, handle: &[u8]) -> Outcome {
        self.commit(handle)?()
    }

    /// Aborts a transaction that was in progress at the checkpoint's barrier, if it still exists.
    ///
    /// # Errors
    /// If it cannot be aborted.
    fn recover_and_abort(&mut self, handle: &[u8]) -> Outcome {
        let _ = handle;
        Ok(())
    }

    /// Called once the checkpoint's transactions for this subtask are committed or aborted. Drops whatever was
    /// written after the checkpoint.
    ///
    /// # Errors
    /// If it cannot be dropped.
    fn recovered(&mut self) -> Outcome {
        Ok(())
    }

    /// Aborts a transaction, discarding everything written in it.
    ///
    /// # Errors
    /// If it cannot be aborted.
    fn abort(&mut self, transaction: Self::Transaction) -> Outcome;

    /// Releases the target's resources; also called on failure and cancellation.
    ///
    /// # Errors
    /// If releasing them fails.
    fn close(&mut self) -> Outcome {
        Ok(())
    }
}

/// A sink that writes to a [`TwoPhaseCommit`] target, one for each subtask.
#[derive(Clone, Debug)]
pub struct Transactional<M> {
    make: M,
}

impl<M> Transactional<M> {
    /// A sink to the targets that `make` creates from a subtask index and a parallelism.
    pub fn new<T>(make: M) -> Self
    where
        M: Fn(u32, u32) -> T + Send + Sync + 'static,
    {
        Transactional { make }
    }
}

impl<V, T, M> Sink<V> for Transactional<M>
where
    V: ?Sized + 'static,
    T: TwoPhaseCommit<V>,
    M: Fn(u32, u32) -> T + Send + Sync + 'static,
{
    type Writer = TransactionalWriter<V, T>;

    fn writer(&self, index: u32, parallelism: u32) -> Self::Writer {
        TransactionalWriter::new((self.make)(index, parallelism))
    }
}

/// A sink cannot resume a transaction stored in a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the checkpoint's transaction of a sink is damaged, or another kind of sink wrote it")]
pub struct TransactionError;

impl TransactionError {
    /// The error as what it is to a job, which would find the same transaction again.
    pub(crate) fn unrecoverable() -> Unrecoverable {
        Unrecoverable::new(TransactionError)
    }
}

/// The first byte of a transaction stored in a checkpoint.
const PENDING: u8 = b'P';
const CURRENT: u8 = b'C';

/// A pre-committed transaction that is not yet known to be committed.
#[derive(Debug)]
struct Pending {
    checkpoint: u64,
    handle: Vec<u8>,
    /// The number of its commit, once started.
    commit: Option<u64>,
}

/// Writes the records of one subtask in transactions.
pub struct TransactionalWriter<V: ?Sized, T: TwoPhaseCommit<V>> {
    target: T,
    current: Option<T::Transaction>,
    /// In the order of their checkpoints.
    pending: VecDeque<Pending>,
    commits: CommitQueue,
    /// Something was committed that no checkpoint has made durable since.
    unsure: bool,
    checkpointing: bool,
    finished: bool,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized, T: TwoPhaseCommit<V>> std::fmt::Debug for TransactionalWriter<V, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransactionalWriter")
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

impl<V: ?Sized, T: TwoPhaseCommit<V>> TransactionalWriter<V, T> {
    pub(crate) fn new(target: T) -> Self {
        TransactionalWriter {
            target,
            current: None,
            pending: VecDeque::new(),
            commits: CommitQueue::default(),
            unsure: false,
            checkpointing: false,
            finished: false,
            record: PhantomData,
        }
    }

    /// Pre-commits the current transaction.
    fn end_current(&mut self, checkpoint: u64) -> Outcome {
        if let Some(current) = self.current.take()
            && let Some(handle) = self.target.pre_commit(current, checkpoint)?
        {
            self.pending.push_back(Pending {
                checkpoint,
                handle,
                commit: None,
            });
        }
        Ok(())
    }

    /// Starts committing the pending transactions up to a checkpoint, in order. If starting one fails, it stays
    /// pending and the others are committed nevertheless.
    fn commit_up_to(&mut self, checkpoint: u64) -> Outcome {
        let mut first_error = self.commits.check();
        for pending in &mut self.pending {
            if pending.checkpoint > checkpoint || pending.commit.is_some() {
                continue;
            }
            let work = self.target.commit(&pending.handle);
            match work.and_then(|work| self.commits.send(work)) {
                Ok(number) => {
                    pending.commit = Some(number);
                    self.unsure = true;
                }
                Err(error) => first_error = first_error.and(Err(error)),
            }
        }
        self.forget_committed();
        first_error
    }

    /// Makes committed transactions durable.
    fn make_last(&mut self) -> Outcome {
        if !std::mem::take(&mut self.unsure) {
            return Ok(());
        }
        match self.target.before_any_completion()? {
            Some(work) => work(),
            None => Ok(()),
        }
    }

    fn forget_committed(&mut self) {
        self.commits
            .forget_done(&mut self.pending, |pending| pending.commit);
    }
}

impl<V: ?Sized + 'static, T: TwoPhaseCommit<V>> SinkWriter<V> for TransactionalWriter<V, T> {
    fn open(&mut self, cx: &OpenContext) -> Outcome {
        self.checkpointing = cx.checkpointing.enabled;
        self.commits = CommitQueue::trying_all(cx);
        self.target.open(cx)
    }

    #[inline]
    fn write(&mut self, record: &V, at: Timestamp) -> Outcome {
        let current = match &mut self.current {
            Some(current) => current,
            None => self.current.insert(self.target.begin()?),
        };
        self.target.write(current, record, at)
    }

    fn flush(&mut self) -> Outcome {
        self.commits.check()
    }

    fn prepare(&mut self, checkpoint: u64, prepared: &mut Prepared) -> Outcome {
        self.commits.check()?;
        self.forget_committed();
        self.end_current(checkpoint)?;
        if seeded("committed-at-the-barrier") {
            self.commit_up_to(checkpoint)?;
        }
        for Pending {
            checkpoint, handle, ..
        } in &self.pending
        {
            if let Some(work) = self.target.before_completion(handle)? {
                prepared.before_completion(work);
            }
            let number = checkpoint.to_le_bytes();
            prepared.keep([&[PENDING][..], &number, handle].concat());
        }
        if let Some(work) = self.target.before_any_completion()? {
            prepared.before_completion(work);
        }
        self.unsure = false;
        if !self.finished {
            let current = self.target.begin()?;
            if let Some(handle) = self.target.handle(&current) {
                prepared.keep([&[CURRENT][..], &handle].concat());
            }
            self.current = Some(current);
        }
        Ok(())
    }

    fn commit(&mut self, checkpoint: u64) -> Outcome {
        self.commit_up_to(checkpoint)
    }

    fn recover(&mut self, transactions: Vec<Vec<u8>>) -> Outcome {
        for transaction in &transactions {
            match transaction.split_first() {
                Some((&PENDING, rest)) => {
                    let (_checkpoint, handle) = rest
                        .split_at_checked(size_of::<u64>())
                        .ok_or_else(TransactionError::unrecoverable)?;
                    if !seeded("transactions-not-recovered") {
                        self.target.recover_and_commit(handle)?;
                    }
                }
                Some((&CURRENT, handle)) => self.target.recover_and_abort(handle)?,
                _ => return Err(TransactionError::unrecoverable().into()),
            }
        }
        self.target.recovered()
    }

    fn finish(&mut self) -> Outcome {
        self.finished = true;
        if self.checkpointing {
            return Ok(());
        }
        self.end_current(0)?;
        for Pending { handle, .. } in &self.pending {
            if let Some(work) = self.target.before_completion(handle)? {
                work()?;
            }
        }
        self.commit_up_to(0)?;
        self.commits.wait()?;
        self.make_last()
    }

    fn close(&mut self) -> Outcome {
        // The job does not end before its commits are done and durable: one that resumes from it does not race with
        // them, and no checkpoint follows.
        let committed = self.commits.wait();
        let committed = committed.and_then(|()| self.make_last());
        let current = self.current.take();
        let aborted = current.map_or(Ok(()), |current| self.target.abort(current));
        let closed = self.target.close();
        committed.and(aborted).and(closed)
    }
}
