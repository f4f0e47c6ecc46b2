//! A sink that stalls a job.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thalweg::operator::{OpenContext, Prepared, Sink, SinkWriter};
use thalweg::prelude::*;

use super::ledger::{Entry, Ledger};

/// A ledger that accepts nothing before it is opened.
#[derive(Clone, Default)]
pub(super) struct Stalled {
    pub(super) ledger: Ledger,
    pub(super) open: Arc<AtomicBool>,
}

pub(super) struct StalledEntry {
    entry: Entry,
    open: Arc<AtomicBool>,
}

impl Sink<[u64; 2]> for Stalled {
    type Writer = StalledEntry;

    fn writer(&self, index: u32, parallelism: u32) -> StalledEntry {
        StalledEntry {
            entry: self.ledger.writer(index, parallelism),
            open: Arc::clone(&self.open),
        }
    }
}

impl SinkWriter<[u64; 2]> for StalledEntry {
    fn open(&mut self, cx: &OpenContext) -> Outcome {
        self.entry.open(cx)
    }

    fn write(&mut self, row: &[u64; 2], at: Timestamp) -> Outcome {
        self.entry.write(row, at)
    }

    fn ready(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    fn takes_barrier(&self) -> bool {
        true
    }

    fn prepare(&mut self, checkpoint: u64, prepared: &mut Prepared) -> Outcome {
        self.entry.prepare(checkpoint, prepared)
    }

    fn commit(&mut self, checkpoint: u64) -> Outcome {
        self.entry.commit(checkpoint)
    }

    fn recover(&mut self, transactions: Vec<Vec<u8>>) -> Outcome {
        self.entry.recover(transactions)
    }
}
