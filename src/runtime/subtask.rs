//! A subtask: one parallel instance of a fused region, driven by its heads.
//!
//! Where several of them are sources, they get on together in event time: one that is ahead of another takes
//! short batches while that one has records at hand. What waits for the watermark of both, the windows of a
//! join above all, would otherwise pile up for as long as there is a backlog. None is ever stopped, so nothing
//! can wait for itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::metrics::Counter;
use crate::operator::{Budget, OpenContext, OperatorError, SubtaskInfo, earlier, first_error};
use crate::time::Timestamp;

use super::batch::{Batch, BatchSize};
use super::head::{Head, Progress, Turn};

/// Where a subtask is in its life (Flink's task states, those that a worker sees).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lifecycle {
    /// Built, not yet opened.
    Deploying,
    /// Opened: records flow.
    Running,
    /// The end of input has gone through; closed.
    Finished,
    /// A user function, source or sink failed; closed.
    Failed,
    /// Closed from outside.
    Canceled,
}

/// Time that a subtask spent, in nanoseconds.
#[derive(Debug, Default)]
struct Times {
    busy: Counter,
    back_pressured: Counter,
    idle: Counter,
}

/// Idle time is booked when it has come to this many nanoseconds, or something is done.
const IDLE_NANOS: u64 = 1_000_000;

/// Which part of a batch a head takes that is ahead of another one in event time.
const SHARE_AHEAD: u32 = 8;

/// A head, and whether its last turn used its batch up: it has more at hand.
struct Driven {
    head: Box<dyn Head>,
    used_up: bool,
}

/// One parallel instance of a vertex.
pub(crate) struct Subtask {
    cx: OpenContext,
    heads: Vec<Driven>,
    lifecycle: Lifecycle,
    times: Times,
    batch: Batch,
    /// When the last turn ended, by the worker's monotonic clock.
    turned_at: u64,
}

impl Subtask {
    pub(crate) fn new(cx: OpenContext, heads: Vec<Box<dyn Head>>, batch: BatchSize) -> Self {
        let lifecycle = Lifecycle::Deploying;
        let driven = |head| Driven {
            head,
            used_up: false,
        };
        Subtask {
            cx,
            heads: heads.into_iter().map(driven).collect(),
            lifecycle,
            times: Times::default(),
            batch: Batch::new(batch),
            turned_at: 0,
        }
    }

    /// Which subtask this is.
    pub(crate) fn info(&self) -> &SubtaskInfo {
        &self.cx.subtask
    }

    /// Whether it has more to do.
    pub(crate) fn is_running(&self) -> bool {
        self.lifecycle == Lifecycle::Running
    }

    /// Opens every chain, tail first.
    ///
    /// # Errors
    /// The first error; the subtask has failed and was closed.
    pub(crate) fn open(&mut self) -> Result<(), OperatorError> {
        let metrics = self.cx.operator_metrics(&self.cx.subtask.vertex);
        self.times = Times {
            busy: metrics.counter("busy_nanos"),
            back_pressured: metrics.counter("back_pressured_nanos"),
            idle: metrics.counter("idle_nanos"),
        };
        self.turned_at = self.cx.clock.monotonic_nanos();
        let (cx, heads) = (&self.cx, &mut self.heads);
        let opened = guarded(|| heads.iter_mut().try_for_each(|driven| driven.head.open(cx)));
        match opened {
            Ok(()) => self.lifecycle = Lifecycle::Running,
            Err(_) => self.end(Lifecycle::Failed),
        }
        opened
    }

    /// One turn: every head for a batch, at processing time `now`. `at` is a reading of the monotonic clock,
    /// set to a later one where the turn took its time.
    ///
    /// # Errors
    /// What failed; the subtask was closed.
    pub(crate) fn poll(&mut self, now: Timestamp, at: &mut u64) -> Result<Progress, OperatorError> {
        let started_at = *at;
        let behind = self.behind();
        let (heads, batch) = (&mut self.heads, self.batch.records());
        let mut used_up = false;
        let polled = guarded(|| {
            let mut progress = Progress::Idle;
            for driven in heads.iter_mut().filter(|driven| !driven.head.is_done()) {
                let is_ahead = behind.is_some() && driven.head.event_time() > behind;
                let records = if is_ahead {
                    (batch / SHARE_AHEAD).max(1)
                } else {
                    batch
                };
                let mut turn = Turn {
                    now,
                    budget: Budget::new(records),
                };
                progress = progress.max(driven.head.poll(&mut turn)?);
                driven.used_up = turn.budget.left() == 0;
                used_up |= driven.used_up && !is_ahead;
            }
            Ok(progress)
        });
        match &polled {
            // Idle time is booked now and then: a turn without work costs as little as it can.
            Ok(Progress::Idle) if started_at - self.turned_at < IDLE_NANOS => {}
            Ok(progress) => *at = self.account(*progress, started_at, used_up),
            Err(_) => self.end(Lifecycle::Failed),
        }
        if polled.is_ok() && self.heads.iter().all(|driven| driven.head.is_done()) {
            self.close()?;
        }
        polled
    }

    /// The event time of the head that is furthest behind, of those that have more at hand; `None` where heads
    /// have no other to wait for.
    #[inline]
    fn behind(&self) -> Option<Timestamp> {
        if self.heads.len() < 2 {
            return None;
        }
        let at_hand = self.heads.iter().filter(|driven| driven.used_up);
        let running = at_hand.filter(|driven| !driven.head.is_done());
        running.filter_map(|driven| driven.head.event_time()).min()
    }

    /// Books the time since the last turn: a turn that worked was busy, and idle before it. Says when it
    /// ended.
    fn account(&mut self, progress: Progress, started_at: u64, used_up: bool) -> u64 {
        let now = self.cx.clock.monotonic_nanos();
        let (before, during) = (started_at - self.turned_at, now - started_at);
        match progress {
            Progress::Worked => {
                self.times.idle.add(before);
                self.times.busy.add(during);
            }
            Progress::Blocked => self.times.back_pressured.add(before + during),
            Progress::Idle => self.times.idle.add(before + during),
        }
        self.turned_at = now;
        if used_up {
            self.batch.fit(during);
        }
        now
    }

    /// How many records a turn may take.
    pub(crate) fn set_batch(&mut self, size: BatchSize) {
        self.batch = Batch::new(size);
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        let closed = self.close_heads();
        self.lifecycle = if closed.is_ok() {
            Lifecycle::Finished
        } else {
            Lifecycle::Failed
        };
        closed
    }

    /// Closes every head, whatever another one returns; then lets go of rings, state and functions.
    fn close_heads(&mut self) -> Result<(), OperatorError> {
        let close = |driven: &mut Driven| guarded(|| driven.head.close());
        let closed = first_error(self.heads.iter_mut().rev().map(close));
        self.heads.clear();
        closed
    }

    /// Ends the subtask's life early.
    fn end(&mut self, lifecycle: Lifecycle) {
        if let Err(error) = self.close_heads() {
            tracing::warn!(vertex = %self.cx.subtask.vertex, %error, "closing failed as well");
        }
        self.lifecycle = lifecycle;
    }

    /// Closes the subtask from outside.
    pub(crate) fn cancel(&mut self) {
        if matches!(self.lifecycle, Lifecycle::Deploying | Lifecycle::Running) {
            self.end(Lifecycle::Canceled);
        }
    }

    /// Whether a turn would do something now.
    pub(crate) fn has_work(&mut self) -> bool {
        // A panic on the way to sleep is met again, and reported, in the next turn.
        let heads = &mut self.heads;
        self.lifecycle == Lifecycle::Running
            && guarded(|| Ok(heads.iter_mut().any(|driven| driven.head.has_work()))).unwrap_or(true)
    }

    /// When a turn is wanted although nothing arrives.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.heads.iter().fold(None, |soonest, driven| {
            earlier(soonest, driven.head.deadline())
        })
    }
}

/// Runs user code; a panic becomes an error.
fn guarded<T>(run: impl FnOnce() -> Result<T, OperatorError>) -> Result<T, OperatorError> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|payload| Err(OperatorError::from_panic(payload)))
}
