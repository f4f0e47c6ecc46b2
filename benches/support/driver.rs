//! Chains driven without a job: in the turns of a source's head, on the benchmark's own thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use thalweg::checkpoint::SnapshotOutput;
use thalweg::operator::{
    Budget, Collector, OpenContext, Operator, OperatorError, Outputs, Push, Signal,
};
use thalweg::testing::open_context;
use thalweg::time::Timestamp;

/// The processing time of all turns.
const NOW: Timestamp = Timestamp(0);

/// Opens a chain as the only subtask of a job.
pub(crate) fn open<D: Operator>(chain: D) -> Outputs<D> {
    let mut chain = Outputs::new(chain);
    chain.open(&open_context()).expect("nothing is restored");
    chain
}

/// Drives a chain over all records, at most `batch` in a turn. A turn is that of the head of a source which emits a
/// slice: what is unfinished, the time, a run of records with whatever looking ahead the chain wants, the batch's end.
#[inline(never)]
pub(crate) fn drive<V, D: Push<V>>(chain: &mut Outputs<D>, mut records: &[V], batch: u32) {
    while !records.is_empty() {
        let mut budget = Budget::new(batch);
        if !chain.ready() {
            chain.resume(&mut budget);
        }
        if chain.ready() {
            chain.begin(NOW);
        }
        if chain.ready() {
            let emitted = Collector::new(chain, &mut budget, NOW).emit_slice(records);
            records = &records[emitted..];
        }
        chain.flush();
    }
}

/// Ends the input of a chain, with the last watermark, in turns like those of [`drive`].
pub(crate) fn end<D: Operator>(chain: &mut Outputs<D>, batch: u32) {
    for signal in [Signal::Watermark(Timestamp::MAX), Signal::End] {
        finish(chain, batch);
        chain.signal(signal);
    }
    finish(chain, batch);
    chain.flush();
}

fn finish<D: Operator>(chain: &mut Outputs<D>, batch: u32) {
    while !chain.ready() {
        chain.resume(&mut Budget::new(batch));
        chain.flush();
    }
}

/// The end of a chain: folds what arrives into a number, which others see at the end of each batch.
pub(crate) struct Digest<F> {
    total: u64,
    fold: F,
    seen: Arc<AtomicU64>,
}

impl<F> Digest<F> {
    /// Starts from zero; for each record, `fold` makes the next total of the last one.
    pub(crate) fn new(seen: &Arc<AtomicU64>, fold: F) -> Self {
        Digest {
            total: 0,
            fold,
            seen: Arc::clone(seen),
        }
    }
}

impl<F: Send> Operator for Digest<F> {
    fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
        Ok(())
    }

    fn begin(&mut self, _now: Timestamp) {}

    fn signal(&mut self, _signal: Signal) {}

    fn ready(&self) -> bool {
        true
    }

    fn resume(&mut self, _budget: &mut Budget) {}

    fn flush(&mut self) {
        self.seen.store(self.total, Relaxed);
    }

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    fn snapshot(&mut self, _out: &mut SnapshotOutput<'_>) -> bool {
        true
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}

impl<V, F: Fn(u64, &V) -> u64 + Send> Push<V> for Digest<F> {
    #[inline(always)]
    fn push(&mut self, record: &V, _at: Timestamp) {
        self.total = (self.fold)(self.total, record);
    }
}
