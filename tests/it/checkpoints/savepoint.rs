//! A savepoint contains a whole checkpoint and is self-contained.

use thalweg::checkpoint::{
    CheckpointError, CheckpointStore, RealStorage, SimulatedStorage, open_savepoint,
};

use super::world::{self, changes, contents, open, prepared, shared, take};

use std::sync::Arc;

#[test]
fn a_savepoint_is_what_the_checkpoint_was() {
    let (storage, wanted) = prepared();
    let mut store = open(&storage).expect("undamaged");
    let other = SimulatedStorage::new(2);
    let export = store.export(3).expect("there");
    // The job continues, and the checkpoint is no longer retained.
    for checkpoint in 4..=8 {
        take(&mut store, checkpoint, None, &changes(checkpoint)).expect("complete");
    }
    export
        .to(&shared(&other))
        .expect("its segments are kept until then");
    let names = other.names();
    assert_eq!(names, ["manifest-0000000003", "segment-0000000001"]);
    let restored = open_savepoint(&other.power_loss(thalweg::checkpoint::Loss::All));
    assert_eq!(
        contents(&restored.expect("durable")).expect("undamaged"),
        wanted
    );

    // A job may store its checkpoints beside the savepoint and resume from it.
    let mut there = CheckpointStore::open(shared(&other), world::options()).expect("a checkpoint");
    let savepoint = there.completed().last().expect("the savepoint").clone();
    assert!(savepoint.is_savepoint);
    assert!(
        savepoint
            .states
            .values()
            .flat_map(|s| s.chains.values())
            .all(|c| c.len() <= 1)
    );
    take(&mut there, 4, Some(3), &changes(4)).expect("complete");
}

#[test]
fn a_savepoint_needs_no_types_to_be_made() {
    let (storage, wanted) = prepared();
    let other = SimulatedStorage::new(2);
    // Opened again, with no information on how keys are hashed.
    let mut store = open(&storage).expect("undamaged");
    store
        .export(3)
        .expect("there")
        .to(&shared(&other))
        .expect("written");
    let restored = open_savepoint(&other).expect("written");
    assert_eq!(contents(&restored).expect("undamaged"), wanted);
}

#[test]
fn nothing_is_written_over_a_savepoint() {
    let (storage, _) = prepared();
    let mut store = open(&storage).expect("undamaged");
    let other = SimulatedStorage::new(2);
    store
        .export(3)
        .expect("there")
        .to(&shared(&other))
        .expect("written");
    let error = store
        .export(3)
        .expect("there")
        .to(&shared(&other))
        .expect_err("taken");
    assert!(
        matches!(error, CheckpointError::NotEmpty { checkpoint: 3, .. }),
        "{error}"
    );
}

#[test]
fn a_damaged_savepoint_is_an_error() {
    let (storage, _) = prepared();
    let mut store = open(&storage).expect("undamaged");
    let other = SimulatedStorage::new(2);
    store
        .export(3)
        .expect("there")
        .to(&shared(&other))
        .expect("written");
    for name in other.names() {
        let good = other.bytes(&name).expect("there");
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        other.put(&name, bad);
        let error = open_savepoint(&other).expect_err("damaged");
        assert!(matches!(error, CheckpointError::Damaged { .. }), "{error}");
        other.put(&name, good);
    }
    let error = open_savepoint(&SimulatedStorage::new(1)).expect_err("there is none");
    assert!(matches!(error, CheckpointError::Empty { .. }), "{error}");
}

#[test]
fn a_savepoint_is_read_in_a_directory() {
    let (storage, wanted) = prepared();
    let mut store = open(&storage).expect("undamaged");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("savepoint");
    let other: Arc<dyn thalweg::checkpoint::Storage> =
        Arc::new(RealStorage::create(&path).expect("made"));
    store.export(3).expect("there").to(&other).expect("written");
    let restored = open_savepoint(&RealStorage::existing(&path).expect("there")).expect("written");
    assert_eq!(contents(&restored).expect("undamaged"), wanted);
}
