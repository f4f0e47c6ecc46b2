//! What the keyed process operators have in common: state, timers, and firing timers in slices.
//!
//! A watermark starts a *pass* over the event timers that are due. A pass yields after
//! [`FIRINGS_MAX`] callbacks or when the outputs are full, and continues in
//! [`resume`](super::Operator::resume). Until it is done, the operator is not ready, signals that arrive
//! anyway are queued, and the watermark is not forwarded. Hence no barrier ever meets an unfinished pass.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::checkpoint::{OperatorState, RestoredState, SnapshotOutput};
use crate::metrics::Gauge;
use crate::record::{Key, KeyHash, KeyHasher, StoredKey};
use crate::state::KeyedBackend;
use crate::time::Timestamp;

use super::key_context::TableGauges;
use super::keyed_snapshot::KeyedSnapshot;
use super::process_context::{KeyedContext, PlainContext};
use super::process_services::ProcessServices;
use super::timer_service::TimerService;
use super::{
    Barrier, Budget, Lookahead, OpenContext, Operator, OperatorError, Outcome, Outputs, Signal,
    TimeDomain, earlier,
};

/// How many callbacks one signal or the start of one batch may cause before the operator yields.
pub(super) const FIRINGS_MAX: u32 = 256;

/// The methods called on a keyed function regardless of its number of inputs.
pub(super) trait KeyedFunction<K: Key + ?Sized, D> {
    fn open(&mut self, cx: &mut KeyedOpenContext<'_, K>) -> Outcome;

    fn on_timer(
        &mut self,
        at: Timestamp,
        domain: TimeDomain,
        cx: &mut KeyedContext<'_, K, D>,
    ) -> Outcome;

    fn snapshot(&mut self, state: &mut OperatorState) -> Outcome;

    fn restore(&mut self, state: &RestoredState<'_>) -> Outcome;
}

/// Implements [`KeyedFunction`] for a holder of a user function.
macro_rules! keyed_function {
    ($key:ty, $downstream:ident) => {
        fn open(
            &mut self,
            cx: &mut $crate::operator::KeyedOpenContext<'_, $key>,
        ) -> $crate::operator::Outcome {
            self.function.open(cx)
        }

        #[inline]
        fn on_timer(
            &mut self,
            at: $crate::time::Timestamp,
            domain: $crate::operator::TimeDomain,
            cx: &mut $crate::operator::process_context::KeyedContext<'_, $key, $downstream>,
        ) -> $crate::operator::Outcome {
            self.function.on_timer(at, domain, cx)
        }

        fn snapshot(
            &mut self,
            state: &mut $crate::checkpoint::OperatorState,
        ) -> $crate::operator::Outcome {
            self.function.snapshot(state)
        }

        fn restore(
            &mut self,
            state: &$crate::checkpoint::RestoredState<'_>,
        ) -> $crate::operator::Outcome {
            self.function.restore(state)
        }
    };
}
pub(super) use keyed_function;

/// Returns how many entries of each restored state this subtask will have.
fn restored_entries(cx: &OpenContext, uid: &Arc<str>) -> BTreeMap<Arc<str>, usize> {
    let restored = cx.checkpointing.restored.iter();
    let states = restored.flat_map(|restored| restored.states(uid));
    states
        .map(|state| {
            (
                Arc::clone(&state.name),
                cx.restored_entries(uid, &state.name),
            )
        })
        .collect()
}

/// What a keyed process operator has in addition: state, timers, and the unfinished pass.
pub(super) struct KeyedServices<K: Key + ?Sized, D> {
    pub(super) plain: ProcessServices<D>,
    pub(super) backend: KeyedBackend<K>,
    pub(super) timers: TimerService<K>,
    hasher: KeyHasher,
    /// The expected number of keys, across all subtasks.
    pub(super) expected_keys: usize,
    /// One of the three below is unfinished.
    busy: bool,
    /// Processing timers may be due.
    firing_processing: bool,
    /// A watermark has arrived but has not been forwarded yet.
    firing_event: bool,
    /// Signals queued behind that watermark.
    waiting: VecDeque<Signal>,
    tables: Vec<TableGauges>,
    timer_count: Gauge,
    /// Present if checkpoints are enabled.
    snapshot: Option<Box<KeyedSnapshot>>,
}

impl<K: Key + ?Sized, D: Operator> KeyedServices<K, D> {
    pub(super) fn new(name: Arc<str>, outputs: Outputs<D>) -> Self {
        KeyedServices {
            plain: ProcessServices::new(name, outputs),
            backend: KeyedBackend::new(KeyHasher::default()),
            timers: TimerService::new(),
            hasher: KeyHasher::default(),
            expected_keys: 0,
            busy: false,
            firing_processing: false,
            firing_event: false,
            waiting: VecDeque::new(),
            tables: Vec::new(),
            timer_count: Gauge::default(),
            snapshot: None,
        }
    }

    /// Opens the outputs, then the function, which registers its state; then restores from the checkpoint, if any.
    pub(super) fn open(
        &mut self,
        cx: &OpenContext,
        function: &mut impl KeyedFunction<K, D>,
    ) -> Result<(), OperatorError> {
        self.plain.open(cx)?;
        self.hasher = cx.hasher;
        self.backend = KeyedBackend::new(cx.hasher)
            .expecting(cx.share_of_keys(self.expected_keys), cx.hashes())
            .restoring(restored_entries(cx, &self.plain.uid))
            .durable(cx.checkpointing.enabled);
        let name = &self.plain.name;
        function
            .open(&mut KeyedOpenContext {
                open: cx,
                backend: &mut self.backend,
            })
            .map_err(|cause| OperatorError::function(name, cause))?;
        let gauges =
            |state: &Arc<str>| TableGauges::register(&format!("{name}.{state}").into(), cx);
        self.tables = self.backend.tables().map(|t| gauges(t.name())).collect();
        self.timer_count = cx.operator_metrics(name).gauge("timers");
        self.restore(cx)?;
        let reserved = KeyedSnapshot::names(&self.backend);
        (self.plain).restore(cx, true, reserved, |state| function.restore(state))
    }

    /// Restores states, timers and the watermark, and prepares for checkpoints.
    fn restore(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        let plain = &mut self.plain;
        let checkpointing = &cx.checkpointing;
        let snapshot = KeyedSnapshot::new(&plain.uid, &self.backend);
        let mut snapshot =
            snapshot.map_err(|cause| OperatorError::function(&plain.name, cause.into()))?;
        self.timers.note_changes(checkpointing.enabled);
        if let Some(restored) = &checkpointing.restored {
            let put_back = snapshot.restore(restored, cx, &mut self.backend, &mut self.timers);
            plain.watermark =
                put_back.map_err(|cause| OperatorError::restore(&plain.name, cause))?;
        }
        self.snapshot = checkpointing.enabled.then(|| Box::new(snapshot));
        Ok(())
    }

    /// Freezes states and timers for a checkpoint.
    fn freeze(&mut self, barrier: Barrier) {
        if let Some(snapshot) = &mut self.snapshot {
            let watermark = self.plain.watermark;
            snapshot.freeze(barrier, watermark, &mut self.backend, &mut self.timers);
        }
    }

    /// Writes part of what was frozen, down the chain; returns whether it is done.
    pub(super) fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let (backend, timers) = (&mut self.backend, &mut self.timers);
        let snapshot = self.snapshot.as_mut();
        let written = snapshot.is_none_or(|snapshot| snapshot.drain(out, backend, timers));
        self.plain.snapshot(out) && written
    }

    #[inline(always)]
    pub(super) fn hash(&self, key: &K) -> KeyHash {
        self.hasher.hash(key)
    }

    /// Prefetches the state of an upcoming key.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.backend.prefetch(hash, ahead);
    }

    /// Returns whether looking ahead pays.
    #[inline(always)]
    pub(super) fn looks_ahead(&self) -> bool {
        self.backend.looks_ahead()
    }

    /// Returns the context of a record of `key`, which has this hash, with timestamp `at`.
    #[inline(always)]
    pub(super) fn context<'a>(
        &'a mut self,
        key: &'a K,
        hash: KeyHash,
        at: Timestamp,
    ) -> KeyedContext<'a, K, D> {
        KeyedContext {
            hash,
            plain: self.plain.context(at),
            key,
            backend: &mut self.backend,
            timers: &mut self.timers,
        }
    }

    /// Starts a batch: due processing timers fire.
    #[inline]
    pub(super) fn begin(&mut self, now: Timestamp, function: &mut impl KeyedFunction<K, D>) {
        self.plain.begin(now);
        if self.timers.next_processing().is_some_and(|at| at <= now) {
            self.firing_processing = true;
            self.busy = true;
            self.work(&mut Budget::new(FIRINGS_MAX), function);
        }
    }

    /// Handles a signal: a watermark fires event timers before it is forwarded.
    pub(super) fn signal(&mut self, signal: Signal, function: &mut impl KeyedFunction<K, D>) {
        if signal.overtakes() && !self.busy {
            return self.accept(signal, function);
        }
        self.waiting.push_back(signal);
        self.busy = true;
        self.work(&mut Budget::new(FIRINGS_MAX), function);
    }

    pub(super) fn resume(&mut self, budget: &mut Budget, function: &mut impl KeyedFunction<K, D>) {
        self.plain.outputs.resume(budget);
        self.work(budget, function);
    }

    /// Fires what is due and forwards signals in order, until everything is done, the outputs are full or
    /// the budget is spent.
    fn work(&mut self, budget: &mut Budget, function: &mut impl KeyedFunction<K, D>) {
        while self.busy && self.plain.outputs.ready() {
            if self.firing_processing {
                let now = self.plain.now;
                self.firing_processing = !self.fire(TimeDomain::Processing, now, budget, function);
            } else if self.firing_event {
                let watermark = self.plain.watermark;
                if self.fire(TimeDomain::Event, watermark, budget, function) {
                    self.firing_event = false;
                    self.plain.outputs.signal(Signal::Watermark(watermark));
                }
            } else if let Some(signal) = self.waiting.pop_front() {
                self.accept(signal, function);
            } else {
                self.busy = false;
            }
            if budget.left() == 0 && (self.firing_processing || self.firing_event) {
                return;
            }
        }
    }

    /// Fires the timers due at `time` while there is room and budget; returns `true` if none is left.
    fn fire(
        &mut self,
        domain: TimeDomain,
        time: Timestamp,
        budget: &mut Budget,
        function: &mut impl KeyedFunction<K, D>,
    ) -> bool {
        while budget.left() > 0 && self.plain.outputs.ready() {
            let Some(timer) = self.timers.pop_due(domain, time) else {
                return true;
            };
            budget.take();
            let mut cx = KeyedContext {
                plain: PlainContext {
                    services: &mut self.plain,
                    timestamp: Some(timer.at),
                    output_at: match domain {
                        TimeDomain::Event => timer.at,
                        TimeDomain::Processing => Timestamp::MIN,
                    },
                },
                key: timer.key.key(),
                hash: timer.hash,
                backend: &mut self.backend,
                timers: &mut self.timers,
            };
            let outcome = function.on_timer(timer.at, domain, &mut cx);
            self.plain.check(outcome);
        }
        false
    }

    fn accept(&mut self, signal: Signal, function: &mut impl KeyedFunction<K, D>) {
        match signal {
            Signal::Watermark(at) => {
                if at > self.plain.watermark {
                    self.plain.watermark = at;
                    self.firing_event = true;
                }
            }
            Signal::Barrier(barrier) => {
                self.freeze(barrier);
                (self.plain).capture(barrier, true, |state| function.snapshot(state));
                self.plain.outputs.signal(signal);
            }
            Signal::End => {
                self.timers.end();
                self.plain.outputs.signal(signal);
            }
            _ => self.plain.outputs.signal(signal),
        }
    }

    #[inline(always)]
    pub(super) fn ready(&self) -> bool {
        !self.busy && self.plain.outputs.ready()
    }

    pub(super) fn takes_barrier(&self) -> bool {
        !self.busy && self.plain.outputs.takes_barrier()
    }

    pub(super) fn flush(&mut self) {
        self.timers.refresh();
        for (gauges, table) in self.tables.iter_mut().zip(self.backend.tables()) {
            gauges.publish(table.len(), || table.memory_bytes());
        }
        self.timer_count.set(self.timers.len() as i64);
        self.plain.outputs.flush();
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        earlier(self.timers.next_processing(), self.plain.outputs.deadline())
    }
}

/// What a keyed process function is given when it opens, and where it registers its state.
#[derive(Debug)]
pub struct KeyedOpenContext<'a, K: Key + ?Sized> {
    open: &'a OpenContext,
    backend: &'a mut KeyedBackend<K>,
}

impl<K: Key + ?Sized> std::ops::Deref for KeyedOpenContext<'_, K> {
    type Target = OpenContext;

    fn deref(&self) -> &OpenContext {
        self.open
    }
}

impl<K: Key + ?Sized> KeyedOpenContext<'_, K> {
    /// Returns the operator's keyed state, from which state handles are created.
    pub fn state(&mut self) -> &mut KeyedBackend<K> {
        self.backend
    }
}
