//! The head of a chain that starts at a source.

use std::sync::Arc;

use crate::checkpoint::{CheckpointError, SnapshotOutput, StateRef, ValueSnapshot};
use crate::metrics::Counter;
use crate::operator::{
    BoxError, Checkpointing, Collector, OpenContext, Operator, OperatorError, Outputs, Push,
    Signal, SourcePace, SourceReader, SourceStatus, earlier,
};
use crate::state::StateKind;
use crate::time::Timestamp;

use super::head::{Head, Notice, Pending, Progress, Turn, gets_on, start_turn};

/// Polls a source reader into the chain downstream.
pub(crate) struct SourceHead<R, D> {
    input: SourceInput<R>,
    next: Outputs<D>,
}

/// A reader and its state, independent of the chain downstream.
struct SourceInput<R> {
    name: Arc<str>,
    reader: R,
    pending: Pending,
    status: SourceStatus,
    uid: Arc<str>,
    /// The checkpoint state that holds the reader's position, if there are checkpoints.
    position: Option<ValueSnapshot>,
    read: u64,
    records_in: Counter,
}

/// The checkpoint state that holds the positions of a source's readers.
fn position_state(uid: &Arc<str>) -> ValueSnapshot {
    ValueSnapshot::of::<Vec<u8>>(StateRef::new(uid, "positions"), StateKind::UnionList)
}

/// The positions of all readers of a source in the restored checkpoint, and how many readers there were; `None`
/// if the job is not restored from one, or if it has none of this source.
pub(crate) fn restored_positions(
    checkpointing: &Checkpointing,
    uid: &Arc<str>,
) -> Result<Option<(Vec<Vec<u8>>, u32)>, CheckpointError> {
    let Some(restored) = &checkpointing.restored else {
        return Ok(None);
    };
    let state = position_state(uid);
    let values = restored.values::<Vec<u8>>(state.state(), state.schema())?;
    Ok(values.map(|values| {
        let readers = values.len() as u32;
        (values.into_iter().flatten().collect(), readers)
    }))
}

impl<R, D> SourceHead<R, D> {
    pub(crate) fn new(name: Arc<str>, uid: Arc<str>, reader: R, next: Outputs<D>) -> Self {
        let input = SourceInput {
            uid,
            position: None,
            name,
            reader,
            pending: Pending::default(),
            status: SourceStatus::More,
            read: 0,
            records_in: Counter::default(),
        };
        SourceHead { input, next }
    }
}

impl<R: SourceReader, D: Push<R::Out>> SourceHead<R, D> {
    fn read(&mut self, turn: &mut Turn) -> Result<Progress, OperatorError> {
        let mut collector = Collector::new(&mut self.next, &mut turn.budget, turn.now);
        let polled = self.input.reader.poll(&mut collector);
        let emitted = collector.emitted();
        self.input.pending.extend(collector.into_later());
        self.input.take_status(polled, emitted)
    }
}

impl<R> SourceInput<R> {
    /// Ends the input, in Flink's order: the last watermark, then the end.
    fn end(&mut self) {
        self.status = SourceStatus::Finished;
        self.pending.add(Signal::Watermark(Timestamp::MAX));
        self.pending.add(Signal::End);
    }
}

impl<R: SourceReader> SourceInput<R> {
    /// Prepares the reader, which resumes at its position in the checkpoint that the job is restored from.
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.records_in = cx.operator_metrics(&self.name).counter("source_records");
        let position = position_state(&self.uid);
        let restored = restored_positions(&cx.checkpointing, &self.uid)
            .map_err(|cause| OperatorError::restore(&self.name, cause))?;
        self.position = cx.checkpointing.enabled.then_some(position);
        if let Some((positions, readers)) = restored {
            self.reader
                .seek(&positions, readers)
                .map_err(|cause| OperatorError::restore(&self.name, cause))?;
        }
        self.reader
            .open(cx)
            .map_err(|cause| OperatorError::function(&self.name, cause))
    }

    /// Notes the status that the reader returned, and how many records it emitted.
    fn take_status(
        &mut self,
        polled: Result<SourceStatus, BoxError>,
        emitted: u64,
    ) -> Result<Progress, OperatorError> {
        self.status = polled.map_err(|cause| OperatorError::function(&self.name, cause))?;
        self.read += emitted;
        if self.status == SourceStatus::Finished {
            self.end();
            return Ok(Progress::Worked);
        }
        let worked = emitted > 0 || self.status == SourceStatus::More;
        Ok(if worked {
            Progress::Worked
        } else {
            Progress::Idle
        })
    }

    /// Whether the reader is not to be polled now.
    fn reads_nothing(&self) -> bool {
        self.status == SourceStatus::Finished || self.pending.is_suspended()
    }

    /// Whether the reader, which has not finished, has something to read now.
    fn has_some(&mut self) -> bool {
        let waits = matches!(self.status, SourceStatus::Idle(_));
        !self.pending.is_suspended() && (!waits || self.reader.has_input())
    }

    /// Handles a notice about a checkpoint.
    fn notice(&mut self, notice: Notice) -> Result<(), BoxError> {
        match notice {
            Notice::Triggered(barrier) => {
                self.capture(barrier.checkpoint)?;
                self.pending.add(Signal::Barrier(barrier));
            }
            Notice::Overtake(barrier) => {
                self.pending.overtake(barrier);
            }
            Notice::Drain if self.status != SourceStatus::Finished => self.end(),
            Notice::Drain => {}
            Notice::Complete(checkpoint) => {
                self.reader.commit(checkpoint);
                self.pending.add(Signal::CheckpointComplete(checkpoint));
            }
            Notice::Aborted(checkpoint) => {
                self.pending.abort(checkpoint);
            }
        }
        Ok(())
    }

    /// Writes the reader's position; returns whether it is written completely.
    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let position = self.position.as_mut();
        position.is_none_or(|position| position.drain(out))
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        let closed = self.reader.close();
        closed.map_err(|cause| OperatorError::function(&self.name, cause))
    }

    /// Captures the reader's position; it is not polled again before the barrier is delivered.
    fn capture(&mut self, checkpoint: u64) -> Result<(), BoxError> {
        let Some(position) = &mut self.position else {
            return Ok(());
        };
        let mut positions = Vec::new();
        let told = self.reader.position(checkpoint, &mut positions);
        told.map_err(|cause| format!("source `{}`: {cause}", self.name))?;
        position.capture(checkpoint, &positions);
        Ok(())
    }
}

impl<R: SourceReader, D: Push<R::Out>> Head for SourceHead<R, D> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.next.open(cx)?;
        self.input.open(cx)
    }

    fn poll(&mut self, turn: &mut Turn) -> Result<Progress, OperatorError> {
        let progress = match start_turn::<R::Out, _>(&mut self.next, &mut self.input.pending, turn)
        {
            Some(progress) => progress,
            None if self.input.reads_nothing() => Progress::Idle,
            None if self.next.source_pace() == SourcePace::Held => Progress::Blocked,
            None => self.read(turn)?,
        };
        self.input.pending.deliver::<R::Out, _>(&mut self.next);
        self.input.records_in.set(self.input.read);
        self.next.flush();
        Ok(progress)
    }

    fn has_work(&mut self) -> bool {
        if !self.next.ready() {
            return gets_on::<R::Out, _>(&mut self.next)
                || self.input.pending.overtakes::<R::Out, _>(&self.next);
        }
        if !self.input.pending.is_empty() {
            return true;
        }
        let is_held = self.next.source_pace() == SourcePace::Held;
        !self.is_done() && !is_held && self.input.has_some()
    }

    fn deadline(&self) -> Option<Timestamp> {
        match self.input.status {
            _ if self.input.pending.is_suspended() => None,
            SourceStatus::Idle(until) => earlier(until, self.next.deadline()),
            _ => self.next.deadline(),
        }
    }

    fn event_time(&self) -> Option<Timestamp> {
        self.next.event_time()
    }

    fn is_done(&self) -> bool {
        self.input.pending.ended() && self.is_settled()
    }

    fn is_settled(&self) -> bool {
        self.input.pending.is_empty() && self.next.ready()
    }

    fn notice(&mut self, notice: Notice) -> Result<(), BoxError> {
        self.input.notice(notice)
    }

    fn barrier(&self) -> u64 {
        self.input.pending.barrier()
    }

    fn barrier_queued(&self) -> u64 {
        self.input.pending.barrier_queued()
    }

    fn may_hold_barrier(&self) -> bool {
        !self.next.takes_barrier()
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let own = self.input.snapshot(out);
        self.next.snapshot(out) && own
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        let chain = self.next.close();
        chain.and(self.input.close())
    }
}
