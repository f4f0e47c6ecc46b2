//! `Clockwork`: what a session operator touches per watermark, batch or session, but not per record.

use std::sync::Arc;

use crate::metrics::{Gauge, MetricGroup};
use crate::operator::window::{Lateness, TimeWindow};
use crate::record::Key;
use crate::time::Timestamp;

use super::agenda::Agenda;

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
    pub(super) lateness: Lateness,
    pub(super) agenda: Agenda<Stored<K>>,
    pub(super) stage: Stage,
    /// Nothing is due before this time.
    pub(super) quiet_before: Timestamp,
    state_entries: Gauge,
    state_bytes: Gauge,
    timer_count: Gauge,
}

impl<K: Key + ?Sized> Clockwork<K> {
    pub(super) fn new(name: Arc<str>) -> Self {
        Clockwork {
            name,
            lateness: Lateness::default(),
            agenda: Agenda::new(),
            stage: Stage::Idle,
            quiet_before: Timestamp::MAX,
            state_entries: Gauge::default(),
            state_bytes: Gauge::default(),
            timer_count: Gauge::default(),
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
