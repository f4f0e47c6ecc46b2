//! What a store retains, and what it rejects.

use thalweg::checkpoint::{
    CheckpointError, CheckpointStore, Contents, HeapStorage, RealStorage, SimulatedStorage,
    Storage, SubtaskReport,
};

use super::world::{self, Changes, Entries, changes, contents, open, take};

use std::sync::Arc;

/// Checkpoints 1 to `count`, the first full, the others incremental.
fn run(store: &mut CheckpointStore, count: u64) -> Vec<Entries> {
    let mut entries = Entries::new();
    let mut expected = vec![entries.clone()];
    for checkpoint in 1..=count {
        let changes = changes(checkpoint);
        changes.apply(&mut entries);
        let parent = store.newest();
        take(store, checkpoint, parent, &changes).expect("complete");
        expected.push(entries.clone());
    }
    expected
}

#[test]
fn what_was_completed_is_what_is_restored() {
    let directory = tempfile::tempdir().expect("a directory");
    let storages: [Arc<dyn Storage>; 3] = [
        Arc::new(HeapStorage::new()),
        Arc::new(SimulatedStorage::new(1)),
        Arc::new(RealStorage::create(directory.path()).expect("made")),
    ];
    for storage in storages {
        let mut store =
            CheckpointStore::open(Arc::clone(&storage), world::options()).expect("empty");
        assert!(store.restore_newest().expect("nothing is wrong").is_none());
        let expected = run(&mut store, 6);
        for checkpoint in [5, 6] {
            let restored = store.restore(checkpoint).expect("retained");
            let found = contents(&restored).expect("undamaged");
            assert_eq!(found, expected[checkpoint as usize]);
        }
        let gone = store.restore(4).expect_err("retired");
        assert!(matches!(
            gone,
            CheckpointError::Unknown { checkpoint: 4, .. }
        ));
        drop(store);
        let mut again = CheckpointStore::open(storage, world::options()).expect("it is free");
        assert!(again.rejected().is_empty());
        assert_eq!((again.newest(), again.next_checkpoint()), (Some(6), 7));
        let restored = again.restore_newest().expect("undamaged").expect("there");
        assert_eq!(contents(&restored).expect("undamaged"), expected[6]);
    }
}

#[test]
fn a_second_process_is_kept_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = || Arc::new(RealStorage::create(directory.path()).expect("made"));
    let first = CheckpointStore::open(storage(), world::options()).expect("free");
    let second = CheckpointStore::open(storage(), world::options()).expect_err("taken");
    assert!(matches!(second, CheckpointError::Locked { .. }), "{second}");
    assert!(second.to_string().contains("only one process may write"));
    drop(first);
    CheckpointStore::open(storage(), world::options()).expect("free again");
}

#[test]
fn segments_go_when_no_retained_checkpoint_names_them() {
    let storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    run(&mut store, 6);
    let segments = || {
        let names = storage.list().expect("listed");
        names
            .iter()
            .filter(|name| name.starts_with("segment"))
            .count()
    };
    // Every chain extends back to the first checkpoint.
    assert_eq!(segments(), 6);
    for checkpoint in 7..=10 {
        take(&mut store, checkpoint, None, &Changes::default()).expect("complete");
    }
    // Two retained, one whose manifest has just been removed, and one whose file the next will reuse.
    assert_eq!(segments(), 4);
    take(&mut store, 11, None, &Changes::default()).expect("complete");
    assert_eq!(segments(), 4);
    store.discard_spare();
    assert_eq!(segments(), 3);
    let manifests = storage.list().expect("listed");
    assert_eq!(
        manifests
            .iter()
            .filter(|name| name.starts_with("manifest"))
            .count(),
        2
    );
}

#[test]
fn changes_need_what_they_change() {
    let storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    let mut pending = store.begin(1).expect("the first");
    for piece in changes(1).pieces(0) {
        pending.append(&piece).expect("written");
    }
    let reports = |is_whole| {
        vec![SubtaskReport {
            subtask: 0,
            states: vec![world::report(&world::words(), is_whole)],
        }]
    };
    let of_nothing = Contents {
        operators: vec![world::operator()],
        reports: reports(false),
        ..Contents::default()
    };
    let error = store.complete(pending, of_nothing).expect_err("no parent");
    assert!(
        matches!(error, CheckpointError::NoParent { subtask: 0, .. }),
        "{error}"
    );
    assert_eq!(
        storage.list().expect("listed").len(),
        0,
        "nothing is left of it"
    );
    take(&mut store, 1, None, &changes(1)).expect("the number is free");
    let error = store.begin(1).expect_err("it is there");
    assert!(
        matches!(error, CheckpointError::NotNewer { newest: 1, .. }),
        "{error}"
    );
}

#[test]
fn what_is_not_reported_is_not_completed() {
    let storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    let mut pending = store.begin(1).expect("the first");
    for piece in changes(1).pieces(1) {
        pending.append(&piece).expect("written");
    }
    let silent = Contents {
        operators: vec![world::operator()],
        ..Contents::default()
    };
    let error = store.complete(pending, silent).expect_err("not reported");
    assert!(
        matches!(error, CheckpointError::Inconsistent { subtask: 1, .. }),
        "{error}"
    );
}

#[test]
fn an_abandoned_checkpoint_leaves_nothing() {
    let storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    let expected = run(&mut store, 2);
    let before = storage.list().expect("listed");
    let mut pending = store.begin(3).expect("the next");
    for piece in changes(3).pieces(0) {
        pending.append(&piece).expect("written");
    }
    assert_ne!(storage.list().expect("listed"), before);
    store.abandon(pending);
    assert_eq!(storage.list().expect("listed"), before);
    let restored = store.restore_newest().expect("undamaged").expect("there");
    assert_eq!(contents(&restored).expect("undamaged"), expected[2]);
}

#[test]
fn several_checkpoints_may_be_pending() {
    let storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    let slow = store.begin(1).expect("the first");
    take(&mut store, 2, None, &changes(2)).expect("complete");
    // A newer one is complete, so the slow one is subsumed.
    let error = store
        .complete(slow, Contents::default())
        .expect_err("too late");
    assert!(
        matches!(error, CheckpointError::NotNewer { newest: 2, .. }),
        "{error}"
    );
    assert_eq!(store.newest(), Some(2));
}

#[test]
fn changes_at_another_parallelism_are_no_changes() {
    let storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    run(&mut store, 1);
    let pending = store.begin(2).expect("the next");
    let rescaled = Contents {
        parent: Some(1),
        operators: vec![thalweg::checkpoint::OperatorInfo {
            parallelism: 3,
            ..world::operator()
        }],
        reports: vec![SubtaskReport {
            subtask: 0,
            states: vec![world::report(&world::words(), false)],
        }],
        ..Contents::default()
    };
    let error = store
        .complete(pending, rescaled)
        .expect_err("keys have moved");
    assert!(
        matches!(error, CheckpointError::Inconsistent { subtask: 0, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("another parallelism"), "{error}");
}
