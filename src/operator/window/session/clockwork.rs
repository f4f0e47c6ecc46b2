//! `Clockwork`: when sessions fire; what is touched per watermark, batch or session, but not per record.
//!
//! # Timers are lazy
//!
//! Flink deletes a session's timer and registers another one at every record that moves its end. Here a
//! session has an *alarm*, which is never after its end, and which no record moves. When it comes up and
//! finds that the session goes on for longer, it is set anew, at the end. So a session costs an alarm for
//! each gap's length of its life, not one for each record.
//!
//! Nothing of this shows. An alarm that is put off is put off to a later time, and what is due comes in the
//! order of time once all alarms that may be due have been looked at (the [`agenda`](super::agenda) sees to
//! that). So a session fires after all that end before it, in the pass of the watermark that reaches its
//! end: exactly where Flink's timer, registered at its last record, would have come up. Keys with equal ends
//! fire in no particular order here as there.
//!
//! ```text
//! records      1   2     3          4                        gap: ├────────┤
//! alarm at              1+gap ─► finds end 3+gap ─► finds end 4+gap: fires
//! ```
//! Invariant: every session that has not fired has an appointment, at its alarm, at or before its last
//! timestamp; every one that has fired, unless it is kept for ever, at or before its clean-up time. An
//! appointment at which no session has its alarm is of a session that was merged.

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
    /// Look at the sessions that may be due.
    Turn,
    /// Fire those that are, in the order of time.
    Fire,
}

/// When what is due, and the size of the state.
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
    /// Where there are checkpoints.
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

    /// Publishes the size of the state: so many keys in so many bytes.
    pub(super) fn publish(&self, keys: usize, bytes: usize) {
        self.state_entries.set(keys as i64);
        self.state_bytes.set(bytes as i64);
        self.timer_count.set(self.agenda.len() as i64);
    }

    /// Adds an appointment for a session of `key`.
    pub(super) fn add(&mut self, at: Timestamp, key: Stored<K>) {
        self.agenda.add(at, key);
        // Perhaps to be looked at before its time: as early as its bucket begins.
        self.quiet_before = self.quiet_before.min(self.agenda.quiet_before());
    }

    /// When a session is to be looked at next, of which an alarm has come up at `at`; `None` for never.
    pub(super) fn next_alarm(&self, window: TimeWindow, at: Timestamp) -> Option<Timestamp> {
        let last = window.max_timestamp();
        if last >= at {
            return Some(last);
        }
        let cleanup = self.lateness.cleanup_time(window);
        (cleanup < Timestamp::MAX).then_some(cleanup)
    }
}
