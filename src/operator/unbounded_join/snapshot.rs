//! What is checkpointed of an unbounded join: the records of both inputs.

use std::borrow::Borrow;
use std::ops::Range;
use std::sync::Arc;

use crate::checkpoint::{CheckpointError, SnapshotOutput};
use crate::operator::key_context::Stored;
use crate::operator::log_snapshot::{LogSnapshot, Logged};
use crate::operator::{Barrier, OpenContext, OperatorError, Push};
use crate::record::{Key, KeyHash, KeySelector, StoredKey, Wire};
use crate::state::{ChunkPool, Extent, RecordLog, StateKind};

use super::operator::UnboundedJoin;
use super::records::Kept;

/// The names of the states.
const LEFT: &str = "left";
const RIGHT: &str = "right";

/// The progress of one input's snapshots.
struct SideSnapshot {
    log: LogSnapshot,
    /// The places that are frozen and have not been written.
    frozen: Range<usize>,
    /// How many records there were at the last barrier.
    saved: usize,
}

impl SideSnapshot {
    fn of<S: StoredKey, V: Wire + ?Sized>(uid: &Arc<str>, name: &str) -> Self {
        SideSnapshot {
            log: LogSnapshot::of::<S, V>(uid, name, StateKind::List),
            frozen: 0..0,
            saved: 0,
        }
    }

    /// Freezes a log of `len` records.
    fn freeze(&mut self, barrier: Barrier, len: usize) {
        let start = match self.log.freeze(barrier) {
            Extent::Whole => 0,
            Extent::Changes => self.saved,
        };
        (self.frozen, self.saved) = (start..len, len);
    }

    /// Writes part of what was frozen of `log`; returns whether it is done.
    fn drain<V: Wire + ?Sized, S: KeySelector<V>>(
        &mut self,
        records: &RecordLog<V>,
        selector: &S,
        out: &mut SnapshotOutput<'_>,
    ) -> bool {
        if let Some(settled) = self.log.settled(out) {
            return settled;
        }
        if out.budget() == 0 {
            return false;
        }
        self.log.write(0, &mut self.frozen, out, |place| {
            let record = records.get(place);
            (selector.key(record).borrow().to_stored(), record)
        });
        if self.frozen.is_empty() {
            self.log.finish(out);
        }
        self.frozen.is_empty()
    }
}

/// The progress of one join's snapshots.
pub(super) struct JoinSnapshot {
    left: SideSnapshot,
    right: SideSnapshot,
}

impl<L, R, S1, S2, F, O, D> UnboundedJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: FnMut(&L, &R) -> O + Send,
    D: Push<O>,
{
    /// Freezes both logs for a checkpoint: every record that has arrived is linked, and its pairs have been emitted.
    pub(super) fn freeze(&mut self, barrier: Barrier) {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.left.freeze(barrier, self.left.log.len());
            snapshot.right.freeze(barrier, self.right.log.len());
        }
    }

    /// Writes part of what was frozen; returns whether it is done.
    pub(super) fn drain(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let Some(snapshot) = &mut self.snapshot else {
            return true;
        };
        let (left, right) = (&mut snapshot.left, &mut snapshot.right);
        left.drain(&self.left.log, &self.selectors.0, out)
            && right.drain(&self.right.log, &self.selectors.1, out)
    }

    /// Restores from the checkpoint, if any, and prepares for checkpoints.
    pub(super) fn restore(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        let snapshot = JoinSnapshot {
            left: SideSnapshot::of::<Stored<L, S1>, L>(&self.uid, LEFT),
            right: SideSnapshot::of::<Stored<L, S1>, R>(&self.uid, RIGHT),
        };
        let put_back = self.put_back(&snapshot, cx);
        put_back.map_err(|cause| OperatorError::restore(&self.name, cause))?;
        let longest = self.left.log.len().max(self.right.log.len());
        if u32::try_from(longest).is_err() {
            let operator = Arc::clone(&self.name);
            return Err(OperatorError::JoinTooLarge { operator });
        }
        self.snapshot = cx.checkpointing.enabled.then(|| Box::new(snapshot));
        Ok(())
    }

    fn put_back(
        &mut self,
        snapshot: &JoinSnapshot,
        cx: &OpenContext,
    ) -> Result<(), CheckpointError> {
        if let Some(restored) = &cx.checkpointing.restored {
            let (table, spare) = (&mut self.table, &mut self.spare);
            let left = &mut self.left;
            (snapshot.left.log).restore::<Stored<L, S1>, L>(restored, cx, |_, logged| {
                add(left, spare, logged, |key, hash| {
                    &mut Self::heads(table, key, hash).left
                });
            })?;
            let right = &mut self.right;
            (snapshot.right.log).restore::<Stored<L, S1>, R>(restored, cx, |_, logged| {
                add(right, spare, logged, |key, hash| {
                    &mut Self::heads(table, key, hash).right
                });
            })?;
        }
        cx.check_restored(&self.uid, |name| [LEFT, RIGHT].contains(&name))
    }
}

/// Adds a restored record to its log, and links it to those with its key.
fn add<'a, S: StoredKey, V: Wire + ?Sized>(
    kept: &mut Kept<V>,
    spare: &mut ChunkPool,
    logged: Logged<'_, S, V>,
    head: impl FnOnce(&S::Key, KeyHash) -> &'a mut u32,
) {
    if let Logged::Record { hash, key, record } = logged {
        kept.log.push(record, spare);
        // Too long a log is refused when all of it is there.
        let link = kept.log.len() as u32;
        let before = std::mem::replace(head(key.key(), hash), link);
        kept.links.push(&before, spare);
    }
}
