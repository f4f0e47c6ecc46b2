//! The head of a chain that begins at a source.

use std::sync::Arc;

use crate::metrics::Counter;
use crate::operator::{
    Collector, OpenContext, Operator, OperatorError, Outputs, Push, Signal, SourceReader,
    SourceStatus, earlier,
};
use crate::time::Timestamp;

use super::head::{Head, Pending, Progress, Turn, gets_on, start_turn};

/// Polls a source reader into the chain behind it.
pub(crate) struct SourceHead<R, D> {
    name: Arc<str>,
    reader: R,
    next: Outputs<D>,
    pending: Pending,
    status: SourceStatus,
    read: u64,
    records_in: Counter,
}

impl<R, D> SourceHead<R, D> {
    pub(crate) fn new(name: Arc<str>, reader: R, next: Outputs<D>) -> Self {
        SourceHead {
            name,
            reader,
            next,
            pending: Pending::default(),
            status: SourceStatus::More,
            read: 0,
            records_in: Counter::default(),
        }
    }
}

impl<R: SourceReader, D: Push<R::Out>> SourceHead<R, D> {
    fn read(&mut self, turn: &mut Turn) -> Result<Progress, OperatorError> {
        let mut collector = Collector::new(&mut self.next, &mut turn.budget, turn.now);
        let polled = self.reader.poll(&mut collector);
        let emitted = collector.emitted();
        self.status = polled.map_err(|cause| OperatorError::function(&self.name, cause))?;
        self.read += emitted;
        if self.status == SourceStatus::Finished {
            // Flink's order at the end of input: the last watermark, then the end.
            self.pending.add(Signal::Watermark(Timestamp::MAX));
            self.pending.add(Signal::End);
            return Ok(Progress::Worked);
        }
        let worked = emitted > 0 || self.status == SourceStatus::More;
        Ok(if worked {
            Progress::Worked
        } else {
            Progress::Idle
        })
    }
}

impl<R: SourceReader, D: Push<R::Out>> Head for SourceHead<R, D> {
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.next.open(cx)?;
        self.records_in = cx.operator_metrics(&self.name).counter("source_records");
        self.reader
            .open(cx)
            .map_err(|cause| OperatorError::function(&self.name, cause))
    }

    fn poll(&mut self, turn: &mut Turn) -> Result<Progress, OperatorError> {
        let progress = match start_turn::<R::Out, _>(&mut self.next, &mut self.pending, turn) {
            Some(progress) => progress,
            None if self.status == SourceStatus::Finished => Progress::Idle,
            None => self.read(turn)?,
        };
        self.pending.deliver::<R::Out, _>(&mut self.next);
        self.records_in.set(self.read);
        self.next.flush();
        Ok(progress)
    }

    fn has_work(&mut self) -> bool {
        if !self.next.ready() {
            return gets_on::<R::Out, _>(&mut self.next);
        }
        if self.is_done() {
            return false;
        }
        let waits = matches!(self.status, SourceStatus::Idle(_)) && self.pending.is_empty();
        !waits || self.reader.has_input()
    }

    fn deadline(&self) -> Option<Timestamp> {
        match self.status {
            SourceStatus::Idle(until) => earlier(until, self.next.deadline()),
            _ => self.next.deadline(),
        }
    }

    fn event_time(&self) -> Option<Timestamp> {
        self.next.event_time()
    }

    fn is_done(&self) -> bool {
        self.pending.ended() && self.next.ready()
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        let chain = self.next.close();
        let reader = self.reader.close();
        chain.and(reader.map_err(|cause| OperatorError::function(&self.name, cause)))
    }
}
