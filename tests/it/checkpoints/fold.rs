//! Folding affects only how long restoring takes.

use thalweg::checkpoint::{CheckpointStore, HeapStorage, StoreOptions};

use super::world::{self, Changes, Entries, changes, contents, fold, open, prepared, take};

use std::sync::Arc;

/// The longest chain of a checkpoint.
fn longest(store: &CheckpointStore) -> usize {
    let newest = store.completed().last().expect("there is one");
    let chains = newest
        .states
        .values()
        .flat_map(|state| state.chains.values());
    chains.map(Vec::len).max().expect("there are chains")
}

#[test]
fn chains_stay_short_and_hold_the_same() {
    let (storage, mut wanted) = prepared();
    let mut store = open(&storage).expect("undamaged");
    let mut folds = 0;
    for checkpoint in 4..60 {
        let changes = changes(checkpoint);
        changes.apply(&mut wanted);
        take(&mut store, checkpoint, Some(checkpoint - 1), &changes).expect("complete");
        assert!(longest(&store) <= 4, "{}", longest(&store));
        let restored = store.restore(checkpoint).expect("there");
        assert_eq!(contents(&restored).expect("undamaged"), wanted);
        folds += u64::from(fold(&mut store));
    }
    assert!(folds > 10, "{folds}");
    // Segments that were folded are gone.
    let names = storage.names();
    assert!(names.len() < 20, "{names:?}");
    drop(store);
    let mut store = open(&storage).expect("undamaged");
    let restored = store.restore_newest().expect("undamaged").expect("there");
    assert_eq!(contents(&restored).expect("undamaged"), wanted);
    let newest = store.completed().last().expect("there is one");
    let entries = newest.states[&world::words()].entries();
    assert!(
        entries < 3 * wanted.len() as u64 + 40,
        "{entries} for {}",
        wanted.len()
    );
}

#[test]
fn checkpoints_that_complete_during_a_fold_keep_what_they_have() {
    let (storage, mut wanted) = prepared();
    let mut store = open(&storage).expect("undamaged");
    take(&mut store, 4, Some(3), &changes(4)).expect("complete");
    changes(4).apply(&mut wanted);
    let task = store.plan_fold().expect("the chain is long");
    assert!(store.plan_fold().is_none(), "one at a time");
    // No retained checkpoint refers to the segments being folded any more, and yet they still exist.
    for checkpoint in 5..=8 {
        take(&mut store, checkpoint, None, &Changes::of(&wanted)).expect("complete");
    }
    let folded = task.run().expect("its segments are there");
    store.attach(folded);
    for checkpoint in 9..=11 {
        changes(checkpoint).apply(&mut wanted);
        take(
            &mut store,
            checkpoint,
            Some(checkpoint - 1),
            &changes(checkpoint),
        )
        .expect("complete");
        let restored = store.restore(checkpoint).expect("there");
        assert_eq!(contents(&restored).expect("undamaged"), wanted);
    }
    // A fold that completed too late is gone, and so are the segments it was made from.
    assert!(storage.names().len() <= 9, "{:?}", storage.names());
}

#[test]
fn a_fold_serves_the_checkpoints_that_went_on_meanwhile() {
    let (storage, mut wanted) = prepared();
    let mut store = open(&storage).expect("undamaged");
    take(&mut store, 4, Some(3), &changes(4)).expect("complete");
    let task = store.plan_fold().expect("the chain is long");
    take(&mut store, 5, Some(4), &changes(5)).expect("complete");
    let before = longest(&store);
    store.attach(task.run().expect("no faults"));
    take(&mut store, 6, Some(5), &changes(6)).expect("complete");
    assert!(
        longest(&store) < before,
        "{before} became {}",
        longest(&store)
    );
    for checkpoint in 4..=6 {
        changes(checkpoint).apply(&mut wanted);
    }
    let restored = store.restore(6).expect("there");
    assert_eq!(contents(&restored).expect("undamaged"), wanted);
}

#[test]
fn what_is_folded_comes_in_the_order_of_hashes() {
    let options = StoreOptions {
        // Several parts, each with several entries.
        fold_memory: 2_000,
        ..world::options()
    };
    let hasher = options.hasher;
    let storage = Arc::new(HeapStorage::new());
    let mut store = CheckpointStore::open(storage, options).expect("empty");
    let entries: Entries = (0..1000).map(|key| ((0, key), vec![1; 3])).collect();
    take(&mut store, 1, None, &Changes::of(&entries)).expect("complete");
    take(&mut store, 2, Some(1), &Changes::of(&entries)).expect("complete");
    take(&mut store, 3, Some(2), &Changes::default()).expect("complete");
    let changes = Changes {
        removed: (0..1000).step_by(3).map(|key| (0, key)).collect(),
        ..Changes::default()
    };
    take(&mut store, 4, Some(3), &changes).expect("complete");
    // The last changes may be followed by a full checkpoint: they are no reason to fold.
    assert!(store.plan_fold().is_none());
    let last = Changes {
        removed: (1..100).step_by(3).map(|key| (0, key)).collect(),
        ..Changes::default()
    };
    take(&mut store, 5, Some(4), &last).expect("complete");
    assert!(fold(&mut store));
    take(&mut store, 6, Some(5), &Changes::default()).expect("complete");
    let restored = store.restore(6).expect("there");
    let mut hashes = [Vec::new(), Vec::new()];
    restored
        .visit(&world::words(), |piece| {
            for entry in piece.bytes.chunks(8 + 4 + 3) {
                let key = u64::from_ne_bytes(entry[..8].try_into().expect("eight"));
                hashes[piece.subtask as usize].push(hasher.hash(&key));
            }
            Ok(())
        })
        .expect("undamaged");
    assert_eq!(hashes.iter().map(Vec::len).sum::<usize>(), 633);
    assert!(hashes.iter().all(|hashes| hashes.is_sorted()));
}

#[test]
fn a_state_of_which_nothing_is_left_has_no_segment() {
    let (storage, wanted) = prepared();
    let mut store = open(&storage).expect("undamaged");
    let nothing = Changes {
        removed: wanted.keys().copied().collect(),
        ..Changes::default()
    };
    take(&mut store, 4, Some(3), &nothing).expect("complete");
    assert!(fold(&mut store));
    take(&mut store, 5, Some(4), &Changes::default()).expect("complete");
    let newest = store.completed().last().expect("there");
    assert_eq!(newest.states[&world::words()].entries(), 0);
    assert_eq!(newest.segments.len(), 1, "that of the values without keys");
    let restored = store.restore(5).expect("there");
    assert_eq!(contents(&restored).expect("undamaged"), Entries::new());
}
