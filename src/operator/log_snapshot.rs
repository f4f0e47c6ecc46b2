//! The snapshots of record logs: what was appended since the previous checkpoint, and restoring it.
//!
//! A log only grows, and its records never move: what a barrier freezes is a range of places, and may be read
//! at any time later. Each record is a separate entry, under its key and its place.
//!
//! After a restore a log is renumbered, so an operator's first snapshot is a full one: places from
//! two numberings never occur in one chain.

use std::ops::Range;
use std::sync::Arc;

use crate::checkpoint::{
    CheckpointError, PieceKind, Restored, SnapshotOutput, StateRef, StateReport,
};
use crate::record::{KeyHash, StoredKey, Wire};
use crate::state::{
    Extent, HashOfKey, StateKind, StateSchema, encode_logged, hash_of_logged, log_schema,
    logged_records,
};

use super::{Barrier, OpenContext};

/// How far writing the frozen part of one input's logs has got.
pub(super) struct LogSnapshot {
    state: StateRef,
    schema: StateSchema,
    hash_of_key: HashOfKey,
    checkpoint: u64,
    extent: Extent,
    /// Not everything has been written.
    pending: bool,
    /// Nothing has been frozen yet.
    is_first: bool,
    /// What has not been handed over yet, and its namespace.
    namespace: i64,
    count: u64,
    bytes: Vec<u8>,
}

/// What a restored operator is given, in order.
pub(super) enum Logged<'a, S, V: ?Sized> {
    /// A record, with its key.
    Record {
        hash: KeyHash,
        key: &'a S,
        record: &'a V,
    },
    /// All earlier records of the same subtask and namespace are gone.
    Dropped,
}

impl LogSnapshot {
    /// Creates the snapshots of a state with this name, of records of type `V` with keys of type `S`.
    pub(super) fn of<S: StoredKey, V: Wire + ?Sized>(
        uid: &Arc<str>,
        name: &str,
        kind: StateKind,
    ) -> Self {
        LogSnapshot {
            state: StateRef::new(uid, name),
            schema: log_schema::<S, V>(name, kind),
            hash_of_key: hash_of_logged::<S>,
            checkpoint: 0,
            extent: Extent::Whole,
            pending: false,
            is_first: true,
            namespace: 0,
            count: 0,
            bytes: Vec::new(),
        }
    }

    /// Begins a snapshot. Returns whether it covers everything or just what was appended since the previous one.
    pub(super) fn freeze(&mut self, barrier: Barrier) -> Extent {
        let is_first = std::mem::take(&mut self.is_first);
        (self.checkpoint, self.pending) = (barrier.checkpoint, true);
        self.extent = if is_first {
            Extent::Whole
        } else {
            barrier.extent()
        };
        self.extent
    }

    /// Returns whether there is nothing to write for the checkpoint of `out`: `true` if it is done, `false` if its
    /// barrier has not arrived.
    pub(super) fn settled(&self, out: &SnapshotOutput<'_>) -> Option<bool> {
        if self.checkpoint < out.checkpoint() {
            return Some(false);
        }
        (!self.pending).then_some(true)
    }

    /// Writes the records at `places` as far as the budget goes, leaving in `places` those that remain.
    pub(super) fn write<'a, S: StoredKey, V: Wire + ?Sized>(
        &mut self,
        namespace: i64,
        places: &mut Range<usize>,
        out: &mut SnapshotOutput<'_>,
        record: impl Fn(usize) -> (S, &'a V),
    ) {
        if namespace != self.namespace {
            self.put(out, true);
            self.namespace = namespace;
        }
        let count = places.len().min(out.budget());
        for place in places.by_ref().take(count) {
            let (key, record) = record(place);
            encode_logged(&key, place as u64, record, &mut self.bytes);
            self.count += 1;
            self.put(out, false);
        }
        out.spend(count.max(1));
    }

    fn put(&mut self, out: &mut SnapshotOutput<'_>, last: bool) {
        let kind = (PieceKind::Set, self.namespace);
        out.put(&self.state, kind, &mut self.count, &mut self.bytes, last);
    }

    /// Reports that a namespace is gone, unless that is expressed by leaving it out.
    pub(super) fn drop_namespace(&self, namespace: i64, out: &mut SnapshotOutput<'_>) {
        if self.extent == Extent::Changes {
            out.drop_namespace(&self.state, namespace);
        }
    }

    /// Ends the snapshot.
    pub(super) fn finish(&mut self, out: &mut SnapshotOutput<'_>) {
        self.put(out, true);
        self.pending = false;
        out.report(StateReport {
            state: self.state.clone(),
            schema: self.schema.clone(),
            hash_of_key: Some(self.hash_of_key),
            is_whole: self.extent == Extent::Whole,
            entries: None,
        });
    }

    /// Calls `visit` with the subtask and the namespace of everything that the checkpoint has for the keys of
    /// this subtask. Records of one key come in the order in which they were appended.
    pub(super) fn restore<S: StoredKey, V: Wire + ?Sized>(
        &self,
        restored: &Restored,
        cx: &OpenContext,
        mut visit: impl FnMut((u32, i64), Logged<'_, S, V>),
    ) -> Result<(), CheckpointError> {
        if restored.agreed(&self.state, &self.schema)?.is_none() {
            return Ok(());
        }
        let hashes = cx.hashes();
        restored.visit_keys(&self.state, &hashes, |piece| {
            let from = (piece.subtask, piece.namespace);
            match piece.kind {
                PieceKind::Set => {
                    logged_records::<S, V>(piece.bytes, &cx.hasher, &hashes, |hash, key, record| {
                        visit(from, Logged::Record { hash, key, record });
                    })
                }
                PieceKind::Dropped => {
                    visit(from, Logged::Dropped);
                    Ok(())
                }
                PieceKind::Removed | PieceKind::Values => Ok(()),
            }
        })
    }
}
