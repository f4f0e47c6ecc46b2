//! An outlet: output for programs that embed a job, which poll for records from one of their threads.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::operator::{OpenContext, Outcome, Sink, SinkWriter};
use crate::record::{Far, Form, Record, Scratch, Wire};
use crate::ring::RingError;
use crate::time::Timestamp;

use super::record_ring::{RecordConsumer, RecordProducer, record_ring};

/// Creates an outlet with a ring of about `capacity` bytes per subtask. Every record takes its encoded size rounded
/// up to a multiple of 16, plus 16 bytes for a header. A record may take up a quarter of the capacity.
///
/// If the outlet is not polled, the job fills the rings and then waits: backpressure.
///
/// ```
/// use thalweg::connectors::outlet;
///
/// let (mut results, sink) = outlet::<u64>(1 << 16);
/// let count = results.poll(|number, at| println!("{number} at {at}"));
/// assert_eq!((count, results.is_finished()), (0, false));
/// # drop(sink);
/// ```
#[must_use]
pub fn outlet<T: Record + ?Sized>(capacity: usize) -> (Outlet<T>, OutletSink<T>) {
    let shared = Arc::new(Shared {
        arrivals: Mutex::default(),
        arrived: AtomicBool::new(false),
        job_ended: AtomicU64::new(RUNS),
    });
    let sink = OutletSink {
        shared: Arc::clone(&shared),
        capacity,
    };
    let outlet = Outlet {
        shared,
        channels: Vec::new(),
        attempt: Attempt::default(),
        ended: BTreeSet::new(),
    };
    (outlet, sink)
}

/// Why a job cannot write to an outlet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutletError {
    /// The program has dropped the outlet.
    #[error(
        "the outlet was dropped while the job still writes to it: keep it to the end of the job, \
         or cancel the job first"
    )]
    Dropped,
    /// The record is too large ever to fit.
    #[error(
        "a record of {size} bytes does not fit an outlet whose records have {limit} bytes at most: \
         make it with a capacity of {} bytes or more",
        4 * (size + 32)
    )]
    TooLarge {
        /// The record's encoded size in bytes.
        size: usize,
        /// The largest size that the outlet accepts.
        limit: usize,
    },
}

/// One start of the job that writes to the outlet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Attempt {
    /// Counted from 1.
    number: u64,
    parallelism: u32,
}

/// The reading end of one subtask's ring.
struct Channel<V: ?Sized> {
    ring: RecordConsumer<V>,
    index: u32,
    attempt: u64,
    /// Set when the subtask has written its last record; not set if it failed.
    ended: Arc<AtomicBool>,
}

/// Rings that newly opened subtasks pass to the outlet.
struct Arrivals<V: ?Sized> {
    channels: Vec<Channel<V>>,
    /// The newest.
    attempt: Attempt,
    /// The outlet has been dropped.
    closed: bool,
}

impl<V: ?Sized> Default for Arrivals<V> {
    fn default() -> Self {
        Arrivals {
            channels: Vec::new(),
            attempt: Attempt::default(),
            closed: false,
        }
    }
}

struct Shared<V: ?Sized> {
    arrivals: Mutex<Arrivals<V>>,
    /// Whether `arrivals` has new rings, or a new attempt.
    arrived: AtomicBool,
    /// The attempt with which the job has ended for good, or [`RUNS`].
    job_ended: AtomicU64,
}

/// Stands for an attempt where the job has not ended yet.
const RUNS: u64 = u64::MAX;

impl<V: ?Sized> fmt::Debug for Shared<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("arrived", &self.arrived)
            .finish_non_exhaustive()
    }
}

impl<V: ?Sized> fmt::Debug for Channel<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("index", &self.index)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl<V: ?Sized> Shared<V> {
    fn lock(&self) -> MutexGuard<'_, Arrivals<V>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The program's end of an outlet: delivers what the job's subtasks have written. Polled by one thread at a time.
#[derive(Debug)]
pub struct Outlet<T: Record + ?Sized> {
    shared: Arc<Shared<Far<T>>>,
    channels: Vec<Channel<Far<T>>>,
    attempt: Attempt,
    /// The subtasks of this attempt whose last record has been read.
    ended: BTreeSet<u32>,
}

impl<T: Record + ?Sized> Outlet<T> {
    /// Passes the available records to `take`, with their timestamps ([`Timestamp::MIN`] if they have none), and
    /// returns their number. Never blocks; visits each ring at most once.
    ///
    /// Records of one subtask arrive in order. A restarted job writes replayed records again.
    pub fn poll(&mut self, mut take: impl FnMut(&Far<T>, Timestamp)) -> usize {
        self.receive();
        let mut count = 0;
        for channel in &mut self.channels {
            count += channel.ring.read(|record, at| {
                take(record, at);
                true
            });
        }
        count
    }

    /// Whether no more records will come: all that were written have been read, and every subtask has written its last
    /// record, or the job has ended otherwise. Which of the two it was is known from the job's handle.
    pub fn is_finished(&mut self) -> bool {
        // The order matters: whatever was written before the end is visible once the end is.
        let job_ended = self.shared.job_ended.load(Ordering::Acquire);
        self.receive();
        let ended = &mut self.ended;
        self.channels.retain_mut(|channel| {
            // In this order, for the same reason; and the ring of a writer that has ended is closed last.
            let is_closed = channel.ring.is_closed();
            let has_ended = channel.ended.load(Ordering::Acquire) && channel.ring.is_empty();
            if has_ended && channel.attempt == self.attempt.number {
                ended.insert(channel.index);
            }
            !has_ended && !is_closed
        });
        let Attempt { parallelism, .. } = self.attempt;
        let all_ended = parallelism > 0 && self.ended.len() as u32 == parallelism;
        let is_over = job_ended == self.attempt.number;
        all_ended || (self.channels.is_empty() && (is_over || self.is_alone()))
    }

    /// Whether the sink and all writers are gone and left no ring behind.
    fn is_alone(&self) -> bool {
        Arc::strong_count(&self.shared) == 1 && self.shared.lock().channels.is_empty()
    }

    fn receive(&mut self) {
        if !self.shared.arrived.swap(false, Ordering::Acquire) {
            return;
        }
        let mut arrivals = self.shared.lock();
        if self.attempt != arrivals.attempt {
            self.attempt = arrivals.attempt;
            self.ended.clear();
        }
        self.channels.append(&mut arrivals.channels);
    }
}

impl<T: Record + ?Sized> Drop for Outlet<T> {
    fn drop(&mut self) {
        let mut arrivals = self.shared.lock();
        arrivals.closed = true;
        arrivals.channels.clear();
    }
}

/// The job's end of an outlet: accepts `T`, or the type that the receiving side of an exchange reads in its place.
#[derive(Debug)]
pub struct OutletSink<T: Record + ?Sized> {
    shared: Arc<Shared<Far<T>>>,
    capacity: usize,
}

impl<V, T> Sink<V> for OutletSink<T>
where
    T: Record + ?Sized,
    V: Record<Form: Form<V, Far = Far<T>>> + ?Sized,
{
    type Writer = OutletWriter<Far<T>>;

    fn job_ended(&self) {
        let attempt = self.shared.lock().attempt.number;
        self.shared.job_ended.store(attempt, Ordering::Release);
    }

    fn writer(&self, index: u32, parallelism: u32) -> OutletWriter<Far<T>> {
        let mut arrivals = self.shared.lock();
        if index == 0 {
            arrivals.attempt.number += 1;
            arrivals.attempt.parallelism = parallelism;
            self.shared.arrived.store(true, Ordering::Release);
        }
        let (producer, consumer) = record_ring(self.capacity);
        let ended = Arc::new(AtomicBool::new(false));
        OutletWriter {
            shared: Arc::clone(&self.shared),
            scratch: Scratch::new(),
            ring: producer,
            ended: Arc::clone(&ended),
            ending: false,
            channel: Some(Channel {
                ring: consumer,
                index,
                attempt: arrivals.attempt.number,
                ended,
            }),
        }
    }
}

/// Writes the records of one subtask to an outlet.
#[derive(Debug)]
pub struct OutletWriter<V: ?Sized> {
    shared: Arc<Shared<V>>,
    scratch: Scratch,
    ring: RecordProducer<V>,
    ended: Arc<AtomicBool>,
    /// The input has ended, but some records are not written yet.
    ending: bool,
    /// The consuming end of the ring, until the writer opens.
    channel: Option<Channel<V>>,
}

impl<V: Wire + ?Sized> OutletWriter<V> {
    /// Signals the end to the outlet once all records are written.
    fn end_if_written(&mut self) {
        if self.ending && !self.ring.has_spilled() {
            self.ended.store(true, Ordering::Release);
        }
    }
}

fn failed(error: RingError) -> OutletError {
    match error {
        RingError::TooLarge { size, limit } => OutletError::TooLarge { size, limit },
        _ => OutletError::Dropped,
    }
}

impl<V, W> SinkWriter<V> for OutletWriter<W>
where
    W: Wire + ?Sized,
    V: Record<Form: Form<V, Far = W>> + ?Sized,
{
    fn open(&mut self, cx: &OpenContext) -> Outcome {
        let mut arrivals = self.shared.lock();
        if arrivals.closed {
            return Err(OutletError::Dropped.into());
        }
        if let Some(mut channel) = self.channel.take() {
            channel.ring.set_producer_waker(cx.waker.clone());
            arrivals.channels.push(channel);
            self.shared.arrived.store(true, Ordering::Release);
        }
        Ok(())
    }

    #[inline]
    fn write(&mut self, record: &V, at: Timestamp) -> Outcome {
        let far = V::Form::far(record, &mut self.scratch);
        Ok(self.ring.push_or_spill(far, at).map_err(failed)?)
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        !self.ring.has_spilled()
    }

    fn takes_barrier(&self) -> bool {
        true
    }

    fn resume(&mut self) -> Outcome {
        if self.ring.has_spilled() {
            self.ring.drain_spilled().map_err(failed)?;
            self.ring.publish();
            self.end_if_written();
        }
        Ok(())
    }

    fn flush(&mut self) -> Outcome {
        self.ring.publish();
        if self.ring.is_closed() && !self.ending {
            return Err(OutletError::Dropped.into());
        }
        Ok(())
    }

    fn finish(&mut self) -> Outcome {
        self.ring.publish();
        self.ending = true;
        self.end_if_written();
        Ok(())
    }
}
