//! What the process operators have in common: outputs, time, and firing timers in slices.
//!
//! A watermark starts a *pass* over the event timers that are due. A pass yields after
//! [`FIRINGS_MAX`] callbacks or when the outputs are full, and goes on in
//! [`resume`](super::Operator::resume); until it is done, the operator is not ready, signals that come
//! nevertheless wait in line, and the watermark is not forwarded.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::metrics::Gauge;
use crate::record::{Key, KeyHash, KeyHasher, StoredKey};
use crate::state::KeyedBackend;
use crate::time::Timestamp;

use super::key_context::TableGauges;
use super::process_context::{KeyedContext, PlainContext};
use super::timer_service::TimerService;
use super::{
    Budget, Lookahead, OpenContext, Operator, OperatorError, Outcome, Outputs, Signal, SubtaskInfo,
    TimeDomain, earlier, raise,
};

/// How many callbacks one signal or one batch's start may cause before the operator yields.
pub(super) const FIRINGS_MAX: u32 = 256;

/// The outputs and the time of a process operator.
pub(super) struct ProcessServices<D> {
    pub(super) name: Arc<str>,
    pub(super) outputs: Outputs<D>,
    pub(super) now: Timestamp,
    pub(super) watermark: Timestamp,
    subtask: Option<SubtaskInfo>,
}

impl<D: Operator> ProcessServices<D> {
    pub(super) fn new(name: Arc<str>, outputs: Outputs<D>) -> Self {
        ProcessServices {
            name,
            outputs,
            now: Timestamp::MIN,
            watermark: Timestamp::MIN,
            subtask: None,
        }
    }

    pub(super) fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        self.subtask = Some(cx.subtask.clone());
        self.outputs.open(cx)
    }

    pub(super) fn begin(&mut self, now: Timestamp) {
        self.now = now;
        self.outputs.begin(now);
    }

    /// Forwards a signal, noting a watermark.
    pub(super) fn signal(&mut self, signal: Signal) {
        if let Signal::Watermark(at) = signal {
            self.watermark = at;
        }
        self.outputs.signal(signal);
    }

    /// The context of a record with timestamp `at`, or with [`Timestamp::MIN`] of no record.
    #[inline(always)]
    pub(super) fn context(&mut self, at: Timestamp) -> PlainContext<'_, D> {
        PlainContext {
            services: self,
            timestamp: (!at.is_none()).then_some(at),
            output_at: at,
        }
    }

    /// Closes the outputs, then the function, whatever the outputs return.
    pub(super) fn close(&mut self, close: impl FnOnce() -> Outcome) -> Result<(), OperatorError> {
        let outputs = self.outputs.close();
        let function = close().map_err(|cause| OperatorError::function(&self.name, cause));
        outputs.and(function)
    }
}

impl<D> ProcessServices<D> {
    pub(super) fn subtask(&self) -> &SubtaskInfo {
        let opened = self.subtask.as_ref();
        opened.expect("a function is called between `open` and `close`")
    }

    /// Fails the subtask if `outcome` is an error.
    #[inline(always)]
    pub(super) fn check(&self, outcome: Outcome) {
        if let Err(cause) = outcome {
            raise(OperatorError::function(&self.name, cause));
        }
    }
}

/// What a keyed process operator has besides: state, timers, and the pass that is not finished.
pub(super) struct KeyedServices<K: Key + ?Sized, D> {
    pub(super) plain: ProcessServices<D>,
    pub(super) backend: KeyedBackend<K>,
    pub(super) timers: TimerService<K>,
    hasher: KeyHasher,
    /// How many keys all subtasks together will probably hold.
    pub(super) expected_keys: usize,
    /// Something of the three below is not finished.
    busy: bool,
    /// Processing timers may be due.
    firing_processing: bool,
    /// A watermark has come and is not forwarded yet.
    firing_event: bool,
    /// Signals behind that watermark.
    waiting: VecDeque<Signal>,
    tables: Vec<TableGauges>,
    timer_count: Gauge,
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
        }
    }

    /// Opens the outputs, then the function, which registers its state.
    pub(super) fn open(
        &mut self,
        cx: &OpenContext,
        open: impl FnOnce(&mut KeyedOpenContext<'_, K>) -> Outcome,
    ) -> Result<(), OperatorError> {
        self.plain.open(cx)?;
        self.hasher = cx.hasher;
        self.backend = KeyedBackend::new(cx.hasher)
            .expecting(cx.share_of_keys(self.expected_keys), cx.hashes());
        let name = &self.plain.name;
        open(&mut KeyedOpenContext {
            open: cx,
            backend: &mut self.backend,
        })
        .map_err(|cause| OperatorError::function(name, cause))?;
        let gauges =
            |state: &Arc<str>| TableGauges::register(&format!("{name}.{state}").into(), cx);
        self.tables = self.backend.tables().map(|t| gauges(t.name())).collect();
        self.timer_count = cx.operator_metrics(name).gauge("timers");
        Ok(())
    }

    #[inline(always)]
    pub(super) fn hash(&self, key: &K) -> KeyHash {
        self.hasher.hash(key)
    }

    /// Fetches the state of a key that comes soon.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.backend.prefetch(hash, ahead);
    }

    /// Whether fetching ahead is worth it.
    #[inline(always)]
    pub(super) fn looks_ahead(&self) -> bool {
        self.backend.looks_ahead()
    }

    /// The context of a record of `key`, which has this hash, with timestamp `at`.
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
    pub(super) fn begin<F>(&mut self, now: Timestamp, on_timer: F)
    where
        F: FnMut(Timestamp, TimeDomain, &mut KeyedContext<'_, K, D>) -> Outcome,
    {
        self.plain.begin(now);
        if self.timers.next_processing().is_some_and(|at| at <= now) {
            self.firing_processing = true;
            self.busy = true;
            self.work(&mut Budget::new(FIRINGS_MAX), on_timer);
        }
    }

    /// Takes a signal: a watermark fires event timers before it goes on.
    pub(super) fn signal<F>(&mut self, signal: Signal, on_timer: F)
    where
        F: FnMut(Timestamp, TimeDomain, &mut KeyedContext<'_, K, D>) -> Outcome,
    {
        self.waiting.push_back(signal);
        self.busy = true;
        self.work(&mut Budget::new(FIRINGS_MAX), on_timer);
    }

    pub(super) fn resume<F>(&mut self, budget: &mut Budget, on_timer: F)
    where
        F: FnMut(Timestamp, TimeDomain, &mut KeyedContext<'_, K, D>) -> Outcome,
    {
        self.plain.outputs.resume(budget);
        self.work(budget, on_timer);
    }

    /// Fires what is due and forwards signals in order, until all is done, the outputs are full or
    /// the budget is spent.
    fn work<F>(&mut self, budget: &mut Budget, mut on_timer: F)
    where
        F: FnMut(Timestamp, TimeDomain, &mut KeyedContext<'_, K, D>) -> Outcome,
    {
        while self.busy && self.plain.outputs.ready() {
            if self.firing_processing {
                let now = self.plain.now;
                self.firing_processing =
                    !self.fire(TimeDomain::Processing, now, budget, &mut on_timer);
            } else if self.firing_event {
                let watermark = self.plain.watermark;
                if self.fire(TimeDomain::Event, watermark, budget, &mut on_timer) {
                    self.firing_event = false;
                    self.plain.outputs.signal(Signal::Watermark(watermark));
                }
            } else if let Some(signal) = self.waiting.pop_front() {
                self.accept(signal);
            } else {
                self.busy = false;
            }
            if budget.left() == 0 && (self.firing_processing || self.firing_event) {
                return;
            }
        }
    }

    /// Fires timers that are due at `time` while there is room and budget; `true` if none is left.
    fn fire<F>(
        &mut self,
        domain: TimeDomain,
        time: Timestamp,
        budget: &mut Budget,
        on_timer: &mut F,
    ) -> bool
    where
        F: FnMut(Timestamp, TimeDomain, &mut KeyedContext<'_, K, D>) -> Outcome,
    {
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
            let outcome = on_timer(timer.at, domain, &mut cx);
            self.plain.check(outcome);
        }
        false
    }

    fn accept(&mut self, signal: Signal) {
        match signal {
            Signal::Watermark(at) => {
                if at > self.plain.watermark {
                    self.plain.watermark = at;
                    self.firing_event = true;
                }
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

/// What a keyed process function learns when it opens, and where it registers its state.
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
    /// The operator's keyed state, where handles are made.
    pub fn state(&mut self) -> &mut KeyedBackend<K> {
        self.backend
    }
}
