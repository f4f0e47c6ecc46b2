//! The state of a small job, and its handling by a store.

use std::collections::BTreeMap;
use std::sync::Arc;

use thalweg::checkpoint::{
    CheckpointError, CheckpointStore, Completed, Contents, OperatorInfo, Piece, PieceKind,
    Restored, SimulatedStorage, StateRef, StateReport, Storage, StoreOptions, SubtaskReport,
};
use thalweg::record::FormError;
use thalweg::state::{StateKind, StateSchema, hash_of_key};

/// Entries by namespace and key, as a state stores them.
pub(crate) type Entries = BTreeMap<(i64, u64), Vec<u8>>;

/// The number of subtasks.
pub(crate) const SUBTASKS: u32 = 2;

pub(crate) fn operator() -> OperatorInfo {
    OperatorInfo {
        uid: "count".into(),
        parallelism: SUBTASKS,
        max_parallelism: 128,
    }
}

/// Keyed state with values of varying length.
pub(crate) fn words() -> StateRef {
    StateRef::new(&"count".into(), "words")
}

/// Values without keys.
pub(crate) fn offsets() -> StateRef {
    StateRef::new(&"count".into(), "offsets")
}

pub(crate) fn report(state: &StateRef, is_whole: bool) -> StateReport {
    let keyed = *state == words();
    let schema = match keyed {
        true => StateSchema::keyed::<u64, String>("words", StateKind::Window),
        false => StateSchema::unkeyed::<u64>("offsets", StateKind::Progress),
    };
    StateReport {
        state: state.clone(),
        schema,
        hash_of_key: keyed.then_some(hash_of_key::<u64>),
        is_whole: is_whole || !keyed,
        entries: None,
    }
}

/// The changes to keyed state between two checkpoints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) dropped: Vec<i64>,
    pub(crate) removed: Vec<(i64, u64)>,
    pub(crate) set: Vec<((i64, u64), Vec<u8>)>,
}

impl Changes {
    pub(crate) fn apply(&self, entries: &mut Entries) {
        entries.retain(|(namespace, _), _| !self.dropped.contains(namespace));
        for key in &self.removed {
            entries.remove(key);
        }
        for (key, value) in &self.set {
            entries.insert(*key, value.clone());
        }
    }

    /// All entries, as changes to nothing.
    pub(crate) fn of(entries: &Entries) -> Self {
        Changes {
            set: entries
                .iter()
                .map(|(key, value)| (*key, value.clone()))
                .collect(),
            ..Changes::default()
        }
    }

    /// The pieces, in an order other than that in which they are applied.
    pub(crate) fn pieces(&self, subtask: u32) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for ((namespace, key), value) in &self.set {
            let mut bytes = key.to_ne_bytes().to_vec();
            bytes.extend_from_slice(&(value.len() as u32).to_ne_bytes());
            bytes.extend_from_slice(value);
            pieces.push(piece(subtask, PieceKind::Set, *namespace, 1, bytes));
        }
        for (namespace, key) in &self.removed {
            let bytes = key.to_ne_bytes().to_vec();
            pieces.push(piece(subtask, PieceKind::Removed, *namespace, 1, bytes));
        }
        for namespace in &self.dropped {
            pieces.push(piece(
                subtask,
                PieceKind::Dropped,
                *namespace,
                0,
                Vec::new(),
            ));
        }
        pieces
    }
}

fn piece(subtask: u32, kind: PieceKind, namespace: i64, count: u64, bytes: Vec<u8>) -> Piece {
    Piece {
        state: words(),
        subtask,
        kind,
        namespace,
        count,
        bytes,
    }
}

/// The subtask that owns a key.
pub(crate) fn owner(key: u64) -> u32 {
    (key % u64::from(SUBTASKS)) as u32
}

fn of_subtask(changes: &Changes, subtask: u32) -> Changes {
    let own = |key: &u64| owner(*key) == subtask;
    Changes {
        dropped: changes.dropped.clone(),
        removed: changes
            .removed
            .iter()
            .filter(|(_, key)| own(key))
            .copied()
            .collect(),
        set: changes
            .set
            .iter()
            .filter(|((_, key), _)| own(key))
            .cloned()
            .collect(),
    }
}

/// Takes a checkpoint: incremental on `parent`, or full.
pub(crate) fn take(
    store: &mut CheckpointStore,
    checkpoint: u64,
    parent: Option<u64>,
    changes: &Changes,
) -> Result<Completed, CheckpointError> {
    let mut pending = store.begin(checkpoint)?;
    let mut pieces = Vec::new();
    for subtask in 0..SUBTASKS {
        pieces.extend(of_subtask(changes, subtask).pieces(subtask));
        pieces.push(Piece {
            state: offsets(),
            subtask,
            kind: PieceKind::Values,
            namespace: 0,
            count: 1,
            bytes: checkpoint.to_ne_bytes().to_vec(),
        });
    }
    for piece in &pieces {
        if let Err(error) = pending.append(piece) {
            store.abandon(pending);
            return Err(error);
        }
    }
    let reports = (0..SUBTASKS).map(|subtask| SubtaskReport {
        subtask,
        states: vec![report(&words(), parent.is_none()), report(&offsets(), true)],
    });
    store.complete(
        pending,
        Contents {
            parent,
            is_savepoint: false,
            started_ms: checkpoint * 1000,
            completed_ms: checkpoint * 1000 + 5,
            operators: vec![operator()],
            reports: reports.collect(),
        },
    )
}

/// The state of a job that resumes from a checkpoint.
pub(crate) fn contents(restored: &Restored) -> Result<Entries, CheckpointError> {
    let wanted = report(&offsets(), true).schema;
    let offsets = restored
        .values::<u64>(&offsets(), &wanted)?
        .expect("the state is there");
    assert_eq!(
        offsets,
        vec![vec![restored.checkpoint()]; SUBTASKS as usize]
    );
    entries(restored)
}

/// The keyed entries of a checkpoint.
pub(crate) fn entries(restored: &Restored) -> Result<Entries, CheckpointError> {
    let mut entries = Entries::new();
    restored.visit(&words(), |piece| {
        assert!(
            piece.bytes.as_ptr().addr().is_multiple_of(16),
            "to be decoded in place"
        );
        let mut count = 0;
        let mut bytes = piece.bytes;
        while !bytes.is_empty() {
            let key = u64::from_ne_bytes(take_bytes(&mut bytes, 8)?.try_into().expect("eight"));
            let at = (piece.namespace, key);
            assert_eq!(owner(key), piece.subtask);
            if piece.kind == PieceKind::Set {
                let length = take_bytes(&mut bytes, 4)?.try_into().expect("four");
                let value = take_bytes(&mut bytes, u32::from_ne_bytes(length) as usize)?;
                entries.insert(at, value.to_vec());
            } else {
                entries.remove(&at);
            }
            count += 1;
        }
        if piece.kind == PieceKind::Dropped {
            let own = |namespace: i64, key: u64| {
                namespace == piece.namespace && owner(key) == piece.subtask
            };
            entries.retain(|(namespace, key), _| !own(*namespace, *key));
        }
        assert_eq!(count, piece.count);
        Ok(())
    })?;
    Ok(entries)
}

fn take_bytes<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], FormError> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or_else(|| FormError {
        type_name: "an entry",
        length: bytes.len(),
        reason: "it is cut off".to_owned(),
    })?;
    *bytes = rest;
    Ok(taken)
}

/// Opens the store on a disk.
pub(crate) fn open(storage: &SimulatedStorage) -> Result<CheckpointStore, CheckpointError> {
    CheckpointStore::open(shared(storage), options())
}

pub(crate) fn shared(storage: &SimulatedStorage) -> Arc<dyn Storage> {
    Arc::new(storage.clone())
}

/// Options under which small stores do everything that large ones do.
pub(crate) fn options() -> StoreOptions {
    StoreOptions {
        retained: 2,
        segment_bytes: 4096,
        deltas_max: 2,
        fold_bytes_min: 0,
        fold_memory: 300,
        ..StoreOptions::default()
    }
}

/// Changes that modify existing entries and add new ones.
pub(crate) fn changes(checkpoint: u64) -> Changes {
    let value = |key: u64| {
        format!("{key} of {checkpoint}")
            .repeat(key as usize % 3)
            .into_bytes()
    };
    Changes {
        dropped: vec![checkpoint as i64 - 3],
        removed: vec![(0, checkpoint % 5), (0, checkpoint)],
        set: (0..6)
            .map(|n| n * checkpoint % 11)
            .map(|key| {
                (
                    (if key < 6 { 0 } else { checkpoint as i64 }, key),
                    value(key),
                )
            })
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .collect(),
    }
}

/// A disk with checkpoints 1, 2 and 3, whose chains start with the first, and the contents of the third.
pub(crate) fn prepared() -> (SimulatedStorage, Entries) {
    let storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    let mut entries = Entries::new();
    for checkpoint in 1..=3 {
        let changes = changes(checkpoint);
        changes.apply(&mut entries);
        let parent = store.newest();
        take(&mut store, checkpoint, parent, &changes).expect("complete");
    }
    (storage, entries)
}

/// Folds whatever is due. A failed fold does no harm.
pub(crate) fn fold(store: &mut CheckpointStore) -> bool {
    let folded = store.plan_fold().map(|task| task.run());
    match folded {
        Some(Ok(folded)) => {
            store.attach(folded);
            true
        }
        Some(Err(_)) | None => false,
    }
}
