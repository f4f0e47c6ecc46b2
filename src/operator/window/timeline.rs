//! `Timeline`: a window operator's position in time, and everything that it touches per watermark, batch or late
//! record, but not per record.

use std::sync::Arc;

use crate::checkpoint::{CheckpointError, SnapshotOutput};
use crate::metrics::{Gauge, MetricGroup};
use crate::operator::{Barrier, OpenContext};
use crate::record::{Key, StateValue};
use crate::state::encode_changes;
use crate::time::Timestamp;

use super::current::Current;
use super::firing::Firing;
use super::lateness::Lateness;
use super::progress::{PROGRESS, Progress};
use super::slice_snapshot::{SliceSnapshot, WINDOWS};
use super::slice_table::{SliceTable, TableId, TableShape};
use super::slicing::Slicing;
use super::state::WindowState;

/// The size of a window operator's state, as metrics.
#[derive(Default)]
pub(super) struct WindowMetrics {
    state_entries: Gauge,
    state_bytes: Gauge,
    /// How many flushes remain until the size of the state is measured again.
    flushes_left: usize,
}

/// What is touched per watermark, batch or late record, but not per record.
pub(super) struct Timeline<K: Key + ?Sized, A> {
    pub(super) name: Arc<str>,
    /// Identifies the state in checkpoints; `None` to use the name.
    pub(super) uid: Option<Arc<str>>,
    pub(super) slicing: Slicing,
    pub(super) lateness: Lateness,
    pub(super) watermark: Timestamp,
    /// The first window that the watermark has not ended.
    pub(super) open_window: i64,
    /// The first slice none of whose windows has ended.
    pub(super) open_slice: i64,
    /// A watermark below this one fires nothing and retires no slice.
    pub(super) quiet_before: Timestamp,
    pub(super) state: WindowState<K, A>,
    pub(super) firing: Firing<K, A>,
    pub(super) metrics: WindowMetrics,
    /// Present if checkpoints are enabled.
    progress: Option<Box<Progress>>,
}

impl<K: Key + ?Sized, A: Clone> Timeline<K, A> {
    pub(super) fn new(name: Arc<str>, slicing: Slicing, shape: TableShape) -> Self {
        let state = WindowState::new(shape, slicing.slices_per_window() > 1);
        let mut timeline = Timeline {
            name,
            uid: None,
            slicing,
            lateness: Lateness::default(),
            watermark: Timestamp::MIN,
            open_window: 0,
            open_slice: 0,
            quiet_before: Timestamp::MIN,
            firing: Firing::new(state.pool.fresh()),
            state,
            metrics: WindowMetrics::default(),
            progress: None,
        };
        timeline.find_open();
        timeline.find_quiet();
        timeline
    }

    /// Initializes it with what the subtask knows when it opens.
    pub(super) fn open(&mut self, cx: &OpenContext, metrics: &MetricGroup) {
        let (name, lateness) = (Arc::clone(&self.name), self.lateness);
        let (expected_keys, uid) = (self.state.expected_keys, self.uid.take());
        *self = Timeline {
            uid,
            lateness,
            metrics: WindowMetrics {
                state_entries: metrics.gauge("state_entries"),
                state_bytes: metrics.gauge("state_bytes"),
                ..WindowMetrics::default()
            },
            ..Timeline::new(name, self.slicing, TableShape::of(cx))
        };
        self.state.expected_keys = cx.share_of_keys(expected_keys);
    }

    /// Determines which windows and slices are open at the watermark.
    pub(super) fn find_open(&mut self) {
        self.open_window = self.slicing.first_open(self.watermark);
        self.open_slice = self.slicing.first_slice_since(self.open_window);
    }

    /// Updates `quiet_before`.
    pub(super) fn find_quiet(&mut self) {
        let next = self.slicing.window(self.open_window).max_timestamp();
        let front = self.state.front();
        let cleanup = front.map_or(Timestamp::MAX, |slice| self.cleanup_time(slice));
        self.quiet_before = next.min(cleanup);
    }

    /// Returns when the last window of a slice stops taking records.
    pub(super) fn cleanup_time(&self, slice: i64) -> Timestamp {
        let (_, last) = self.slicing.windows_of(slice);
        self.lateness.cleanup_time(self.slicing.window(last))
    }

    pub(super) fn is_late(&self, window: i64) -> bool {
        self.lateness
            .is_window_late(self.slicing.window(window), self.watermark)
    }

    /// Returns the table of a slice, created if missing.
    pub(super) fn slice(&mut self, slice: i64) -> TableId {
        let (table, is_known) = self.state.slice(slice);
        if !is_known {
            self.metrics.flushes_left = 0;
            self.quiet_before = self.quiet_before.min(self.cleanup_time(slice));
        }
        table
    }

    /// Publishes the size of the state, including the current slice's table.
    pub(super) fn publish(&mut self, current: &SliceTable<K, A>) {
        let metrics = &mut self.metrics;
        // Measuring visits every table, so with many tables it is done less often: a constant cost per flush.
        match metrics.flushes_left.checked_sub(1) {
            Some(left) if self.state.front().is_some() => metrics.flushes_left = left,
            _ => {
                let (entries, bytes) = self.state.pool.size();
                let bytes = bytes + current.memory_bytes() + self.firing.memory_bytes();
                let entries = entries + current.entries.len();
                metrics.state_entries.set(entries as i64);
                metrics.state_bytes.set(bytes as i64);
                metrics.flushes_left = self.state.pool.count() / 16;
            }
        }
    }
}

impl<K: Key + ?Sized, A: StateValue> Timeline<K, A> {
    /// Restores from the checkpoint, if any, and prepares for checkpoints; call it after `open`. Returns the
    /// processing time at that checkpoint.
    pub(super) fn restore(
        &mut self,
        cx: &OpenContext,
        merge: impl Fn(&mut A, &A),
    ) -> Result<Timestamp, CheckpointError> {
        let uid = Arc::clone(self.uid.get_or_insert_with(|| Arc::clone(&self.name)));
        let mut slices = SliceSnapshot::of::<K, A>(&uid);
        let progress = Progress::new(&uid, self.slicing);
        let checkpointing = &cx.checkpointing;
        self.state.pool.changes = checkpointing.enabled.then(encode_changes);
        let mut now = Timestamp::MIN;
        if let Some(restored) = &checkpointing.restored {
            let times = progress.restore(restored, cx)?;
            let watermarks = times.watermark..=times.highest;
            if (self.slicing).has_fired_apart(self.lateness, &watermarks) {
                return Err(CheckpointError::FixedParallelism {
                    saved: restored.parallelism(&uid),
                    operator: uid,
                });
            }
            let (hashes, pool) = (cx.hashes(), &mut self.state.pool);
            let tables = slices.restore(restored, &hashes, None, pool, merge)?;
            self.state.adopt(tables);
            (self.watermark, now) = (times.watermark, times.now);
            self.find_open();
            self.find_quiet();
        }
        cx.check_restored(&uid, |name| [WINDOWS, PROGRESS].contains(&name))?;
        self.state.snapshot = checkpointing.enabled.then(|| Box::new(slices));
        self.progress = checkpointing.enabled.then(|| Box::new(progress));
        Ok(now)
    }

    /// Freezes all slices for a checkpoint.
    pub(super) fn freeze(&mut self, barrier: Barrier, current: &mut Current<K, A>, now: Timestamp) {
        self.state.freeze(barrier, current);
        if let Some(progress) = &mut self.progress {
            progress.capture(barrier.checkpoint, self.watermark, now);
        }
    }

    /// Writes part of what was frozen; returns whether it is done.
    pub(super) fn drain(
        &mut self,
        out: &mut SnapshotOutput<'_>,
        current: &mut Current<K, A>,
    ) -> bool {
        let progress = self.progress.as_mut();
        self.state.drain(out, current) && progress.is_none_or(|progress| progress.drain(out))
    }
}
