//! The source of ticks: an open loop, written as any user would write a source.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thalweg::operator::{BoxError, Collector, Push, Source, SourceReader, SourceStatus};
use thalweg::time::Timestamp;

use super::schedule::{Due, Schedule};
use super::stopwatch::Stopwatch;
use super::tick::Tick;

/// How long a source that has emitted everything sleeps at most before it checks again whether it may end.
const LINGER_NANOS: i64 = 1_000_000;

/// Emits every tick as soon as it is due, and ends when allowed to: a job must not end before its processor time has
/// been read.
#[derive(Clone, Debug)]
pub(crate) struct TickSource {
    pub(crate) schedule: Schedule,
    pub(crate) stopwatch: Stopwatch,
    /// Whether the source may end.
    pub(crate) let_go: Arc<AtomicBool>,
}

impl Source for TickSource {
    type Out = Tick;
    type Reader = TickReader;

    fn max_parallelism(&self) -> u32 {
        1
    }

    fn reader(&self, _index: u32, _parallelism: u32) -> TickReader {
        TickReader {
            next: self.schedule.first(),
            count: self.schedule.count,
            stopwatch: self.stopwatch,
            let_go: Arc::clone(&self.let_go),
        }
    }
}

/// Emits the ticks of a [`TickSource`].
#[derive(Debug)]
pub(crate) struct TickReader {
    next: Due,
    count: u64,
    stopwatch: Stopwatch,
    let_go: Arc<AtomicBool>,
}

impl SourceReader for TickReader {
    type Out = Tick;

    /// Reads the clock once: ticks that become due while the batch is emitted are left for the next poll.
    fn poll<D: Push<Tick>>(
        &mut self,
        out: &mut Collector<'_, D>,
    ) -> Result<SourceStatus, BoxError> {
        let now = self.stopwatch.nanos();
        while self.next.nanos <= now && self.next.index < self.count {
            if !out.ready() {
                return Ok(SourceStatus::More);
            }
            out.emit(&Tick::new(self.next.index, self.next.nanos));
            self.next.advance();
        }
        let wait = if self.next.index < self.count {
            self.next.nanos - now
        } else if self.let_go.load(Ordering::Relaxed) {
            return Ok(SourceStatus::Finished);
        } else {
            LINGER_NANOS
        };
        Ok(SourceStatus::Idle(Some(Timestamp(out.now().0 + wait))))
    }
}
