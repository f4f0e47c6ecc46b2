//! `Clockwork`: when sessions fire; what is touched per watermark, batch or session, but not per record.
//!
//! # Timers are lazy
//!
//! Flink deletes and re-registers a session's timer at every record that moves its end. Here a
//! session has an *alarm*, which is never after its end, and which no record moves. When it goes off and
//! the session turns out to last longer, it is set again, to the end. So a session costs one alarm for
//! each gap's length of its life, not one for each record.
//!
//! This is not observable. An alarm is only ever postponed to a later time, and what is due is handled in
//! time order once all alarms that may be due have been checked (the [`agenda`](super::agenda) ensures
//! that). So a session fires after all that end before it, in the pass of the watermark that reaches its
//! end: exactly where Flink's timer, registered at its last record, would have fired. Keys with equal ends
//! fire in no particular order, here as in Flink.
//!
//! ```text
//! records      1   2     3          4                        gap: ├────────┤
//! alarm at              1+gap ─► finds end 3+gap ─► finds end 4+gap: fires
//! ```
//! Invariant: every session that has not fired has an appointment, at its alarm, at or before its last
//! timestamp; every one that has fired, unless it is kept for ever, at or before its clean-up time. An
//! appointment that matches no session's alarm belonged to a session that was merged.

use std::sync::Arc;

use crate::metrics::{Gauge, MetricGroup};
use crate::operator::window::{Lateness, TimeWindow};
use crate::record::Key;
use crate::time::Timestamp;

use super::agenda::Agenda;
use super::snapshot::SessionSnapshot;

pub(super) type Stored<K> = <K as Key>::Stored;

/// What a firing does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Nothing fires.
    Idle,
    /// Check the sessions that may be due.
    Turn,
    /// Fire those that are, in time order.
    Fire,
}

/// When something is due, and the size of the state.
pub(super) struct Clockwork<K: Key + ?Sized> {
    pub(super) name: Arc<str>,
    pub(super) uid: Arc<str>,
    pub(super) lateness: Lateness,
    pub(super) expected_keys: usize,
    pub(super) agenda: Agenda<Stored<K>>,
    pub(super) stage: Stage,
    /// Nothing is due before this time.
    pub(super) quiet_before: Timestamp,
    state_entries: Gauge,
    state_bytes: Gauge,
    timer_count: Gauge,
    /// Present if checkpoints are enabled.
    pub(super) snapshot: Option<SessionSnapshot>,
}

impl<K: Key + ?Sized> Clockwork<K> {
    pub(super) fn new(name: Arc<str>) -> Self {
        Clockwork {
            uid: Arc::clone(&name),
            name,
            lateness: Lateness::default(),
            expected_keys: 0,
            agenda: Agenda::new(),
            stage: Stage::Idle,
            quiet_before: Timestamp::MAX,
            state_entries: Gauge::default(),
            state_bytes: Gauge::default(),
            timer_count: Gauge::default(),
            snapshot: None,
        }
    }

    pub(super) fn open(&mut self, metrics: &MetricGroup) {
        self.state_entries = metrics.gauge("state_entries");
        self.state_bytes = metrics.gauge("state_bytes");
        self.timer_count = metrics.gauge("timers");
    }

    /// Publishes the size of the state: the number of keys and bytes.
    pub(super) fn publish(&self, keys: usize, bytes: usize) {
        self.state_entries.set(keys as i64);
        self.state_bytes.set(bytes as i64);
        self.timer_count.set(self.agenda.len() as i64);
    }

    /// Adds an appointment for a session of `key`.
    pub(super) fn add(&mut self, at: Timestamp, key: Stored<K>) {
        self.agenda.add(at, key);
        // It may have to be checked before its time: as early as its bucket begins.
        self.quiet_before = self.quiet_before.min(self.agenda.quiet_before());
    }

    /// Returns when to check a session next whose alarm has gone off at `at`, never before that; `None` for never.
    pub(super) fn next_alarm(&self, window: TimeWindow, at: Timestamp) -> Option<Timestamp> {
        let last = window.max_timestamp();
        if last >= at {
            return Some(last);
        }
        // One that has fired and was to be kept for longer must not fire again.
        let cleanup = self.lateness.cleanup_time(window).max(at);
        (cleanup < Timestamp::MAX).then_some(cleanup)
    }
}
