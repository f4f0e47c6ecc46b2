//! A subtask: one parallel instance of a fused region, driven by its heads.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::checkpoint::PieceSink;
use crate::metrics::Counter;
use crate::operator::{
    Barrier, Budget, OpenContext, OperatorError, SubtaskInfo, earlier, first_error,
};
use crate::time::Timestamp;

use super::batch::{Batch, BatchSize};
use super::head::{Head, Notice, Progress, Turn};
use super::pace::Pace;
use super::subtask_snapshot::{Message, SubtaskSnapshot};

/// The state of a subtask (Flink's task states, as far as a worker sees them).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lifecycle {
    /// Built, not yet opened.
    Deploying,
    /// Opened: records flow.
    Running,
    /// The end of input has passed through; its state is still part of checkpoints.
    AtEnd,
    /// The end of input has passed through; to be closed when there is nothing else to do.
    Ended,
    /// The end of input has passed through; closed.
    Finished,
    /// A user function, source or sink failed; closed.
    Failed,
    /// Cancelled; closed.
    Canceled,
}

/// Time that a subtask spent, in nanoseconds.
#[derive(Debug, Default)]
struct Times {
    busy: Counter,
    back_pressured: Counter,
    idle: Counter,
}

/// Idle time is recorded once it amounts to this many nanoseconds, or when something is done.
const IDLE_NANOS: u64 = 1_000_000;

/// How long a subtask waits if its snapshot cannot proceed, in nanoseconds.
const SNAPSHOT_NANOS: i64 = 200_000;

/// One parallel instance of a vertex.
pub(crate) struct Subtask {
    /// Its index in the execution graph.
    place: usize,
    cx: OpenContext,
    heads: Vec<Box<dyn Head>>,
    pace: Pace,
    lifecycle: Lifecycle,
    times: Times,
    batch: Batch,
    /// The job is ending.
    finishing: bool,
    /// Present if there are checkpoints.
    snapshot: Option<SubtaskSnapshot>,
    /// An error that came between two turns, for the next one.
    broken: Option<OperatorError>,
    /// Messages not yet sent to the job master.
    messages: Vec<Message>,
    /// When the last turn ended, by the worker's monotonic clock.
    turned_at: u64,
}

impl std::fmt::Debug for Subtask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let barriers = self.heads.iter().map(|head| head.barrier());
        f.debug_struct("Subtask")
            .field("info", &self.cx.subtask)
            .field("lifecycle", &self.lifecycle)
            .field("barriers", &barriers.collect::<Vec<_>>())
            .field(
                "snapshot",
                &self.snapshot.as_ref().map(SubtaskSnapshot::current),
            )
            .finish_non_exhaustive()
    }
}

impl Subtask {
    pub(crate) fn new(
        place: usize,
        cx: OpenContext,
        heads: Vec<Box<dyn Head>>,
        batch: BatchSize,
    ) -> Self {
        Subtask {
            place,
            cx,
            pace: Pace::new(heads.len()),
            heads,
            lifecycle: Lifecycle::Deploying,
            finishing: false,
            snapshot: None,
            broken: None,
            messages: Vec::new(),
            times: Times::default(),
            batch: Batch::new(batch),
            turned_at: 0,
        }
    }

    /// Which subtask this is.
    pub(crate) fn info(&self) -> &SubtaskInfo {
        &self.cx.subtask
    }

    /// Its index in the execution graph.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Makes it take part in checkpoints; the pieces go to `sink`.
    pub(crate) fn take_snapshots(&mut self, sink: Box<dyn PieceSink + Send>) {
        self.snapshot = Some(SubtaskSnapshot::new(self.cx.subtask.index, sink));
    }

    /// Whether it is not closed yet.
    pub(crate) fn is_running(&self) -> bool {
        self.takes_turns() || self.lifecycle == Lifecycle::Ended
    }

    /// Whether it has more to do than to be closed.
    pub(crate) fn takes_turns(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Running | Lifecycle::AtEnd)
    }

    /// Takes the messages not yet sent to the job master.
    pub(crate) fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages)
    }

    /// Handles a notice about a checkpoint.
    ///
    /// # Errors
    /// If a source panics; the subtask was closed.
    pub(crate) fn notice(&mut self, notice: Notice) -> Result<(), OperatorError> {
        if !self.takes_turns() {
            return Ok(());
        }
        if let (Notice::Overtake(barrier), Some(snapshot)) = (notice, &mut self.snapshot)
            && snapshot.overtake(barrier)
        {
            return Ok(());
        }
        match (notice, &mut self.snapshot) {
            (Notice::Triggered(barrier), Some(snapshot)) => {
                if let Some(barrier) = snapshot.trigger(barrier) {
                    self.trigger(barrier);
                }
                return Ok(());
            }
            (Notice::Aborted(checkpoint), Some(snapshot)) => snapshot.abort(checkpoint),
            _ => {}
        }
        let heads = &mut self.heads;
        let noticed = guarded(|| {
            for head in heads {
                // Only a source that cannot report its position objects, and only to a trigger.
                let _ = head.notice(notice);
            }
            Ok(())
        });
        match noticed {
            Ok(()) => self.trigger_next(),
            Err(_) => self.end(Lifecycle::Failed),
        }
        noticed
    }

    /// Triggers the next waiting checkpoint, if it can start.
    fn trigger_next(&mut self) {
        if let Some(barrier) = self.snapshot.as_mut().and_then(SubtaskSnapshot::next) {
            self.trigger(barrier);
        }
    }

    fn trigger(&mut self, barrier: Barrier) {
        for head in &mut self.heads {
            let told = guarded(|| {
                let told = head.notice(Notice::Triggered(barrier));
                told.map_err(|cause| OperatorError::function(&self.cx.subtask.vertex, cause))
            });
            if let Err(error) = told {
                self.messages.push(Message::Declined {
                    checkpoint: barrier.checkpoint,
                    reason: error.to_string(),
                });
                return;
            }
        }
    }

    /// Writes part of what the last barrier has frozen. Returns whether anything was written.
    fn write_snapshot(&mut self) -> bool {
        let Some(snapshot) = &mut self.snapshot else {
            return false;
        };
        let message = snapshot.write(&mut self.heads);
        let wrote = message.is_some() || snapshot.has_work();
        self.messages.extend(message);
        self.trigger_next();
        wrote
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
        let opened = guarded(|| heads.iter_mut().try_for_each(|head| head.open(cx)));
        // Nothing else is read from it: its files can go once the checkpoint is not retained any more.
        self.cx.checkpointing.restored = None;
        match opened {
            Ok(()) => self.lifecycle = Lifecycle::Running,
            Err(_) => self.end(Lifecycle::Failed),
        }
        opened
    }

    /// Gives every head a batch, at processing time `now`. `at` is a reading of the monotonic clock; it is set
    /// to a later one if the time of the turn was recorded.
    ///
    /// # Errors
    /// The error that occurred; the subtask was closed.
    pub(crate) fn poll(&mut self, now: Timestamp, at: &mut u64) -> Result<Progress, OperatorError> {
        if let Some(error) = self.broken.take() {
            self.end(Lifecycle::Failed);
            return Err(error);
        }
        let started_at = *at;
        let slowest = self.pace.slowest(|index| {
            let head = &self.heads[index];
            head.event_time().filter(|_| !head.is_done())
        });
        let (heads, batch) = (&mut self.heads, self.batch.records());
        let pace = &mut self.pace;
        let snapshots = self.snapshot.as_ref();
        let written = snapshots.map_or(0, SubtaskSnapshot::written);
        let queued = heads.iter().map(|head| head.barrier_queued());
        let mut taken = queued.max().unwrap_or(0);
        let mut used_up = false;
        let waits = self.snapshot.as_ref().is_some_and(SubtaskSnapshot::is_full);
        let mut polled = guarded(|| {
            if waits {
                return Ok(Progress::Blocked);
            }
            let mut progress = Progress::Idle;
            for (index, head) in heads.iter_mut().enumerate() {
                if head.is_done() {
                    continue;
                }
                let share = slowest.and_then(|slowest| slowest.share(head.event_time()));
                if share == Some(0) {
                    progress = Progress::Worked;
                    continue;
                }
                let records = share.map_or(batch, |share| share.min(batch));
                let mut turn = Turn {
                    now,
                    budget: Budget::new(records),
                    written,
                    taken,
                };
                progress = progress.max(head.poll(&mut turn)?);
                taken = taken.max(head.barrier_queued());
                pace.note(index, records - turn.budget.left());
                used_up |= turn.budget.left() == 0 && share.is_none();
            }
            if can_overtake(heads, written) {
                heads.iter_mut().for_each(|head| head.overtake());
                progress = Progress::Worked;
            }
            Ok(progress)
        });
        if polled.is_ok() && self.snapshot.is_some() {
            match guarded(|| Ok(self.write_snapshot())) {
                Ok(true) => polled = Ok(Progress::Worked),
                Ok(false) => {}
                Err(error) => polled = Err(error),
            }
        }
        match &polled {
            // Idle time is recorded only now and then, to keep turns without work as cheap as possible.
            Ok(Progress::Idle) if started_at - self.turned_at < IDLE_NANOS => {}
            Ok(progress) => *at = self.account(*progress, started_at, used_up),
            Err(_) => self.end(Lifecycle::Failed),
        }
        if polled.is_ok() {
            self.end_turn()?;
        }
        polled
    }

    /// Advances the subtask's life cycle once its heads are done.
    fn end_turn(&mut self) -> Result<(), OperatorError> {
        if self.lifecycle == Lifecycle::Running && self.heads.iter().all(|head| head.is_done()) {
            if self.snapshot.is_none() {
                self.lifecycle = Lifecycle::Ended;
                return Ok(());
            }
            self.lifecycle = Lifecycle::AtEnd;
            self.messages.push(Message::AtEnd);
        }
        if self.finishing && self.heads.iter().all(|head| head.is_settled()) {
            return self.close();
        }
        Ok(())
    }

    /// Makes it close as soon as all pending signals have been passed on: the job is ending.
    pub(crate) fn finish(&mut self) {
        self.finishing = true;
    }

    /// Records the time since the last turn: a turn that worked was busy, and the time before it idle. Returns when it
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

    /// Sets how many records a turn may process.
    pub(crate) fn set_batch(&mut self, size: BatchSize) {
        self.batch = Batch::new(size);
    }

    /// Closes it if it has ended; returns whether it did. Call this when there is nothing else to do: freeing
    /// large tables or a large file can take longer than many turns.
    ///
    /// # Errors
    /// The error that occurred; the subtask is closed.
    pub(crate) fn close_ended(&mut self) -> Result<bool, OperatorError> {
        let ended = self.lifecycle == Lifecycle::Ended;
        if ended {
            self.close()?;
        }
        Ok(ended)
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

    /// Closes every head, even if closing another one fails; then frees rings, state and functions.
    fn close_heads(&mut self) -> Result<(), OperatorError> {
        let close = |head: &mut Box<dyn Head>| guarded(|| head.close());
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

    /// Cancels the subtask.
    pub(crate) fn cancel(&mut self) {
        if self.lifecycle == Lifecycle::Deploying || self.is_running() {
            self.end(Lifecycle::Canceled);
        }
    }

    /// Whether a turn would do something now.
    pub(crate) fn has_work(&mut self) -> bool {
        if !self.takes_turns() {
            return false;
        }
        let snapshot = self.snapshot.as_ref();
        let writes = snapshot.is_some_and(SubtaskSnapshot::has_work);
        let waits = snapshot.is_some_and(SubtaskSnapshot::is_full);
        if self.finishing || writes || self.broken.is_some() {
            return true;
        }
        if waits {
            return false;
        }
        // To find out, a chain that has no room tries to go on, which runs user code.
        let heads = &mut self.heads;
        let written = snapshot.map_or(0, SubtaskSnapshot::written);
        let has_work =
            || Ok(can_overtake(heads, written) || heads.iter_mut().any(|head| head.has_work()));
        guarded(has_work).unwrap_or_else(|error| {
            self.broken = Some(error);
            true
        })
    }

    /// When a turn is needed even if nothing arrives.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        // A snapshot that waits for its writer is retried soon.
        let snapshot = self.snapshot.as_ref().and_then(SubtaskSnapshot::current);
        let again = snapshot.map(|_| self.cx.clock.now().saturating_add(SNAPSHOT_NANOS));
        self.heads
            .iter()
            .fold(again, |soonest, head| earlier(soonest, head.deadline()))
    }
}

#[cfg(test)]
#[path = "subtask_test.rs"]
mod tests;

/// Whether a barrier that was postponed can now overtake: everywhere in the subtask, and nothing frozen for another
/// checkpoint is left to write, `written` being the last whose state is.
fn can_overtake(heads: &[Box<dyn Head>], written: u64) -> bool {
    let Some(checkpoint) = heads.iter().find_map(|head| head.postponed()) else {
        return false;
    };
    heads.iter().all(|head| {
        let taken = head.barrier_queued();
        (taken <= written || taken == checkpoint) && head.lets_overtake(checkpoint)
    })
}

/// Runs user code; a panic becomes an error.
fn guarded<T>(run: impl FnOnce() -> Result<T, OperatorError>) -> Result<T, OperatorError> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|payload| Err(OperatorError::from_panic(payload)))
}
