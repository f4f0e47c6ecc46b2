//! The program's end.

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

/// A segment is ended when it has about so many bytes.
const SEGMENT_BYTES: u64 = 64 << 20;

/// What both ends know.
#[derive(Default, Debug)]
pub(super) struct Shared {
    /// Every record below this number is on the disk.
    pub(super) durable: AtomicU64,
    /// Nothing more will be pushed.
    closed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Shared {
    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    /// Every record below this number may be read.
    pub(super) fn show(&self, durable: u64) {
        self.durable.store(durable, Ordering::SeqCst);
        self.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Nothing more will be pushed.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.wake();
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
/// What a crash tore at the end of the log is passed over: it was not acknowledged. Damage anywhere else is an error.
///
/// Several threads may push: each has a clone. Those that wait in [`sync`](DurableInlet::sync) at the same time wait
/// for one write and one sync of the disk together, so threads that acknowledge every record cost little more than one.
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
    let directory = directory.as_ref();
    let storage = RealStorage::create(directory);
    let storage = storage.map_err(DurableInletError::io(directory, "create it"))?;
    durable_inlet_in(Arc::new(storage.filled_by(Filling::Write)))
}

/// As [`durable_inlet`], with a log that is kept in files of any kind.
///
/// # Errors
/// As for [`durable_inlet`].
pub fn durable_inlet_in<T: Record + ?Sized>(
    storage: Arc<dyn Storage>,
) -> Result<(DurableInlet<T>, DurableInletSource<T>), DurableInletError> {
    open(storage, SEGMENT_BYTES)
}

/// As [`durable_inlet_in`], with segments of about so many bytes.
pub(super) fn open<T: Record + ?Sized>(
    storage: Arc<dyn Storage>,
    segment_bytes: u64,
) -> Result<(DurableInlet<T>, DurableInletSource<T>), DurableInletError> {
    let files = LogFiles::new(storage, T::VERSION);
    let log = Appender::open(files.clone(), segment_bytes)?;
    let shared = Arc::new(Shared::default());
    let source = DurableInletSource::new(files, Arc::clone(&shared));
    let inlet = DurableInlet {
        group: Arc::new(Group::new(log, shared)),
        scratch: Scratch::new(),
        record: std::marker::PhantomData,
    };
    Ok((inlet, source))
}

/// The program's end of a log. A clone is another one, for another thread. Dropping the last ends the source, and
/// forgets what was not synced.
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
        self.group.push(payload, at)
    }

    /// Waits until everything that was pushed, here and by clones, is on the disk and shown to the job. Gives how many
    /// records the log has accepted since it was begun: every one with a lower number.
    ///
    /// # Errors
    /// Where the disk refuses: whether what was waited for will be read is not known before the inlet is made again.
    pub fn sync(&mut self) -> Result<u64, DurableInletError> {
        self.group.sync()
    }
}
