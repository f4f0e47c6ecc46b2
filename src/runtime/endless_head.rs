//! A head for tests: it always has a record, and its snapshot is never finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use crate::checkpoint::SnapshotOutput;
use crate::operator::{BoxError, OpenContext, OperatorError};
use crate::time::Timestamp;

use super::head::{Head, Notice, Progress, Turn};

/// Counts its turns, and how often its state is requested.
#[derive(Debug, Default)]
pub(crate) struct EndlessHead {
    pub(super) taken: Arc<AtomicU32>,
    pub(super) asked: Arc<AtomicU32>,
    pub(super) barrier: u64,
    pub(super) holds_barrier: bool,
    pub(super) walk: Option<Walk>,
}

/// Makes the head take as many records as it may, `apart` nanoseconds of event time apart.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(super) at: Arc<AtomicI64>,
    pub(super) apart: i64,
}

impl Head for EndlessHead {
    fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
        Ok(())
    }

    fn poll(&mut self, turn: &mut Turn) -> Result<Progress, OperatorError> {
        self.taken.fetch_add(1, Ordering::Relaxed);
        if let Some(Walk { at, apart }) = &self.walk {
            let records = turn.budget.left();
            turn.budget.spend(records);
            at.fetch_add(apart * i64::from(records), Ordering::Relaxed);
        }
        Ok(Progress::Worked)
    }

    fn has_work(&mut self) -> bool {
        true
    }

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    fn event_time(&self) -> Option<Timestamp> {
        let walk = self.walk.as_ref();
        walk.map(|walk| Timestamp(walk.at.load(Ordering::Relaxed)))
    }

    fn is_done(&self) -> bool {
        false
    }

    fn is_settled(&self) -> bool {
        true
    }

    fn notice(&mut self, notice: Notice) -> Result<(), BoxError> {
        if let Notice::Triggered(barrier) = notice {
            self.barrier = barrier.checkpoint;
        }
        Ok(())
    }

    fn barrier(&self) -> u64 {
        self.barrier
    }

    fn barrier_queued(&self) -> u64 {
        self.barrier
    }

    fn may_hold_barrier(&self) -> bool {
        self.holds_barrier
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        // As an operator that has more to write.
        let _ = out.budget();
        false
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}
