//! The program's end.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

use crate::record::{Far, Form, Record, Scratch, Wire};
use crate::ring::Waker;
use crate::time::Timestamp;

use super::frame::{FRAME_MAX, FrameBuilder, RECORD_HEADER_SIZE};
use super::log::Appender;
use super::{DurableInletError, DurableInletSource};

/// A segment is ended when it has about so many bytes.
const SEGMENT_BYTES: u64 = 64 << 20;

/// What both ends know.
#[derive(Default, Debug)]
pub(super) struct Shared {
    /// Every record below this number is on the disk.
    durable: AtomicU64,
    /// Nothing more will be pushed.
    closed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Shared {
    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Has the reader's worker woken from now on.
    pub(super) fn set_waker(&self, waker: Option<Waker>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = waker;
        fence(Ordering::SeqCst);
    }

    fn wake(&self) {
        fence(Ordering::SeqCst);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake();
        }
    }
}

/// Opens the log in a directory, or begins one, and makes an inlet that appends to it and a source that reads
/// it. What an earlier run accepted and no checkpoint has covered is read again.
///
/// Unlike an [`inlet`](crate::connectors::inlet), the source can be started again, by a job that goes on from
/// a checkpoint or from the beginning of the log: records are processed exactly once, and at least once by a
/// job without checkpoints. The log is not bounded by memory: what the job is behind is on the disk. When a
/// checkpoint is complete, segments that it covers are removed; so the job can go on from the last complete
/// checkpoint, not from any older one.
///
/// A frame that a crash tore is cut off: it was not acknowledged.
///
/// ```
/// use thalweg::connectors::durable_inlet;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("orders");
/// let (mut orders, source) = durable_inlet::<str>(&path)?;
/// orders.push("three apples")?;
/// orders.push("a pear")?;
/// let accepted = orders.sync()?; // now they may be acknowledged
/// assert_eq!(accepted, 2);
/// # drop(source);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Where the log cannot be opened, is damaged in its middle, or is open already.
pub fn durable_inlet<T: Record + ?Sized>(
    directory: impl AsRef<Path>,
) -> Result<(DurableInlet<T>, DurableInletSource<T>), DurableInletError> {
    open(directory.as_ref(), SEGMENT_BYTES)
}

/// As [`durable_inlet`], with segments of about so many bytes.
pub(super) fn open<T: Record + ?Sized>(
    directory: &Path,
    segment_bytes: u64,
) -> Result<(DurableInlet<T>, DurableInletSource<T>), DurableInletError> {
    let log = Appender::open(directory, T::VERSION, segment_bytes)?;
    let shared = Arc::new(Shared::default());
    shared.durable.store(log.next, Ordering::SeqCst);
    let source = DurableInletSource::new(directory, Arc::clone(&shared));
    let inlet = DurableInlet {
        log,
        frame: FrameBuilder::new(),
        shared,
        scratch: Scratch::new(),
        record: std::marker::PhantomData,
    };
    Ok((inlet, source))
}

/// The program's end of a log: takes records from one thread. Dropping it ends the source, and forgets what
/// was not synced.
#[derive(Debug)]
pub struct DurableInlet<T: ?Sized> {
    log: Appender,
    /// What is pushed and not synced.
    frame: FrameBuilder,
    shared: Arc<Shared>,
    scratch: Scratch,
    record: std::marker::PhantomData<fn(&T)>,
}

impl<T: Record + ?Sized> DurableInlet<T> {
    /// Takes a record without a timestamp. It is accepted, and the job sees it, when a
    /// [`sync`](DurableInlet::sync) has returned. Gives the record's number in the log.
    ///
    /// # Errors
    /// As for [`push_at`](DurableInlet::push_at).
    pub fn push(&mut self, record: &T) -> Result<u64, DurableInletError> {
        self.push_at(record, Timestamp::MIN)
    }

    /// Takes a record with a timestamp. Syncs those before where there are many.
    ///
    /// # Errors
    /// Where the record is too large, or those before cannot be synced: it was not taken.
    pub fn push_at(&mut self, record: &T, at: Timestamp) -> Result<u64, DurableInletError> {
        let far: &Far<T> = T::Form::far(record, &mut self.scratch);
        let payload = far.as_bytes();
        let (size, limit) = (payload.len(), FRAME_MAX - RECORD_HEADER_SIZE);
        if size > limit {
            return Err(DurableInletError::TooLarge { size, limit });
        }
        if !self.frame.has_room(size) {
            sync(&mut self.log, &mut self.frame, &self.shared)?;
        }
        self.frame.push(payload, at);
        Ok(self.log.next + self.frame.count() - 1)
    }

    /// Waits until everything that was pushed is on the disk, and shows it to the job: a group, in one write.
    /// Gives how many records the log has accepted since it was begun, the next one's number.
    ///
    /// # Errors
    /// Where the disk refuses: whether the group will be read is not known before the inlet is made again.
    pub fn sync(&mut self) -> Result<u64, DurableInletError> {
        sync(&mut self.log, &mut self.frame, &self.shared)?;
        Ok(self.log.next)
    }
}

fn sync(
    log: &mut Appender,
    frame: &mut FrameBuilder,
    shared: &Shared,
) -> Result<(), DurableInletError> {
    let count = frame.count();
    if count > 0 {
        log.append(frame.finish(log.next), count)?;
        frame.clear();
        shared.durable.store(log.next, Ordering::SeqCst);
        shared.wake();
    }
    Ok(())
}

impl<T: ?Sized> Drop for DurableInlet<T> {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.wake();
    }
}
