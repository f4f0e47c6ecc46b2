//! What is checkpointed of session windows: the sessions of every key, and the watermark.
//!
//! A session is stored with its alarm, which says whether it has fired; the agenda is rebuilt from the alarms.
//! If the old subtasks had different watermarks, a session may have fired although the restored watermark
//! has not reached its end: it does not fire for that end again.

use std::sync::Arc;

use crate::checkpoint::{CheckpointError, SnapshotOutput, StateRef, TableSnapshot};
use crate::operator::watermark_snapshot::WatermarkSnapshot;
use crate::operator::window::{WindowFunction, WindowTime};
use crate::operator::{Barrier, OpenContext, OperatorError, Push};
use crate::record::KeySelector;
use crate::seeded_bugs::seeded;
use crate::state::{StateKind, Table, TableOptions, encode_changes};
use crate::time::Timestamp;

use super::clockwork::Stored;
use super::gap::SessionGap;
use super::operator::SessionOperator;
use super::sessions::Sessions;

/// The names of the states.
const SESSIONS: &str = "sessions";
const WATERMARK: &str = "watermark";

/// The progress of one operator's snapshots.
pub(super) struct SessionSnapshot {
    sessions: TableSnapshot,
    watermark: WatermarkSnapshot,
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
    /// Creates the table, restores it from the checkpoint, if any, and prepares for checkpoints.
    pub(super) fn restore(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
        let clockwork = &self.clockwork;
        self.sessions = Table::new(TableOptions {
            hasher: cx.hasher,
            expected_keys: cx.share_of_keys(clockwork.expected_keys),
            restored_keys: cx.restored_entries(&clockwork.uid, SESSIONS),
            hashes: cx.hashes(),
            changes: (cx.checkpointing.enabled).then(encode_changes),
            ..TableOptions::default()
        });
        let state = StateRef::new(&clockwork.uid, SESSIONS);
        let snapshot = SessionSnapshot {
            sessions: TableSnapshot::of::<Stored<S::Key>, Sessions<F::Accumulator>>(
                state,
                StateKind::Window,
            ),
            watermark: WatermarkSnapshot::new(&clockwork.uid, WATERMARK),
        };
        let name = Arc::clone(&clockwork.name);
        let put_back = self.put_back(&snapshot, cx);
        put_back.map_err(|cause| OperatorError::restore(&name, cause))?;
        self.clockwork.snapshot = cx.checkpointing.enabled.then_some(snapshot);
        Ok(())
    }

    fn put_back(
        &mut self,
        snapshot: &SessionSnapshot,
        cx: &OpenContext,
    ) -> Result<(), CheckpointError> {
        if let Some(restored) = &cx.checkpointing.restored {
            let hashes = cx.hashes();
            (snapshot.sessions).restore(&mut self.sessions, restored, &hashes)?;
            self.pass(snapshot.watermark.restore(restored, cx)?);
            if !T::IS_EVENT && self.watermark > Timestamp::MIN {
                self.now = self.watermark.saturating_add(1);
            }
            self.make_appointments();
        }
        let own = [SESSIONS, WATERMARK];
        cx.check_restored(&self.clockwork.uid, |name| own.contains(&name))
    }

    /// Schedules the checks of the restored sessions, and shows the sessions to the function.
    fn make_appointments(&mut self) {
        let clockwork = &mut *self.clockwork;
        // The shortest one is about as long as a gap.
        let sessions = self
            .sessions
            .iter()
            .flat_map(|(_, sessions)| sessions.iter());
        let lengths = sessions.map(|s| s.window.end.0.saturating_sub(s.window.start.0));
        if let Some(gap) = lengths.min() {
            clockwork.agenda.fit(gap, self.watermark);
        }
        for (key, sessions) in self.sessions.iter() {
            for session in sessions.iter() {
                self.function.restored(&session.accumulator);
                if session.has_fired() {
                    self.fired_to = self.fired_to.max(session.window.max_timestamp());
                }
                if !session.is_kept_for_ever() && !seeded("alarms-not-restored") {
                    clockwork.add(session.alarm, key.clone());
                }
            }
        }
    }

    /// Freezes the sessions for a checkpoint: nothing fires while a signal arrives.
    pub(super) fn freeze(&mut self, barrier: Barrier) {
        if let Some(snapshot) = &mut self.clockwork.snapshot {
            let (checkpoint, extent) = (barrier.checkpoint, barrier.extent());
            (snapshot.sessions).freeze(&mut self.sessions, checkpoint, extent);
            snapshot.watermark.capture(checkpoint, self.watermark);
        }
    }

    /// Writes part of what was frozen; returns whether it is done.
    pub(super) fn drain(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        let snapshot = self.clockwork.snapshot.as_mut();
        snapshot.is_none_or(|snapshot| {
            snapshot.sessions.drain(&mut self.sessions, out) && snapshot.watermark.drain(out)
        })
    }
}
