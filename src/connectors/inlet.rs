//! An inlet: input for programs that embed a job, which push records from one of their threads.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::operator::{BoxError, Collector, OpenContext, Push, Source, SourceReader, SourceStatus};
use crate::record::{Far, Form, Record, Scratch};
use crate::ring::{RingError, Waker};
use crate::time::Timestamp;

use super::record_ring::{RecordConsumer, RecordProducer, record_ring};

/// Creates an inlet of about `capacity` bytes. Every record takes its encoded size rounded up to a multiple of 16,
/// plus 16 bytes for a header. A record may take up a quarter of the capacity.
///
/// The job reads the same type as the receiving side of an exchange: `&Tick` for a `Tick` of plain data, `&str` for a
/// `String`, a `View` for an archived type.
///
/// ```
/// use thalweg::connectors::inlet;
/// use thalweg::time::Timestamp;
///
/// let (mut words, source) = inlet::<str>(1 << 16);
/// words.push("before the job has started")?;
/// words.push_at("with a timestamp", Timestamp::from_secs(1))?;
/// drop(words); // the end of the source
/// # Ok::<(), thalweg::connectors::InletError>(())
/// ```
#[must_use]
pub fn inlet<T: Record + ?Sized>(capacity: usize) -> (Inlet<T>, InletSource<T>) {
    let (producer, consumer) = record_ring(capacity);
    let bell = Arc::new(OnceLock::new());
    let inlet = Inlet {
        ring: producer,
        scratch: Scratch::new(),
        bell: Bell {
            waker: Arc::clone(&bell),
            known: false,
        },
    };
    let source = InletSource {
        ring: Arc::new(Mutex::new(Some(consumer))),
        waker: bell,
    };
    (inlet, source)
}

/// Why an inlet rejects a record or cannot feed a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InletError {
    /// There is no room because the job is behind: backpressure. Push the record again later, or drop it.
    #[error("the inlet is full: push the record again when the job has caught up")]
    Full,
    /// The record is too large ever to fit.
    #[error(
        "a record of {size} bytes does not fit an inlet whose records have {limit} bytes at most: \
         make it with a capacity of {} bytes or more",
        4 * (size + 32)
    )]
    TooLarge {
        /// The record's encoded size in bytes.
        size: usize,
        /// The largest size that the inlet accepts.
        limit: usize,
    },
    /// The job has ended, or was dropped without having been started.
    #[error("nothing reads this inlet any more: its job has ended")]
    Closed,
    /// The source was already started once.
    #[error(
        "an inlet feeds a job once, because what was read from it cannot be read again: \
         make a new inlet, and run the job without restarts"
    )]
    AlreadyStarted,
    /// The job takes checkpoints.
    #[error(
        "an inlet cannot be part of a checkpoint, because what was pushed cannot be read again: feed the \
         job through a `durable_inlet`, or run it without checkpoints"
    )]
    NoPosition,
}

impl From<RingError> for InletError {
    fn from(error: RingError) -> Self {
        match error {
            RingError::Full { .. } => InletError::Full,
            RingError::TooLarge { size, limit } => InletError::TooLarge { size, limit },
            RingError::Closed => InletError::Closed,
        }
    }
}

/// The waker of the worker that reads an inlet, once it does; `Some(None)` if that worker never sleeps.
type SharedWaker = Arc<OnceLock<Option<Waker>>>;

/// Wakes the reader's worker once the reader has opened.
///
/// Both sides write first and read second with a fence in between, as in [`Parker`](crate::ring::Parker): either the
/// reader's first look at the ring sees what was pushed, or the pusher sees the reader's waker.
#[derive(Debug)]
struct Bell {
    waker: SharedWaker,
    /// The ring has been given the waker and uses it directly.
    known: bool,
}

impl Bell {
    #[cold]
    fn look(&self) -> Option<&Option<Waker>> {
        fence(Ordering::SeqCst);
        self.waker.get()
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        if let Some(Some(waker)) = self.look() {
            waker.wake();
        }
    }
}

/// The program's end of an inlet: accepts records from one thread. Dropping it ends the source.
#[derive(Debug)]
pub struct Inlet<T: Record + ?Sized> {
    /// Declared before the bell, so that the ring is closed when the bell rings for the last time.
    ring: RecordProducer<Far<T>>,
    scratch: Scratch,
    bell: Bell,
}

impl<T: Record + ?Sized> Inlet<T> {
    /// Passes a record without a timestamp to the job, which can read it immediately. Never blocks.
    ///
    /// # Errors
    /// [`InletError`]; the record was not accepted. That the job has ended is noticed only once the inlet is full.
    #[inline]
    pub fn push(&mut self, record: &T) -> Result<(), InletError> {
        self.push_at(record, Timestamp::MIN)
    }

    /// Passes a record with a timestamp to the job, which can read it immediately. Never blocks.
    ///
    /// # Errors
    /// See [`push`](Inlet::push).
    #[inline]
    pub fn push_at(&mut self, record: &T, at: Timestamp) -> Result<(), InletError> {
        self.write(record, at)?;
        self.publish();
        Ok(())
    }

    /// Starts a batch: its records become visible together when it is dropped.
    pub fn batch(&mut self) -> InletBatch<'_, T> {
        InletBatch { inlet: self }
    }

    /// Whether the job has ended, in which case pushed records will not be read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ring.is_closed()
    }

    #[inline]
    fn write(&mut self, record: &T, at: Timestamp) -> Result<(), InletError> {
        let far = T::Form::far(record, &mut self.scratch);
        Ok(self.ring.push(far, at)?)
    }

    #[inline]
    fn publish(&mut self) {
        self.ring.publish();
        if !self.bell.known {
            self.find_waker();
        }
    }

    #[cold]
    fn find_waker(&mut self) {
        if let Some(waker) = self.bell.look() {
            let waker = waker.clone();
            if let Some(waker) = &waker {
                waker.wake();
            }
            self.ring.set_consumer_waker(waker);
            self.bell.known = true;
        }
    }
}

/// A batch of records that become visible together, which saves a fence per record.
#[derive(Debug)]
pub struct InletBatch<'a, T: Record + ?Sized> {
    inlet: &'a mut Inlet<T>,
}

impl<T: Record + ?Sized> InletBatch<'_, T> {
    /// Adds a record without a timestamp.
    ///
    /// # Errors
    /// See [`Inlet::push`]; records added earlier remain in the batch.
    #[inline]
    pub fn push(&mut self, record: &T) -> Result<(), InletError> {
        self.push_at(record, Timestamp::MIN)
    }

    /// Adds a record with a timestamp.
    ///
    /// # Errors
    /// See [`Inlet::push`]; records added earlier remain in the batch.
    #[inline]
    pub fn push_at(&mut self, record: &T, at: Timestamp) -> Result<(), InletError> {
        self.inlet.write(record, at)
    }

    /// Makes the records visible: an explicit drop.
    pub fn publish(self) {}
}

impl<T: Record + ?Sized> Drop for InletBatch<'_, T> {
    fn drop(&mut self) {
        self.inlet.publish();
    }
}

/// Shared by the source and its reader: the consuming end of the ring, until a reader takes it.
type SharedConsumer<T> = Arc<Mutex<Option<RecordConsumer<Far<T>>>>>;

/// The job's end of an inlet: a source of parallelism 1 that ends when the [`Inlet`] is dropped.
///
/// It can be started only once, because records that were read cannot be read again.
#[derive(Debug)]
pub struct InletSource<T: Record + ?Sized> {
    ring: SharedConsumer<T>,
    waker: SharedWaker,
}

fn lock<V>(ring: &Mutex<Option<V>>) -> MutexGuard<'_, Option<V>> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Record + ?Sized> Source for InletSource<T> {
    type Out = Far<T>;
    type Reader = InletReader<T>;

    fn max_parallelism(&self) -> u32 {
        1
    }

    fn is_bounded(&self) -> bool {
        false
    }

    fn check_positions(&self) -> Result<(), BoxError> {
        Err(InletError::NoPosition.into())
    }

    fn start(&self) -> Result<(), BoxError> {
        if lock(&self.ring).is_none() {
            return Err(InletError::AlreadyStarted.into());
        }
        Ok(())
    }

    fn reader(&self, _index: u32, _parallelism: u32) -> InletReader<T> {
        InletReader {
            shared: Arc::clone(&self.ring),
            waker: Arc::clone(&self.waker),
            ring: None,
            read: 0,
        }
    }
}

/// Reads an inlet.
#[derive(Debug)]
pub struct InletReader<T: Record + ?Sized> {
    shared: SharedConsumer<T>,
    waker: SharedWaker,
    ring: Option<RecordConsumer<Far<T>>>,
    /// The number of records read: the position, although the reader cannot seek back to it.
    read: u64,
}

impl<T: Record + ?Sized> SourceReader for InletReader<T> {
    type Out = Far<T>;

    fn open(&mut self, cx: &OpenContext) -> Result<(), BoxError> {
        self.ring = Some(
            lock(&self.shared)
                .take()
                .ok_or(InletError::AlreadyStarted)?,
        );
        let fresh = self.waker.set(cx.waker.clone());
        debug_assert!(fresh.is_ok(), "only who has the ring sets the waker");
        fence(Ordering::SeqCst);
        Ok(())
    }

    fn poll<D: Push<Far<T>>>(
        &mut self,
        out: &mut Collector<'_, D>,
    ) -> Result<SourceStatus, BoxError> {
        let Some(ring) = &mut self.ring else {
            return Ok(SourceStatus::Finished);
        };
        while out.ready() {
            let count = ring.read(|record, at| {
                out.emit_at(record, at);
                out.ready()
            });
            self.read += count as u64;
            if count == 0 {
                return Ok(match ring.is_closed() {
                    true => SourceStatus::Finished,
                    false => SourceStatus::Idle(None),
                });
            }
        }
        Ok(SourceStatus::More)
    }

    fn position(
        &mut self,
        _checkpoint: u64,
        _positions: &mut Vec<Vec<u8>>,
    ) -> Result<(), BoxError> {
        Err(InletError::NoPosition.into())
    }

    fn seek(&mut self, _positions: &[Vec<u8>], _readers: u32) -> Result<(), BoxError> {
        Err(InletError::NoPosition.into())
    }

    fn has_input(&mut self) -> bool {
        self.ring
            .as_mut()
            .is_some_and(|ring| !ring.is_empty() || ring.is_closed())
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.ring = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::test_chain::Chain;
    use crate::ring::Parker;

    #[test]
    fn what_was_pushed_before_the_start_is_read_and_dropping_the_inlet_ends_the_source() {
        let (mut words, source) = inlet::<String>(1 << 12);
        words.push(&"early".to_owned()).unwrap();
        let mut chain = Chain::new(str::to_owned);
        let mut reader = source.reader(0, 1);
        source.start().unwrap();
        let status = chain.try_drain(&mut reader).unwrap();
        assert_eq!(status, SourceStatus::Idle(None));
        words.push_at(&"late".to_owned(), Timestamp(5)).unwrap();
        assert_eq!(chain.poll(&mut reader), SourceStatus::Idle(None));
        let expected = [("early", Timestamp::MIN), ("late", Timestamp(5))];
        assert_eq!(
            chain.take(),
            expected.map(|(word, at)| (word.to_owned(), at))
        );
        words.push(&"last".to_owned()).unwrap();
        drop(words);
        assert_eq!(chain.poll(&mut reader), SourceStatus::Finished);
        assert_eq!(chain.values(), ["last"]);
    }

    #[test]
    fn batch_is_visible_when_it_is_dropped() {
        let (mut numbers, source) = inlet::<u64>(1 << 12);
        let mut chain = Chain::new(u64::clone);
        let mut reader = source.reader(0, 1);
        chain.try_drain(&mut reader).unwrap();
        let mut batch = numbers.batch();
        batch.push(&1).unwrap();
        batch.push_at(&2, Timestamp(7)).unwrap();
        chain.poll(&mut reader);
        assert!(chain.values().is_empty());
        batch.publish();
        chain.poll(&mut reader);
        assert_eq!(chain.values(), [1, 2]);
    }

    #[test]
    fn full_inlet_is_back_pressure_and_a_large_record_an_error() {
        let (mut words, source) = inlet::<str>(256);
        let error = words.push(&"x".repeat(100)).unwrap_err();
        assert_eq!(
            error,
            InletError::TooLarge {
                size: 100,
                limit: 48
            }
        );
        assert!(
            error
                .to_string()
                .contains("a capacity of 528 bytes or more")
        );
        assert!(inlet::<str>(528).0.push(&"x".repeat(100)).is_ok());

        let mut pushed = 0;
        while words.push("word").is_ok() {
            pushed += 1;
        }
        assert_eq!(words.push("word").unwrap_err(), InletError::Full);
        let mut chain = Chain::new(str::len);
        let mut reader = source.reader(0, 1);
        chain.room = 3;
        reader.open(&chain.cx()).unwrap();
        assert_eq!(chain.poll(&mut reader), SourceStatus::More);
        assert_eq!(chain.values().len(), 3);
        words.push("word").unwrap();
        chain.room = usize::MAX;
        chain.poll(&mut reader);
        assert_eq!(chain.values().len(), pushed + 1);

        reader.close().unwrap();
        assert!(words.is_closed());
        while words.push("word").is_ok() {}
        assert_eq!(words.push("word").unwrap_err(), InletError::Closed);
    }

    #[test]
    fn inlet_says_what_to_do_when_a_checkpoint_asks_for_its_position() {
        let (_inlet, source) = inlet::<u64>(1 << 10);
        let error = source
            .reader(0, 1)
            .position(1, &mut Vec::new())
            .unwrap_err();
        assert!(error.to_string().contains("`durable_inlet`"));
    }

    #[test]
    fn second_start_is_an_error() {
        let (_inlet, source) = inlet::<u64>(1 << 10);
        source.start().unwrap();
        let chain = Chain::new(u64::clone);
        source.reader(0, 1).open(&chain.cx()).unwrap();
        let error = source.start().unwrap_err().to_string();
        assert_eq!(error, InletError::AlreadyStarted.to_string());
        let error = source.reader(0, 1).open(&chain.cx()).unwrap_err();
        assert_eq!(error.to_string(), InletError::AlreadyStarted.to_string());
    }

    #[test]
    fn sleeping_reader_is_woken_by_every_push_and_by_the_end() {
        let count = if cfg!(miri) { 30 } else { 20_000_u64 };
        let (mut numbers, source) = inlet::<u64>(1 << 10);
        let reading = std::thread::spawn(move || {
            let mut parker = Parker::new();
            let mut chain = Chain::new(u64::clone);
            chain.waker = Some(parker.waker());
            let mut reader = source.reader(0, 1);
            reader.open(&chain.cx()).unwrap();
            loop {
                let prepared = parker.prepare();
                match chain.poll(&mut reader) {
                    SourceStatus::Finished => return chain.values(),
                    SourceStatus::Idle(_) => drop(prepared.park(None)),
                    SourceStatus::More => prepared.cancel(),
                }
            }
        });
        for number in 0..count {
            while let Err(error) = numbers.push(&number) {
                assert_eq!(error, InletError::Full);
                std::thread::yield_now();
            }
        }
        drop(numbers);
        assert_eq!(reading.join().unwrap(), (0..count).collect::<Vec<_>>());
    }
}
