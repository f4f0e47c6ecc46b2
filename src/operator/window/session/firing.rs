//! Firing: checking the sessions that may be due, and handling those that are, in time order.

use crate::operator::window::{WindowFunction, WindowTime};
use crate::operator::{Budget, Lookahead, Operator, Outputs, Push, Signal};
use crate::record::{Key, KeySelector, StoredKey};
use crate::time::Timestamp;

use super::agenda::Appointment;
use super::clockwork::{Stage, Stored};
use super::gap::SessionGap;
use super::operator::SessionOperator;
use super::sessions::OneSession;

/// How many sessions a watermark may fire before the worker gets a chance to do something else.
const SIGNAL_BUDGET: u32 = 256;
/// How many checks of a session cost as much budget as one result.
const LOOKS_PER_RESULT: usize = 4;
/// How many checks ahead a session is prefetched.
const LOOKAHEAD: usize = 16;

impl<V, S, F, D, G, T> SessionOperator<V, S, F, D, G, T>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
    D: Push<F::Out>,
    G: SessionGap<V>,
    T: WindowTime,
{
    /// Checks a session whose alarm may be due: moves the alarm to the time when it is.
    fn look_at(&mut self, appointment: Appointment<Stored<S::Key>>) {
        let clockwork = &mut *self.clockwork;
        if self.sessions.looks_ahead()
            && let Some(ahead) = clockwork.agenda.ahead(LOOKAHEAD)
        {
            let hash = self.hasher.hash(ahead.key.key());
            self.sessions.prefetch(hash, Lookahead::Far);
        }
        let Appointment { at, key } = appointment;
        let equal = |stored: &Stored<S::Key>| *stored == key;
        let Some(sessions) = self.sessions.get_mut(self.hasher.hash(key.key()), equal) else {
            return;
        };
        if let Some(place) = sessions.with_alarm(at) {
            let session = sessions.get(place);
            let next = clockwork.next_alarm(session.window, at);
            session.alarm = next.unwrap_or(Timestamp::MAX);
            if let Some(at) = next {
                let appointment = Appointment { at, key };
                clockwork.agenda.put_back(appointment, self.watermark);
            }
        }
    }

    /// Handles what is due for a session: fires it, drops it, or postpones its alarm.
    fn attend(&mut self, appointment: Appointment<Stored<S::Key>>) {
        let Appointment { at, key } = appointment;
        let hash = self.hasher.hash(key.key());
        let equal = |stored: &Stored<S::Key>| *stored == key;
        let Some(sessions) = self.sessions.get_mut(hash, equal) else {
            return;
        };
        let Some(place) = sessions.with_alarm(at) else {
            return;
        };
        let session = sessions.get(place);
        if session.window.max_timestamp() == at {
            fire::<V, _, _, _>(&mut self.function, &mut self.next, key.key(), session);
        }
        let (window, lateness) = (session.window, self.clockwork.lateness);
        if window.max_timestamp() <= at && lateness.cleanup_time(window) <= at {
            if sessions.remove(place, &mut self.spare) {
                self.sessions.remove(hash, equal);
            }
            return;
        }
        // A firing at this time settles the session's end: the next alarm is after it.
        let next = (self.clockwork).next_alarm(window, at.saturating_add(1));
        session.alarm = next.unwrap_or(Timestamp::MAX);
        if let Some(at) = next {
            let appointment = Appointment { at, key };
            (self.clockwork.agenda).put_back(appointment, self.watermark);
        }
    }

    /// Time has advanced to `watermark`: starts handling what is due.
    pub(super) fn start_firing(&mut self, watermark: Timestamp) {
        self.pass(watermark);
        self.clockwork.stage = Stage::Turn;
        self.busy = true;
        self.advance(&mut Budget::new(SIGNAL_BUDGET));
    }

    /// Continues firing while there is budget and room downstream.
    pub(super) fn advance(&mut self, budget: &mut Budget) {
        while self.busy && budget.left() > 0 && self.next.ready() {
            let watermark = self.watermark;
            match self.clockwork.stage {
                Stage::Idle => self.busy = false,
                Stage::Turn => {
                    budget.take();
                    for _ in 0..LOOKS_PER_RESULT {
                        match self.clockwork.agenda.turn(watermark) {
                            Some(appointment) => self.look_at(appointment),
                            None => {
                                self.clockwork.stage = Stage::Fire;
                                break;
                            }
                        }
                    }
                }
                Stage::Fire => match self.clockwork.agenda.next_due(watermark) {
                    Some(appointment) => {
                        budget.take();
                        self.attend(appointment);
                    }
                    None => {
                        self.clockwork.stage = Stage::Idle;
                        self.clockwork.quiet_before = self.clockwork.agenda.quiet_before();
                        self.busy = false;
                        if T::IS_EVENT {
                            self.next.signal(Signal::Watermark(watermark));
                        }
                    }
                },
            }
        }
    }
}

/// Emits the results of a session.
pub(super) fn fire<V, K, F, D>(
    function: &mut F,
    next: &mut Outputs<D>,
    key: &K,
    session: &OneSession<F::Accumulator>,
) where
    V: ?Sized,
    K: Key + ?Sized,
    F: WindowFunction<V, K>,
    D: Push<F::Out>,
{
    let (window, main) = (session.window, &mut next.main);
    let emit = |result: &F::Out| main.push(result, window.max_timestamp());
    function.fire(key, window, &session.accumulator, emit);
}
