//! `Group`: group commit, by which threads waiting for the disk share one sync.
//!
//! ```text
//! thread 1   push sync ═══ writes and syncs {1} ═══╗
//! thread 2        push sync ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄╠═══ writes and syncs {2, 3} ═══╗
//! thread 3          push sync ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄╨┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄╨┄ returns
//! ```
//! A thread that finds the disk free writes everything that any thread has pushed so far, as one frame. What is
//! pushed meanwhile goes into the next frame.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::time::Timestamp;

use super::DurableInletError;
use super::frame::FrameBuilder;
use super::inlet::Shared;
use super::log::Appender;

/// Records that the inlets of one log have pushed but not synced.
#[derive(Debug)]
struct Waiting {
    frame: FrameBuilder,
    /// The buffer of the previous frame, for reuse.
    spare: FrameBuilder,
    /// The number of the frame's first record.
    first: u64,
    /// The log, unless a thread is writing to it.
    log: Option<Appender>,
    failed: bool,
}

/// The state shared by all inlets of one log.
#[derive(Debug)]
pub(super) struct Group {
    waiting: Mutex<Waiting>,
    /// Signalled when a thread has finished writing to the log.
    returned: Condvar,
    shared: Arc<Shared>,
}

impl Group {
    pub(super) fn new(log: Appender, shared: Arc<Shared>) -> Self {
        shared.durable.store(log.next, Ordering::SeqCst);
        Group {
            waiting: Mutex::new(Waiting {
                frame: FrameBuilder::new(),
                spare: FrameBuilder::new(),
                first: log.next,
                log: Some(log),
                failed: false,
            }),
            returned: Condvar::new(),
            shared,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record and returns its number. Waits for the disk while the frame is full.
    pub(super) fn push(&self, payload: &[u8], at: Timestamp) -> Result<u64, DurableInletError> {
        let mut waiting = self.waiting();
        while !waiting.failed && !waiting.frame.has_room(payload.len()) {
            waiting = self.sync_some(waiting)?;
        }
        if waiting.failed {
            return Err(DurableInletError::Failed);
        }
        waiting.frame.push(payload, at);
        Ok(waiting.first + waiting.frame.count() - 1)
    }

    /// Waits until everything pushed before this call is on the disk.
    pub(super) fn sync(&self) -> Result<u64, DurableInletError> {
        let mut waiting = self.waiting();
        let wanted = waiting.first + waiting.frame.count();
        loop {
            let durable = self.shared.durable();
            if durable >= wanted {
                return Ok(durable);
            }
            waiting = self.sync_some(waiting)?;
        }
    }

    /// Writes and syncs all pending records, or waits for the thread that is writing.
    fn sync_some<'a>(
        &'a self,
        mut waiting: MutexGuard<'a, Waiting>,
    ) -> Result<MutexGuard<'a, Waiting>, DurableInletError> {
        if waiting.failed {
            return Err(DurableInletError::Failed);
        }
        let Some(mut log) = waiting.log.take() else {
            let returned = self.returned.wait(waiting);
            return Ok(returned.unwrap_or_else(PoisonError::into_inner));
        };
        let spare = std::mem::replace(&mut waiting.spare, FrameBuilder::new());
        let mut frame = std::mem::replace(&mut waiting.frame, spare);
        let count = frame.count();
        waiting.first += count;
        drop(waiting);
        let appended = log.append(frame.finish(log.next), count);
        frame.clear();
        if appended.is_ok() {
            self.shared.show(log.next);
        }
        let mut waiting = self.waiting();
        (waiting.log, waiting.spare) = (Some(log), frame);
        waiting.failed = appended.is_err();
        self.returned.notify_all();
        appended.map(|()| waiting)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.shared.close();
    }
}
