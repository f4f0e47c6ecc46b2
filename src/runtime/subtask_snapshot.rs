//! A subtask's part in checkpoints: from the barrier until all that it froze is handed over.

use std::collections::VecDeque;

use crate::checkpoint::{PieceSink, SnapshotOutput, StateReport};
use crate::operator::Barrier;

use super::head::Head;

/// How many entries a turn writes of a snapshot: some ten microseconds' worth.
const SLICE_ENTRIES: usize = 2048;

/// What a subtask tells the job master.
#[derive(Debug)]
pub(crate) enum Message {
    /// All of its state of a checkpoint is handed over.
    Acknowledged {
        checkpoint: u64,
        states: Vec<StateReport>,
    },
    /// It cannot take part in a checkpoint.
    Declined { checkpoint: u64, reason: String },
    /// All of its input has come to its end. What it keeps is part of the checkpoints to come.
    AtEnd,
}

/// The snapshots of one subtask, one at a time.
pub(crate) struct SubtaskSnapshot {
    /// The subtask's index.
    index: u32,
    sink: Box<dyn PieceSink + Send>,
    /// The checkpoint whose state is being written.
    current: Option<u64>,
    /// The last one whose state is written.
    written: u64,
    reports: Vec<StateReport>,
    /// Checkpoints that wait until the state of the current one is written.
    waiting: VecDeque<Barrier>,
    /// The last slice wrote nothing: the writer is behind, or a barrier has not come yet.
    stalled: bool,
}

impl SubtaskSnapshot {
    pub(crate) fn new(index: u32, sink: Box<dyn PieceSink + Send>) -> Self {
        SubtaskSnapshot {
            index,
            sink,
            current: None,
            written: 0,
            reports: Vec::new(),
            waiting: VecDeque::new(),
            stalled: false,
        }
    }

    /// The checkpoint whose state is being written.
    pub(crate) fn current(&self) -> Option<u64> {
        self.current
    }

    /// Whether records have to wait, because what they would make tables copy has nowhere to go.
    pub(crate) fn is_full(&self) -> bool {
        self.current.is_some() && self.sink.is_full()
    }

    /// Whether there is something to write now.
    pub(crate) fn has_work(&self) -> bool {
        self.current.is_some() && !self.stalled
    }

    /// A checkpoint was triggered: gives its barrier if it need not wait.
    pub(crate) fn trigger(&mut self, barrier: Barrier) -> Option<Barrier> {
        if self.current.is_none() {
            return Some(barrier);
        }
        self.waiting.push_back(barrier);
        None
    }

    /// A checkpoint that waits is not worth it any more.
    pub(crate) fn abort(&mut self, checkpoint: u64) {
        self.waiting
            .retain(|barrier| barrier.checkpoint != checkpoint);
    }

    /// Writes some of the state that the chains have frozen, if there is any; gives what all of it came to when
    /// it is written.
    pub(crate) fn write(&mut self, heads: &mut [Box<dyn Head>]) -> Option<Message> {
        let latest = heads.iter().map(|head| head.barrier()).max().unwrap_or(0);
        if self.current.is_none() && latest > self.written {
            self.current = Some(latest);
        }
        let checkpoint = self.current?;
        let reports = &mut self.reports;
        let mut out = SnapshotOutput::new(
            checkpoint,
            self.index,
            &mut *self.sink,
            reports,
            SLICE_ENTRIES,
        );
        let mut all = true;
        for head in heads {
            all &= head.snapshot(&mut out) && head.barrier() >= checkpoint;
        }
        self.stalled = !all && !out.has_written();
        all.then(|| {
            (self.current, self.written) = (None, checkpoint);
            Message::Acknowledged {
                checkpoint,
                states: std::mem::take(reports),
            }
        })
    }

    /// The next checkpoint that has waited.
    pub(crate) fn next(&mut self) -> Option<Barrier> {
        self.current
            .is_none()
            .then(|| self.waiting.pop_front())
            .flatten()
    }
}
