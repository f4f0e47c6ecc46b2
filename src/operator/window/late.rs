//! `LateRecords`: where late records go, and how many there were.

use crate::metrics::{Counter, MetricGroup};
use crate::operator::{OutputTag, SideOutputs};
use crate::time::Timestamp;

/// The side output for late records, if any, and the counts.
pub(super) struct LateRecords<V: ?Sized> {
    pub(super) tag: Option<OutputTag<V>>,
    late: u64,
    dropped: u64,
    late_records: Counter,
    late_records_dropped: Counter,
}

impl<V: ?Sized + 'static> LateRecords<V> {
    /// No late records yet; they will be dropped.
    pub(super) fn new() -> Self {
        LateRecords {
            tag: None,
            late: 0,
            dropped: 0,
            late_records: Counter::default(),
            late_records_dropped: Counter::default(),
        }
    }

    pub(super) fn open(&mut self, metrics: &MetricGroup) {
        self.late_records = metrics.counter("late_records");
        self.late_records_dropped = metrics.counter("late_records_dropped");
    }

    /// Handles a late record.
    pub(super) fn take(&mut self, sides: &mut SideOutputs, record: &V, at: Timestamp) {
        self.late += 1;
        match &self.tag {
            Some(tag) => sides.push(tag, record, at),
            None => self.dropped += 1,
        }
    }

    pub(super) fn publish(&self) {
        self.late_records.set(self.late);
        self.late_records_dropped.set(self.dropped);
    }
}
