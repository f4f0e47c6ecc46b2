//! The program's end of a durable inlet.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

use crate::checkpoint::{Filling, RealStorage, Storage};
use crate::record::{Far, Form, Record, Scratch, Wire};
use crate::ring::Waker;
use crate::time::Timestamp;

use super::frame::{FRAME_MAX, RECORD_HEADER_SIZE};
use super::group::Group;
use super::log::{Appender, LogFiles};
use super::{DurableInletError, DurableInletSource};

/// The approximate size in bytes at which a new segment is started.
const SEGMENT_BYTES: u64 = 64 << 20;

/// State shared by the inlet and the source.
#[derive(Default, Debug)]
pub(super) struct Shared {
    /// All records with lower numbers are on the disk.
    pub(super) durable: AtomicU64,
    /// No more records will be pushed.
    closed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Shared {
    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    /// Makes all records with numbers below `durable` visible to the reader.
    pub(super) fn show(&self, durable: u64) {
        self.durable.store(durable, Ordering::SeqCst);
        self.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Signals that no more records will be pushed.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Sets the waker of the reader's worker.
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

/// Opens or creates the log in a directory, and returns an inlet that appends to it and a source that reads it.
/// Records that an earlier run accepted and no checkpoint covers are read again.
///
/// Unlike an [`inlet`](crate::connectors::inlet), the source can be restarted, from a checkpoint or from the
/// beginning of the log. Records are processed exactly once, or at least once by a job without checkpoints. The log
/// is not limited by memory: the job's backlog is on the disk. When a checkpoint completes, the segments that it
/// covers are removed, so the job can resume from the last complete checkpoint but not from an older one.
///
/// A frame torn by a crash at the end of the log is skipped: it was not acknowledged. Damage anywhere else is an
/// error.
///
/// Several threads may push, each through its own clone. Threads that wait in [`sync`](DurableInlet::sync) at the
/// same time share one write and one sync, so many threads that acknowledge every record cost little more than one.
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
/// If the log cannot be opened, is damaged before its end, or is already open.
pub fn durable_inlet<T: Record + ?Sized>(
    directory: impl AsRef<Path>,
) -> Result<(DurableInlet<T>, DurableInletSource<T>), DurableInletError> {
    let directory = directory.as_ref();
    let storage = RealStorage::create(directory);
    let storage = storage.map_err(DurableInletError::io(directory, "create it"))?;
    durable_inlet_in(Arc::new(storage.filled_by(Filling::Write)))
}

/// Like [`durable_inlet`], with the log in a [`Storage`].
///
/// # Errors
/// See [`durable_inlet`].
pub fn durable_inlet_in<T: Record + ?Sized>(
    storage: Arc<dyn Storage>,
) -> Result<(DurableInlet<T>, DurableInletSource<T>), DurableInletError> {
    open(storage, SEGMENT_BYTES)
}

/// Like [`durable_inlet_in`], with segments of about `segment_bytes` bytes.
pub(super) fn open<T: Record + ?Sized>(
    storage: Arc<dyn Storage>,
    segment_bytes: u64,
) -> Result<(DurableInlet<T>, DurableInletSource<T>), DurableInletError> {
    let log = Appender::open(LogFiles::new::<T>(storage), segment_bytes)?;
    let shared = Arc::new(Shared::default());
    let source = DurableInletSource::new(log.files.clone(), Arc::clone(&shared));
    let inlet = DurableInlet {
        group: Arc::new(Group::new(log, shared)),
        scratch: Scratch::new(),
        record: std::marker::PhantomData,
    };
    Ok((inlet, source))
}

/// The program's end of a log. Clone it to push from several threads. Dropping the last clone ends the source and
/// discards records that were not synced.
#[derive(Debug)]
pub struct DurableInlet<T: ?Sized> {
    group: Arc<Group>,
    scratch: Scratch,
    record: std::marker::PhantomData<fn(&T)>,
}

impl<T: ?Sized> Clone for DurableInlet<T> {
    fn clone(&self) -> Self {
        DurableInlet {
            group: Arc::clone(&self.group),
            scratch: Scratch::new(),
            record: std::marker::PhantomData,
        }
    }
}

impl<T: Record + ?Sized> DurableInlet<T> {
    /// Appends a record without a timestamp and returns its number in the log. The record is accepted, and visible to
    /// the job, once a [`sync`](DurableInlet::sync) has returned.
    ///
    /// # Errors
    /// See [`push_at`](DurableInlet::push_at).
    pub fn push(&mut self, record: &T) -> Result<u64, DurableInletError> {
        self.push_at(record, Timestamp::MIN)
    }

    /// Appends a record with a timestamp. Syncs earlier records first if too many are pending.
    ///
    /// # Errors
    /// If the record is too large or earlier records cannot be synced. The record was not appended.
    pub fn push_at(&mut self, record: &T, at: Timestamp) -> Result<u64, DurableInletError> {
        let far: &Far<T> = T::Form::far(record, &mut self.scratch);
        let payload = far.as_bytes();
        let (size, limit) = (payload.len(), FRAME_MAX - RECORD_HEADER_SIZE);
        if size > limit {
            return Err(DurableInletError::TooLarge { size, limit });
        }
        self.group.push(payload, at)
    }

    /// Waits until everything pushed so far, here and through clones, is on the disk and visible to the job. Returns
    /// the number of records accepted since the log was created: exactly those with lower numbers.
    ///
    /// # Errors
    /// If the disk fails. Whether the records waited for will be read is then unknown until the inlet is
    /// opened again.
    pub fn sync(&mut self) -> Result<u64, DurableInletError> {
        self.group.sync()
    }
}
