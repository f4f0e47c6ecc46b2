//! Sinks whose output is kept in the checkpoint: no transaction stays open at the target while one is taken.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::checkpoint::CheckpointError;
use crate::operator::{BoxError, CommitQueue, OpenContext, Outcome, Prepared, Sink, SinkWriter};
use crate::seeded_bugs::seeded;
use crate::time::Timestamp;

use super::{TransactionError, Work};

/// A target that accepts output and a marker in one transaction.
///
/// The output between two barriers is an *epoch*, with the number of the checkpoint that ends it. It is stored in the
/// checkpoint; once that completes, one transaction of the target writes the output together with the number, the
/// *marker*. A job that resumes from a checkpoint reads the marker and delivers all later epochs. So no transaction
/// stays open across a checkpoint, none can time out or be lost with its connection, and none has to be prepared: any
/// database with transactions will do.
///
/// Each subtask has its own marker, its *lane*. After a change of parallelism a lane's output is delivered by
/// whichever subtask it is assigned to, under the marker of the lane that wrote it.
pub trait OutboxTarget<V: ?Sized>: Send + 'static {
    /// Opens the resources that the target needs.
    ///
    /// # Errors
    /// If they cannot be opened.
    fn open(&mut self, cx: &OpenContext) -> Outcome {
        let _ = cx;
        Ok(())
    }

    /// Appends a record to the output of an epoch.
    ///
    /// # Errors
    /// If the record cannot be encoded.
    fn encode(&mut self, record: &V, at: Timestamp, output: &mut Vec<u8>) -> Outcome;

    /// The last epoch delivered in a lane; 0 if there is none.
    ///
    /// # Errors
    /// If the marker cannot be read.
    fn marker(&mut self, lane: u32) -> Result<u64, BoxError>;

    /// Of the lanes `index`, `index + parallelism`, `index + 2 * parallelism` and so on, one with the highest marker,
    /// and that marker; `None` if none of them has one. A job that resumes asks, because its target may have output of
    /// subtasks that neither the job nor its checkpoint has.
    ///
    /// # Errors
    /// If the markers cannot be read.
    fn furthest(&mut self, index: u32, parallelism: u32) -> Result<Option<(u32, u64)>, BoxError>;

    /// Removes the markers of the lanes `index`, `index + parallelism`, `index + 2 * parallelism` and so on, because a
    /// job starts from scratch: an earlier one may have had more subtasks.
    ///
    /// # Errors
    /// If they cannot be removed.
    fn forget(&mut self, index: u32, parallelism: u32) -> Outcome;

    /// Returns the work of durably writing output and setting the lane's marker to `epoch`, atomically. The work runs
    /// on another thread, after that of earlier epochs, while records continue to be encoded. If it fails or its
    /// outcome is unknown, later work is not done and the subtask fails.
    ///
    /// # Errors
    /// If it is already known that the delivery is impossible.
    fn deliver(&mut self, lane: u32, epoch: u64, output: Arc<Vec<u8>>) -> Result<Work, BoxError>;

    /// Releases the target's resources; also called on failure and cancellation.
    ///
    /// # Errors
    /// If releasing them fails.
    fn close(&mut self) -> Outcome {
        Ok(())
    }
}

/// Without checkpoints, the size in bytes at which output is delivered.
pub(super) const OUTPUT_BYTES: usize = 64 * 1024;
/// Without checkpoints, the number of pending deliveries at which no more records are accepted: no barrier limits it.
pub(super) const DELIVERIES_MAX: u64 = 2;

/// A sink that keeps its output in the checkpoint and delivers it when that completes: exactly once.
///
/// Output between two checkpoints is held in memory, so the checkpoint interval bounds its size. Without checkpoints,
/// output is delivered continuously, and if the target is slow, records wait.
#[derive(Clone, Debug)]
pub struct Outbox<M> {
    make: M,
}

impl<M> Outbox<M> {
    /// A sink to the targets that `make` creates from a subtask index and a parallelism.
    pub fn new<T>(make: M) -> Self
    where
        M: Fn(u32, u32) -> T + Send + Sync + 'static,
    {
        Outbox { make }
    }
}

impl<V, T, M> Sink<V> for Outbox<M>
where
    V: ?Sized + 'static,
    T: OutboxTarget<V>,
    M: Fn(u32, u32) -> T + Send + Sync + 'static,
{
    type Writer = OutboxWriter<V, T>;

    fn writer(&self, index: u32, parallelism: u32) -> Self::Writer {
        OutboxWriter::new((self.make)(index, parallelism), index)
    }
}

/// The output of an epoch that is not yet known to be delivered.
#[derive(Debug)]
struct Epoch {
    number: u64,
    output: Arc<Vec<u8>>,
    /// The number of its delivery, once started.
    delivery: Option<u64>,
}

/// Keeps the output of one subtask until its checkpoints are complete.
pub struct OutboxWriter<V: ?Sized, T> {
    target: T,
    lane: u32,
    current: Vec<u8>,
    /// In order of their numbers.
    pending: VecDeque<Epoch>,
    /// The lane's marker once all deliveries are done.
    marker: u64,
    deliveries: CommitQueue,
    /// Without checkpoints, epochs are numbered from the marker on.
    checkpointing: bool,
    record: PhantomData<fn(&V)>,
}

impl<V: ?Sized, T> std::fmt::Debug for OutboxWriter<V, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboxWriter")
            .field("lane", &self.lane)
            .field("marker", &self.marker)
            .finish_non_exhaustive()
    }
}

impl<V: ?Sized, T: OutboxTarget<V>> OutboxWriter<V, T> {
    pub(crate) fn new(target: T, lane: u32) -> Self {
        OutboxWriter {
            target,
            lane,
            current: Vec::new(),
            pending: VecDeque::new(),
            marker: 0,
            deliveries: CommitQueue::default(),
            checkpointing: false,
            record: PhantomData,
        }
    }

    /// Makes sure that the target has no output of an epoch after the restored checkpoint: the job is about to write
    /// those records again.
    fn check_markers(&mut self, restored: u64, parallelism: u32) -> Outcome {
        match self.target.furthest(self.lane, parallelism)? {
            Some((lane, marker)) if marker > restored => Err(CheckpointError::TargetAhead {
                subtask: lane,
                delivered: marker,
                next: restored + 1,
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// Starts the delivery of output; returns the number of the delivery.
    fn deliver(&mut self, epoch: u64, output: Arc<Vec<u8>>) -> Result<u64, BoxError> {
        let work = self.target.deliver(self.lane, epoch, output)?;
        let number = self.deliveries.send(work)?;
        self.marker = epoch;
        Ok(number)
    }

    /// Delivers the current output without waiting for a checkpoint.
    fn deliver_at_once(&mut self) -> Outcome {
        if !self.current.is_empty() {
            let output = Arc::new(std::mem::take(&mut self.current));
            self.deliver(self.marker + 1, output)?;
        }
        Ok(())
    }

    fn forget_delivered(&mut self) {
        self.deliveries
            .forget_done(&mut self.pending, |epoch| epoch.delivery);
    }
}

/// Encodes the epochs of one lane for a checkpoint: together, so that one subtask delivers them all and the marker
/// only grows.
fn write_lane(lane: u32, epochs: &VecDeque<Epoch>) -> Vec<u8> {
    let mut bytes = lane.to_le_bytes().to_vec();
    for Epoch { number, output, .. } in epochs {
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&(output.len() as u64).to_le_bytes());
        bytes.extend_from_slice(output);
    }
    bytes
}

/// Decodes what [`write_lane`] wrote.
fn read_lane(bytes: &[u8]) -> Option<(u32, Vec<(u64, &[u8])>)> {
    let (lane, mut rest) = bytes.split_first_chunk()?;
    let mut epochs = Vec::new();
    while !rest.is_empty() {
        let (number, behind) = rest.split_first_chunk()?;
        let (length, behind) = behind.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (output, behind) = behind.split_at_checked(length)?;
        epochs.push((u64::from_le_bytes(*number), output));
        rest = behind;
    }
    Some((u32::from_le_bytes(*lane), epochs))
}

impl<V: ?Sized + 'static, T: OutboxTarget<V>> SinkWriter<V> for OutboxWriter<V, T> {
    fn open(&mut self, cx: &OpenContext) -> Outcome {
        let checkpointing = &cx.checkpointing;
        self.checkpointing = checkpointing.enabled;
        self.deliveries = CommitQueue::new(cx);
        self.target.open(cx)?;
        let parallelism = cx.subtask.parallelism;
        match &checkpointing.restored {
            None => self.target.forget(self.lane, parallelism)?,
            Some(restored) if self.checkpointing => {
                self.check_markers(restored.checkpoint(), parallelism)?;
            }
            Some(_) => {}
        }
        self.marker = self.target.marker(self.lane)?;
        Ok(())
    }

    #[inline]
    fn write(&mut self, record: &V, at: Timestamp) -> Outcome {
        self.target.encode(record, at, &mut self.current)
    }

    #[inline]
    fn ready(&self) -> bool {
        self.checkpointing || self.deliveries.under_way() < DELIVERIES_MAX
    }

    fn resume(&mut self) -> Outcome {
        self.deliveries.check()
    }

    fn flush(&mut self) -> Outcome {
        self.deliveries.check()?;
        if !self.checkpointing && self.current.len() >= OUTPUT_BYTES {
            return self.deliver_at_once();
        }
        Ok(())
    }

    fn prepare(&mut self, checkpoint: u64, prepared: &mut Prepared) -> Outcome {
        self.deliveries.check()?;
        self.forget_delivered();
        if !self.current.is_empty() {
            self.pending.push_back(Epoch {
                number: checkpoint,
                output: Arc::new(std::mem::take(&mut self.current)),
                delivery: None,
            });
        }
        if !self.pending.is_empty() {
            prepared.keep(write_lane(self.lane, &self.pending));
        }
        Ok(())
    }

    fn commit(&mut self, checkpoint: u64) -> Outcome {
        self.deliveries.check()?;
        for place in 0..self.pending.len() {
            let Epoch {
                number,
                output,
                delivery,
            } = &self.pending[place];
            if *number <= checkpoint && delivery.is_none() {
                let delivery = self.deliver(*number, Arc::clone(output))?;
                self.pending[place].delivery = Some(delivery);
            }
        }
        self.forget_delivered();
        Ok(())
    }

    fn recover(&mut self, transactions: Vec<Vec<u8>>) -> Outcome {
        for transaction in &transactions {
            let (lane, epochs) =
                read_lane(transaction).ok_or_else(TransactionError::unrecoverable)?;
            let marker = self.target.marker(lane)?;
            for (number, output) in epochs {
                if marker < number || seeded("marker-ignored") {
                    self.target
                        .deliver(lane, number, Arc::new(output.to_vec()))?()?;
                }
            }
        }
        self.marker = self.target.marker(self.lane)?;
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        if self.checkpointing {
            return Ok(());
        }
        self.deliver_at_once()
    }

    fn close(&mut self) -> Outcome {
        // The job does not end before its deliveries are done, so that a job that resumes from it does not race with
        // them.
        let delivered = self.deliveries.wait();
        let closed = self.target.close();
        delivered.and(closed)
    }
}
