//! `SessionOperator`: keyed session windows.
//!
//! A record takes one search, which finds its key's sessions: usually the latest one takes it, which moves
//! its end and adds to its accumulator. Everything else (the first record of a key or of a session,
//! the merging of two sessions, a record behind the watermark) leaves the fast path.
//!
//! See [`clockwork`](super::clockwork) for when sessions fire.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::checkpoint::SnapshotOutput;
use crate::operator::window::late::LateRecords;
use crate::operator::window::{
    EventTime, Lateness, TimeWindow, WindowError, WindowFunction, WindowTime,
};
use crate::operator::{
    Budget, Lookahead, OpenContext, Operator, OperatorError, OutputTag, Outputs, Push, Signal,
    earlier, raise,
};
use crate::record::{Key, KeyHash, KeyHasher, KeySelector, StoredKey};
use crate::state::{Table, TableOptions};
use crate::time::Timestamp;

use super::clockwork::{Clockwork, Stored};
use super::firing::fire;
use super::gap::{FixedGap, Session, SessionGap};
use super::sessions::{OneSession, Sessions, SpareLists};

/// Keyed session windows in event time or (by `T`) processing time.
pub struct SessionOperator<V, S, F, D, G = FixedGap, T = EventTime>
where
    V: ?Sized,
    S: KeySelector<V>,
    F: WindowFunction<V, S::Key>,
{
    pub(super) sessions: Table<Stored<S::Key>, Sessions<F::Accumulator>>,
    pub(super) spare: SpareLists<F::Accumulator>,
    pub(super) watermark: Timestamp,
    /// Sessions may have fired up to here: the watermark, or further if some come from a subtask that was ahead.
    pub(super) fired_to: Timestamp,
    gap: G,
    selector: S,
    pub(super) function: F,
    pub(super) hasher: KeyHasher,
    /// Processing time of the batch.
    pub(super) now: Timestamp,
    /// The input has ended: sessions in processing time no longer fire.
    ended: bool,
    /// A firing is unfinished.
    pub(super) busy: bool,
    /// Whether the operator takes input. A record that only adds to state changes nothing downstream, so whether
    /// there is room there is not checked for every record, only after something was emitted.
    ready: bool,
    pub(super) next: Outputs<D>,
    pub(super) clockwork: Box<Clockwork<S::Key>>,
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
    /// Creates an operator called `name`, which applies `function` to sessions per key.
    ///
    /// # Errors
    /// [`WindowError`] if the sessions are invalid.
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
            spare: SpareLists::new(),
            watermark: Timestamp::MIN,
            fired_to: Timestamp::MIN,
            gap: session.gap,
            selector,
            function,
            hasher: KeyHasher::default(),
            now: Timestamp::MIN,
            ended: false,
            busy: false,
            ready: false,
            next,
            clockwork: Box::new(Clockwork::new(name)),
            late: Box::new(LateRecords::new()),
            time: PhantomData,
        })
    }

    /// Keeps sessions for some time after the watermark has passed them. Has no effect in processing time,
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

    /// Binds the operator's state to a uid rather than to its name.
    #[must_use]
    pub fn uid(mut self, uid: Arc<str>) -> Self {
        self.clockwork.uid = uid;
        self
    }

    /// Reserves room for `keys` keys, across all subtasks, when the operator opens.
    #[must_use]
    pub fn expected_keys(mut self, keys: usize) -> Self {
        self.clockwork.expected_keys = keys;
        self
    }

    /// Adds a record that does not simply continue its key's latest session.
    #[cold]
    #[inline(never)]
    fn push_elsewhere(&mut self, record: &V, at: Timestamp, gap: i64, hash: KeyHash) {
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
        let equal = |stored: &Stored<S::Key>| stored.is(key);
        let function = &mut self.function;
        if let Some(sessions) = self.sessions.get_mut(hash, equal) {
            let merge = |united: &mut _, later: &_| function.merge(united, later);
            if let Some(merged) = sessions.merge(window, merge) {
                function.add(&mut merged.session.accumulator, record);
                let last = merged.session.window.max_timestamp();
                if last <= self.watermark {
                    fire::<V, _, _, _>(function, &mut self.next, key, merged.session);
                } else if merged.had_fired {
                    merged.session.alarm = last;
                    self.clockwork.add(last, key.to_stored());
                }
                return;
            }
        }
        self.begin_session(record, window, hash);
    }

    /// Adds a record that belongs to no session to a new one, unless that would be late.
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
        let last = window.max_timestamp();
        let has_ended = last <= self.watermark;
        let cleanup = lateness.cleanup_time(window);
        let alarm = if has_ended { cleanup } else { last };
        let session = OneSession {
            window,
            alarm,
            accumulator,
        };
        if has_ended {
            fire::<V, _, _, _>(&mut self.function, &mut self.next, key, &session);
        }
        let stored = key.to_stored();
        let gap = window.end.0.saturating_sub(window.start.0);
        self.clockwork.agenda.fit(gap, self.watermark);
        if !session.is_kept_for_ever() {
            self.clockwork.add(alarm, stored.clone());
        }
        let mut session = Some(session);
        let equal = |stored: &Stored<S::Key>| stored.is(key);
        let (sessions, _) = self.sessions.find_or_insert_with(hash, equal, || {
            let first = session.take().expect("taken here only");
            (stored, Sessions::new(first))
        });
        if let Some(session) = session {
            sessions.insert(session, &mut self.spare);
        }
    }

    /// Advances time to `watermark`.
    pub(super) fn pass(&mut self, watermark: Timestamp) {
        self.watermark = watermark;
        self.fired_to = self.fired_to.max(watermark);
    }

    /// Checks again whether there is room downstream, after something was emitted.
    fn refresh(&mut self) {
        self.ready = !self.busy && self.next.ready();
    }
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
        let metrics = cx.operator_metrics(&self.clockwork.name);
        self.clockwork.open(&metrics);
        self.late.open(&metrics);
        self.restore(cx)?;
        self.refresh();
        Ok(())
    }

    fn begin(&mut self, now: Timestamp) {
        self.next.begin(now);
        if !T::IS_EVENT && !self.ended && now > self.now {
            self.now = now;
            self.pass(now.saturating_sub(1));
            if self.watermark >= self.clockwork.quiet_before {
                self.start_firing(self.watermark);
            }
        }
        self.refresh();
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
                    self.pass(at);
                    self.next.signal(signal);
                }
            }
            Signal::Barrier(barrier) => {
                self.freeze(barrier);
                self.next.signal(signal);
            }
            Signal::End => {
                self.ended = true;
                self.next.signal(signal);
            }
            _ => self.next.signal(signal),
        }
        self.refresh();
    }

    #[inline(always)]
    fn ready(&self) -> bool {
        self.ready
    }

    fn takes_barrier(&self) -> bool {
        !self.busy && self.next.takes_barrier()
    }

    fn resume(&mut self, budget: &mut Budget) {
        self.next.resume(budget);
        self.advance(budget);
        self.refresh();
    }

    fn flush(&mut self) {
        let bytes = self.sessions.memory_bytes();
        self.clockwork.publish(self.sessions.len(), bytes);
        self.late.publish();
        self.next.flush();
        self.refresh();
    }

    fn deadline(&self) -> Option<Timestamp> {
        let next = self.next.deadline();
        if T::IS_EVENT || self.ended || self.clockwork.agenda.len() == 0 {
            return next;
        }
        // Due once that time has passed.
        earlier(Some(self.clockwork.quiet_before.saturating_add(1)), next)
    }

    fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let written = self.drain(out);
        self.next.snapshot(out) && written
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
        self.push_hashed(record, at, self.hash_ahead(record));
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &V, at: Timestamp, hash: KeyHash) {
        let at = if T::IS_EVENT { at } else { self.now };
        let gap = self.gap.gap(record);
        let found = self.selector.key(record);
        let key: &S::Key = found.borrow();
        let equal = |stored: &Stored<S::Key>| stored.is(key);
        if let Some(sessions) = self.sessions.get_mut(hash, equal)
            && sessions.latest.goes_on(at, self.fired_to)
            && gap > 0
        {
            let session = &mut sessions.latest;
            session.window.end = session.window.end.max(at.saturating_add(gap));
            self.function.add(&mut session.accumulator, record);
        } else {
            self.push_elsewhere(record, at, gap, hash);
            self.refresh();
        }
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.sessions.looks_ahead()
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &V) -> KeyHash {
        self.hasher.hash(self.selector.key(record).borrow())
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.sessions.prefetch(hash, ahead);
    }
}
