//! `SessionOperator`: session windows, keyed.
//!
//! A record costs one search, which finds its key's sessions: mostly the latest one takes it, which moves
//! its end and adds to what it has accumulated. Everything else (the first record of a key or of a session,
//! two sessions that become one, a record behind the watermark) leaves the fast path.
//!
//! # Timers are lazy
//!
//! Flink deletes a session's timer and registers another one at every record that moves its end. Here the
//! timer stays where it is: at the end that the session had when it was registered, which is never after
//! the end that it has. When it comes up and finds that the session goes on for longer, it is registered
//! anew, at the end. So a session costs one timer for each gap's length of its life, not one for each
//! record, and a record touches no timer.
//!
//! Nothing of this shows. A timer that is moved is moved to a later time, and timers come up in the order of
//! their times, so the session's real end comes up when it is due, in the same pass if it is due in it; that
//! is exactly where Flink's timer, registered at the record, would have come up. Keys with equal ends fire
//! in no particular order here as there.
//!
//! ```text
//! records       1   2     3          4                        gap: ├────────┤
//! timer at               1+gap ─► finds end 3+gap ─► finds end 4+gap: fires
//! ```
//! Invariant: every session that has not fired has a timer at or before its last timestamp; every one that
//! has fired, unless it is kept for ever, has one at or before its clean-up time. Every timer after the
//! watermark is still there. A timer may be of no session any more.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::metrics::Gauge;
use crate::operator::window::late::LateRecords;
use crate::operator::window::{
    EventTime, Lateness, TimeWindow, WindowError, WindowFunction, WindowTime,
};
use crate::operator::{
    Budget, Lookahead, OpenContext, Operator, OperatorError, OutputTag, Outputs, Push, Signal,
    earlier, raise,
};
use crate::record::{Key, KeyHash, KeyHasher, KeySelector, StoredKey};
use crate::state::{Table, TableOptions, TimerQueue};
use crate::time::Timestamp;

use super::gap::{FixedGap, Session, SessionGap};
use super::sessions::{OneSession, Sessions};

/// How many timers a watermark may fire before the worker gets a chance to do something else.
const SIGNAL_BUDGET: u32 = 256;

type Stored<K> = <K as Key>::Stored;

/// What is touched per watermark, batch or session, but not per record.
struct Clockwork<K: Key + ?Sized> {
    name: Arc<str>,
    lateness: Lateness,
    timers: TimerQueue<Stored<K>, ()>,
    /// No timer is due before this time.
    quiet_before: Timestamp,
    state_entries: Gauge,
    state_bytes: Gauge,
    timer_count: Gauge,
}

impl<K: Key + ?Sized> Clockwork<K> {
    fn register(&mut self, hash: KeyHash, key: &Stored<K>, at: Timestamp) {
        self.timers.register(hash, key.clone(), (), at);
        self.quiet_before = self.quiet_before.min(at);
    }

    /// Registers the end of a session's life, unless it has none.
    fn register_cleanup(&mut self, hash: KeyHash, key: &Stored<K>, window: TimeWindow) {
        let cleanup = self.lateness.cleanup_time(window);
        if cleanup < Timestamp::MAX {
            self.register(hash, key, cleanup);
        }
    }
}

/// Session windows over a keyed stream, of event time or (`T`) of processing time.
pub struct SessionOperator<V, S, F, D, G = FixedGap, T = EventTime>
where
    V: ?Sized,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
{
    sessions: Table<Stored<S::Key>, Sessions<F::Accumulator>>,
    watermark: Timestamp,
    gap: G,
    selector: S,
    function: F,
    hasher: KeyHasher,
    /// Processing time of the batch; the end of time at the end of input.
    now: Timestamp,
    /// A firing is not finished.
    busy: bool,
    next: Outputs<D>,
    clockwork: Box<Clockwork<S::Key>>,
    late: Box<LateRecords<V>>,
    time: PhantomData<T>,
}

impl<V, S, F, D, G, T> std::fmt::Debug for SessionOperator<V, S, F, D, G, T>
where
    V: ?Sized,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionOperator")
            .field("name", &self.clockwork.name)
            .field("watermark", &self.watermark)
            .finish_non_exhaustive()
    }
}

impl<V, S, F, D, G, T> SessionOperator<V, S, F, D, G, T>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
    D: Push<F::Out>,
    G: SessionGap<V>,
    T: WindowTime,
{
    /// An operator called `name`, which applies `function` to sessions per key.
    ///
    /// # Errors
    /// [`WindowError`] if there are no such sessions.
    pub fn new(
        name: Arc<str>,
        session: Session<G, T>,
        selector: S,
        function: F,
        next: Outputs<D>,
    ) -> Result<Self, WindowError> {
        session.check::<V>()?;
        Ok(SessionOperator {
            sessions: Table::new(TableOptions::default()),
            watermark: Timestamp::MIN,
            gap: session.gap,
            selector,
            function,
            hasher: KeyHasher::default(),
            now: Timestamp::MIN,
            busy: false,
            next,
            clockwork: Box::new(Clockwork {
                name,
                lateness: Lateness::default(),
                timers: TimerQueue::new(),
                quiet_before: Timestamp::MAX,
                state_entries: Gauge::default(),
                state_bytes: Gauge::default(),
                timer_count: Gauge::default(),
            }),
            late: Box::new(LateRecords::new()),
            time: PhantomData,
        })
    }

    /// Keeps sessions for some time after the watermark has passed them. Not those of processing time,
    /// where nothing is late.
    #[must_use]
    pub fn allowed_lateness(mut self, lateness: Lateness) -> Self {
        if T::IS_EVENT {
            self.clockwork.lateness = lateness;
        }
        self
    }

    /// Sends late records to `tag` rather than dropping them.
    #[must_use]
    pub fn late_to(mut self, tag: OutputTag<V>) -> Self {
        self.late.tag = Some(tag);
        self
    }

    /// Adds a record that does not just go on with its key's latest session.
    #[cold]
    #[inline(never)]
    fn push_elsewhere(&mut self, record: &V, at: Timestamp, gap: i64) {
        let name = &self.clockwork.name;
        if at.is_none() {
            let operator = Arc::clone(name);
            raise(OperatorError::NoTimestamp { operator });
        }
        if gap == 0 {
            raise(OperatorError::function(name, WindowError::ZeroGap.into()));
        }
        let window = TimeWindow {
            start: at,
            end: at.saturating_add(gap),
        };
        let found = self.selector.key(record);
        let key: &S::Key = found.borrow();
        let hash = self.hasher.hash(key);
        let equal = |stored: &Stored<S::Key>| stored.key() == key;
        let function = &mut self.function;
        if let Some(sessions) = self.sessions.get_mut(hash, equal) {
            let merge = |united: &mut _, later: &_| function.merge(united, later);
            if let Some(merged) = sessions.merge(window, merge) {
                let had_fired = TimeWindow {
                    end: merged.last_end,
                    ..window
                }
                .max_timestamp()
                    <= self.watermark;
                function.add(&mut merged.session.accumulator, record);
                let last = merged.session.window.max_timestamp();
                if last <= self.watermark {
                    fire::<V, _, _, _>(function, &mut self.next, key, merged.session);
                } else if had_fired {
                    self.clockwork.register(hash, &key.to_stored(), last);
                }
                return;
            }
        }
        self.begin_session(record, window, hash);
    }

    /// Adds a record that belongs to no session: to a new one, unless that would be late.
    fn begin_session(&mut self, record: &V, window: TimeWindow, hash: KeyHash) {
        let lateness = self.clockwork.lateness;
        if lateness.is_window_late(window, self.watermark) {
            if lateness.is_record_late(window.start, self.watermark) {
                (self.late).take(&mut self.next.sides, record, window.start);
            }
            return;
        }
        let found = self.selector.key(record);
        let key: &S::Key = found.borrow();
        let mut accumulator = self.function.create();
        self.function.add(&mut accumulator, record);
        let stored = key.to_stored();
        let session = OneSession {
            window,
            accumulator,
        };
        if window.max_timestamp() <= self.watermark {
            fire::<V, _, _, _>(&mut self.function, &mut self.next, key, &session);
            self.clockwork.register_cleanup(hash, &stored, window);
        } else {
            (self.clockwork).register(hash, &stored, window.max_timestamp());
        }
        let mut session = Some(session);
        let equal = |stored: &Stored<S::Key>| stored.key() == key;
        let (sessions, _) = self.sessions.find_or_insert_with(hash, equal, || {
            let first = session.take().expect("taken here only");
            (stored, Sessions::new(first))
        });
        if let Some(session) = session {
            sessions.insert(session);
        }
    }

    /// Looks after the sessions of a key whose timer at `at` has come up: fires, moves the timer, drops.
    fn on_timer(&mut self, hash: KeyHash, key: &Stored<S::Key>, at: Timestamp) {
        let (clockwork, equal) = (&mut *self.clockwork, |stored: &Stored<S::Key>| {
            stored == key
        });
        let Some(sessions) = self.sessions.get_mut(hash, equal) else {
            return;
        };
        let mut place = 0;
        while place < sessions.len() {
            let session = sessions.get(place);
            let (window, last) = (session.window, session.window.max_timestamp());
            if last > at {
                clockwork.register(hash, key, last);
                place += 1;
                continue;
            }
            if last == at {
                fire::<V, _, _, _>(&mut self.function, &mut self.next, key.key(), session);
            }
            if clockwork.lateness.cleanup_time(window) > at {
                clockwork.register_cleanup(hash, key, window);
                place += 1;
            } else if sessions.remove(place) {
                self.sessions.remove(hash, equal);
                return;
            }
        }
    }

    /// Time has come to `watermark`: starts to fire the timers that are due.
    fn start_firing(&mut self, watermark: Timestamp) {
        self.watermark = watermark;
        self.busy = true;
        self.advance(&mut Budget::new(SIGNAL_BUDGET));
    }

    /// Goes on firing while there is budget and room downstream.
    fn advance(&mut self, budget: &mut Budget) {
        while self.busy && budget.left() > 0 && self.next.ready() {
            let due = self.clockwork.timers.pop_due(self.watermark);
            match due {
                Some(timer) => {
                    budget.take();
                    self.on_timer(timer.hash, &timer.key, timer.at);
                }
                None => {
                    self.busy = false;
                    let next = self.clockwork.timers.peek();
                    self.clockwork.quiet_before = next.unwrap_or(Timestamp::MAX);
                    if T::IS_EVENT {
                        self.next.signal(Signal::Watermark(self.watermark));
                    }
                }
            }
        }
    }
}

/// Emits the results of a session.
fn fire<V, K, F, D>(
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

impl<V, S, F, D, G, T> Operator for SessionOperator<V, S, F, D, G, T>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
    D: Push<F::Out>,
    G: SessionGap<V>,
    T: WindowTime,
{
    fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.next.open(cx)?;
        self.hasher = cx.hasher;
        self.sessions = Table::new(TableOptions {
            hasher: cx.hasher,
            ..TableOptions::default()
        });
        let metrics = cx.operator_metrics(&self.clockwork.name);
        self.clockwork.state_entries = metrics.gauge("state_entries");
        self.clockwork.state_bytes = metrics.gauge("state_bytes");
        self.clockwork.timer_count = metrics.gauge("timers");
        self.late.open(&metrics);
        Ok(())
    }

    fn begin(&mut self, now: Timestamp) {
        self.next.begin(now);
        if !T::IS_EVENT && now > self.now {
            self.now = now;
            self.watermark = now.saturating_sub(1);
            if self.watermark >= self.clockwork.quiet_before {
                self.start_firing(self.watermark);
            }
        }
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Watermark(at) if T::IS_EVENT => {
                if at <= self.watermark {
                    return;
                }
                if at >= self.clockwork.quiet_before {
                    self.start_firing(at);
                } else {
                    self.watermark = at;
                    self.next.signal(signal);
                }
            }
            Signal::End => {
                self.now = Timestamp::MAX;
                self.next.signal(signal);
            }
            _ => self.next.signal(signal),
        }
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        !self.busy && self.next.ready()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        self.advance(budget);
    }

    fn flush(&mut self) {
        let clockwork = &*self.clockwork;
        clockwork.state_entries.set(self.sessions.len() as i64);
        (clockwork.state_bytes).set(self.sessions.memory_bytes() as i64);
        clockwork.timer_count.set(clockwork.timers.len() as i64);
        self.late.publish();
        self.next.flush();
    }

    fn deadline(&self) -> Option<Timestamp> {
        let next = self.next.deadline();
        if T::IS_EVENT || self.now == Timestamp::MAX || self.clockwork.timers.is_empty() {
            return next;
        }
        // When the timer's time has passed.
        earlier(Some(self.clockwork.quiet_before.saturating_add(1)), next)
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        self.next.close()
    }
}

impl<V, S, F, D, G, T> Push<V> for SessionOperator<V, S, F, D, G, T>
where
    V: ?Sized + 'static,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
    D: Push<F::Out>,
    G: SessionGap<V>,
    T: WindowTime,
{
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        let at = if T::IS_EVENT { at } else { self.now };
        let gap = self.gap.gap(record);
        let found = self.selector.key(record);
        let key: &S::Key = found.borrow();
        let hash = self.hasher.hash(key);
        let equal = |stored: &Stored<S::Key>| stored.key() == key;
        if let Some(sessions) = self.sessions.get_mut(hash, equal)
            && sessions.latest.goes_on(at, self.watermark)
            && gap > 0
        {
            let session = &mut sessions.latest;
            session.window.end = session.window.end.max(at.saturating_add(gap));
            self.function.add(&mut session.accumulator, record);
        } else {
            self.push_elsewhere(record, at, gap);
        }
    }

    #[inline(always)]
    fn prefetch(&self, record: &V, ahead: Lookahead) {
        let key = self.selector.key(record);
        let hash = self.hasher.hash(key.borrow());
        self.sessions.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.sessions.looks_ahead()
    }
}
