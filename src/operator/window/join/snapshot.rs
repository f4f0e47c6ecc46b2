//! What is checkpointed of a window join: the records of every slice, by input, and how far
//! [time](super::super::progress) had advanced.
//!
//! The namespace of a record is the number of its slice. What a barrier freezes of a slice is a range of its
//! log; a slice that is over before it is written is *held* until then. No firing is in progress when a barrier
//! passes, and none is due for a window that the watermark has passed: so the records and the watermark are
//! the complete state of a subtask. If subtasks had not advanced equally far, their windows can be combined
//! only if what has fired is gone.

use std::borrow::Borrow;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use crate::checkpoint::{CheckpointError, Restored, SnapshotOutput};
use crate::operator::key_context::Stored;
use crate::operator::log_snapshot::{LogSnapshot, Logged};
use crate::operator::window::progress::{PROGRESS, Progress};
use crate::operator::{Barrier, OpenContext, OperatorError, Push};
use crate::record::{Key, KeySelector, StoredKey, Wire};
use crate::state::{ChunkPool, Extent, RecordLog, StateKind};
use crate::time::Timestamp;

use super::function::JoinFunction;
use super::operator::WindowJoin;
use super::state::{Sides, SliceId};

/// The names of the states.
const LEFT: &str = "left";
const RIGHT: &str = "right";

/// The progress of one input's snapshots.
struct SideSnapshot {
    log: LogSnapshot,
    /// The slices that were over when the barrier passed, and that are in the previous checkpoint.
    dropped: Vec<i64>,
    /// The slices before this one have been written.
    next: i64,
}

impl SideSnapshot {
    fn of<S: StoredKey, V: Wire + ?Sized>(uid: &Arc<str>, name: &str) -> Self {
        SideSnapshot {
            log: LogSnapshot::of::<S, V>(uid, name, StateKind::Window),
            dropped: Vec::new(),
            next: 0,
        }
    }

    /// Freezes the logs of all slices.
    fn freeze<V: ?Sized>(
        &mut self,
        barrier: Barrier,
        sides: &mut Sides<V>,
        slices: &VecDeque<(i64, SliceId)>,
    ) {
        let extent = self.log.freeze(barrier);
        self.next = i64::MIN;
        self.dropped = std::mem::take(&mut sides.dropped);
        for &(_, id) in slices {
            let side = sides.get_mut(id);
            let start = match extent {
                Extent::Whole => 0,
                Extent::Changes => side.saved,
            };
            side.saved = side.log.len();
            side.frozen = start..side.saved;
        }
    }

    /// Writes part of what was frozen; returns whether it is done.
    fn drain<V: Wire + ?Sized, S: KeySelector<V>>(
        &mut self,
        (sides, slices): (&mut Sides<V>, &VecDeque<(i64, SliceId)>),
        spare: &mut ChunkPool,
        selector: &S,
        out: &mut SnapshotOutput<'_>,
    ) -> bool {
        if let Some(settled) = self.log.settled(out) {
            return settled;
        }
        for number in self.dropped.drain(..) {
            self.log.drop_namespace(number, out);
        }
        while out.budget() > 0 {
            if let Some(held) = sides.held.last_mut() {
                write(
                    &mut self.log,
                    held.number,
                    &mut held.frozen,
                    &held.log,
                    selector,
                    out,
                );
                if held.frozen.is_empty()
                    && let Some(mut held) = sides.held.pop()
                {
                    held.log.clear(spare);
                }
                continue;
            }
            let place = slices.partition_point(|&(number, _)| number < self.next);
            let Some(&(number, id)) = slices.get(place) else {
                self.log.finish(out);
                return true;
            };
            let side = sides.get_mut(id);
            write(
                &mut self.log,
                number,
                &mut side.frozen,
                &side.log,
                selector,
                out,
            );
            if side.frozen.is_empty() {
                self.next = number.saturating_add(1);
            }
        }
        false
    }
}

/// Writes some of the frozen records of one slice.
fn write<V: Wire + ?Sized, S: KeySelector<V>>(
    snapshot: &mut LogSnapshot,
    number: i64,
    frozen: &mut Range<usize>,
    log: &RecordLog<V>,
    selector: &S,
    out: &mut SnapshotOutput<'_>,
) {
    snapshot.write(number, frozen, out, |place| {
        let record = log.get(place);
        (selector.key(record).borrow().to_stored(), record)
    });
}

/// The progress of one join's snapshots.
pub(super) struct JoinSnapshot {
    left: SideSnapshot,
    right: SideSnapshot,
    progress: Progress,
}

impl<L, R, S1, S2, F, D> WindowJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: JoinFunction<S1::Key, L, R>,
    D: Push<F::Out>,
{
    /// Freezes all logs for a checkpoint.
    pub(super) fn freeze(&mut self, barrier: Barrier) {
        let Some(snapshot) = &mut self.snapshot else {
            return;
        };
        self.state.settle();
        let state = &mut self.state;
        (snapshot.left).freeze(barrier, &mut state.left, &state.slices);
        (snapshot.right).freeze(barrier, &mut state.right, &state.slices);
        (snapshot.progress).capture(barrier.checkpoint, self.watermark, Timestamp::MIN);
    }

    /// Writes part of what was frozen; returns whether it is done.
    pub(super) fn drain(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let Some(snapshot) = &mut self.snapshot else {
            return true;
        };
        self.state.settle();
        let (state, keys) = (&mut self.state, &self.keys);
        let (slices, spare) = (&state.slices, &mut state.spare);
        let left = (&mut state.left, slices);
        snapshot.left.drain(left, spare, &keys.left, out)
            && {
                let right = (&mut state.right, slices);
                snapshot.right.drain(right, spare, &keys.right, out)
            }
            && snapshot.progress.drain(out)
    }

    /// Restores from the checkpoint, if any, and prepares for checkpoints.
    pub(super) fn restore(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        let snapshot = JoinSnapshot {
            left: SideSnapshot::of::<Stored<L, S1>, L>(&self.uid, LEFT),
            right: SideSnapshot::of::<Stored<L, S1>, R>(&self.uid, RIGHT),
            progress: Progress::new(&self.uid, self.slicing),
        };
        let put_back = self.put_back(&snapshot, cx);
        put_back.map_err(|cause| OperatorError::restore(&self.name, cause))?;
        self.snapshot = cx.checkpointing.enabled.then(|| Box::new(snapshot));
        Ok(())
    }

    fn put_back(
        &mut self,
        snapshot: &JoinSnapshot,
        cx: &OpenContext,
    ) -> Result<(), CheckpointError> {
        if let Some(restored) = &cx.checkpointing.restored {
            let state = &mut self.state;
            let log = &snapshot.left.log;
            for (number, log) in slices::<Stored<L, S1>, L>(log, restored, cx, &mut state.spare)? {
                let id = state.slice(number);
                state.left.get_mut(id).log = log;
            }
            let log = &snapshot.right.log;
            for (number, log) in slices::<Stored<L, S1>, R>(log, restored, cx, &mut state.spare)? {
                let id = state.slice(number);
                state.right.get_mut(id).log = log;
            }
            let times = snapshot.progress.restore(restored, cx)?;
            let watermarks = times.watermark..=times.highest;
            if (self.slicing).has_fired_apart(self.lateness, &watermarks) {
                return Err(CheckpointError::FixedParallelism {
                    saved: restored.parallelism(&self.uid),
                    operator: Arc::clone(&self.uid),
                });
            }
            self.watermark = times.watermark;
        }
        let own = [LEFT, RIGHT, PROGRESS];
        cx.check_restored(&self.uid, |name| own.contains(&name))
    }
}

/// The logs of one input, by slice.
type Slices<V> = BTreeMap<i64, RecordLog<V>>;

/// Returns what a checkpoint has for one input. A slice may have ended in one of the old subtasks and not in
/// another, so each subtask's records are collected separately.
fn slices<S: StoredKey, V: Wire + ?Sized>(
    snapshot: &LogSnapshot,
    restored: &Restored,
    cx: &OpenContext,
    spare: &mut ChunkPool,
) -> Result<Slices<V>, CheckpointError> {
    let (mut all, mut own) = (Slices::<V>::new(), Slices::<V>::new());
    let mut current = 0;
    snapshot.restore::<S, V>(restored, cx, |(subtask, number), logged| {
        if subtask != current {
            current = subtask;
            unite(&mut all, &mut own, spare);
        }
        match logged {
            Logged::Record { record, .. } => {
                own.entry(number).or_default().push(record, spare);
            }
            Logged::Dropped => {
                if let Some(mut log) = own.remove(&number) {
                    log.clear(spare);
                }
            }
        }
    })?;
    unite(&mut all, &mut own, spare);
    Ok(all)
}

/// Appends the records of one subtask, if any, to those of others.
fn unite<V: Wire + ?Sized>(all: &mut Slices<V>, own: &mut Slices<V>, spare: &mut ChunkPool) {
    for (number, mut log) in std::mem::take(own) {
        let united = all.entry(number).or_default();
        if united.is_empty() {
            *united = log;
        } else {
            (0..log.len()).for_each(|place| united.push(log.get(place), spare));
            log.clear(spare);
        }
    }
}
