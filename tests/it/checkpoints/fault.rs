//! `EIO`, `ENOSPC` and short writes during any operation: an error, and the next checkpoint succeeds.

use thalweg::checkpoint::{CheckpointError, CheckpointStore, Fault, Faults, Loss};

use super::world::{changes, contents, entries, fold, open, prepared, shared, take};

const FAULTS: [Fault; 3] = [Fault::Io, Fault::NoSpace, Fault::ShortWrite];

/// Whether an error identifies what went wrong.
fn is_named(error: &CheckpointError) -> bool {
    matches!(
        error,
        CheckpointError::Storage { .. } | CheckpointError::NoSpace { .. }
    )
}

#[test]
fn a_fault_in_a_checkpoint_is_named_and_costs_nothing_but_that_checkpoint() {
    let mut failed = 0;
    for fault in FAULTS {
        for operation in 0.. {
            let (storage, before) = prepared();
            let mut store = open(&storage).expect("undamaged");
            let at = storage.operations() + operation;
            storage.set_faults(Faults {
                fail_at: Some((at, fault)),
                ..Faults::default()
            });
            let result = take(&mut store, 4, Some(3), &changes(4));
            let is_over = storage.operations() <= at;
            storage.set_faults(Faults::default());
            let mut wanted = before.clone();
            let parent = match &result {
                Ok(_) => 4,
                Err(error) => {
                    assert!(is_named(error), "{error}");
                    failed += 1;
                    assert_eq!(store.newest(), Some(3));
                    3
                }
            };
            if parent == 4 {
                changes(4).apply(&mut wanted);
            }
            let restored = store.restore_newest().expect("good").expect("there");
            assert_eq!(contents(&restored).expect("good"), wanted);
            // The next one succeeds, and the failed one is gone.
            take(&mut store, 5, Some(parent), &changes(5)).expect("no more faults");
            take(&mut store, 6, Some(5), &changes(6)).expect("no more faults");
            changes(5).apply(&mut wanted);
            changes(6).apply(&mut wanted);
            store.discard_spare();
            drop(store);
            let names = storage.names();
            let mut store = open(&storage).expect("good");
            assert!(store.rejected().is_empty(), "{:?}", store.rejected());
            store.discard_spare();
            assert_eq!(names, storage.names(), "nothing was left over");
            let found = entries(&store.restore(6).expect("there")).expect("good");
            assert_eq!(found, wanted);
            if is_over {
                break;
            }
        }
    }
    assert!(failed > 30, "{failed}");
}

#[test]
fn a_checkpoint_that_failed_is_not_found_later_once_an_older_one_was_gone_on_from() {
    for operation in 0.. {
        let (storage, _) = prepared();
        let mut store = open(&storage).expect("undamaged");
        let at = storage.operations() + operation;
        let fail_at = Some((at, Fault::Io));
        storage.set_faults(Faults {
            fail_at,
            ..Faults::default()
        });
        let taken = take(&mut store, 4, Some(3), &changes(4));
        let is_over = storage.operations() <= at;
        storage.set_faults(Faults::default());
        let restored = store.restore_newest().expect("good").expect("there");
        for disk in [
            storage.killed(),
            storage.power_loss(Loss::All),
            storage.power_loss(Loss::None),
        ] {
            let mut after = open(&disk).expect("the disk works");
            let found = after.restore_newest().expect("good").expect("there");
            assert_eq!(found.checkpoint(), restored.checkpoint(), "{taken:?}");
        }
        if is_over {
            assert!(operation > 5, "{operation}");
            return;
        }
    }
}

#[test]
fn a_fault_in_a_fold_is_named_and_checkpoints_go_on() {
    let mut failed = 0;
    for fault in FAULTS {
        for operation in 0..400 {
            let (storage, before) = prepared();
            let mut store = open(&storage).expect("undamaged");
            take(&mut store, 4, Some(3), &changes(4)).expect("complete");
            let task = store.plan_fold().expect("the chain is long");
            let at = storage.operations() + operation;
            storage.set_faults(Faults {
                fail_at: Some((at, fault)),
                ..Faults::default()
            });
            let is_over = match task.run() {
                Ok(folded) => {
                    store.attach(folded);
                    storage.operations() <= at
                }
                Err(error) => {
                    assert!(is_named(&error), "{error}");
                    failed += 1;
                    false
                }
            };
            storage.set_faults(Faults::default());
            goes_on(store, before);
            if is_over {
                break;
            }
        }
    }
    assert!(failed > 30, "{failed}");
}

fn goes_on(mut store: CheckpointStore, mut wanted: super::world::Entries) {
    take(&mut store, 5, Some(4), &changes(5)).expect("no more faults");
    changes(4).apply(&mut wanted);
    changes(5).apply(&mut wanted);
    let restored = store.restore_newest().expect("good").expect("there");
    assert_eq!(contents(&restored).expect("good"), wanted);
}

#[test]
fn an_io_error_while_opening_is_named_and_costs_no_checkpoint() {
    for operation in 0..200 {
        let (storage, before) = prepared();
        let at = storage.operations() + operation;
        storage.set_faults(Faults {
            fail_at: Some((at, Fault::Io)),
            ..Faults::default()
        });
        let result = open(&storage);
        let is_over = storage.operations() <= at;
        storage.set_faults(Faults::default());
        match result {
            Ok(mut store) => {
                // What could not be read is reported, and an older one is used.
                let restored = store.restore_newest().expect("one is good").expect("there");
                let found = restored.checkpoint();
                assert!(found == 3 || store.rejected().iter().any(|r| r.checkpoint == 3));
            }
            Err(error) => assert!(is_named(&error), "{error}"),
        }
        let mut store = open(&storage).expect("the fault is over");
        let restored = store.restore_newest().expect("good").expect("there");
        assert_eq!(
            restored.checkpoint(),
            3,
            "a fault of reading has cost nothing"
        );
        assert_eq!(contents(&restored).expect("good"), before);
        if is_over {
            return;
        }
    }
    panic!("opening has so many operations");
}

#[test]
fn a_full_disk_declines_checkpoints_until_there_is_room() {
    let (storage, before) = prepared();
    let mut store = open(&storage).expect("undamaged");
    for capacity in (0..9_000).step_by(250) {
        storage.set_faults(Faults {
            capacity: Some(capacity),
            ..Faults::default()
        });
        if let Err(error) = take(&mut store, 4, Some(3), &changes(4)) {
            assert!(matches!(error, CheckpointError::NoSpace { .. }), "{error}");
            assert!(error.to_string().contains("no space left: "), "{error}");
            let found = entries(&store.restore(3).expect("there")).expect("good");
            assert_eq!(found, before);
        } else {
            break;
        }
    }
    storage.set_faults(Faults::default());
    let (next, newest) = (store.next_checkpoint(), store.newest());
    take(&mut store, next, newest, &changes(next)).expect("there is room");
}

#[test]
fn many_faults_at_random_cost_no_checkpoint_that_was_complete() {
    for seed in 0..60 {
        let (storage, mut wanted) = prepared();
        storage.put("seed", vec![0; seed]);
        let mut store = open(&storage).expect("undamaged");
        storage.set_faults(Faults {
            failed_per_million: 20_000,
            ..Faults::default()
        });
        let mut complete = 0;
        for checkpoint in 4..30 {
            let parent = store.newest().expect("there");
            fold(&mut store);
            if take(&mut store, checkpoint, Some(parent), &changes(checkpoint)).is_ok() {
                changes(checkpoint).apply(&mut wanted);
                complete += 1;
            }
        }
        assert!(complete > 3, "{complete}");
        drop(store);
        let disk = storage.power_loss(Loss::Some(seed as u64));
        let mut store = open(&disk).expect("no more faults");
        let restored = store.restore_newest().expect("good").expect("there");
        assert_eq!(entries(&restored).expect("good"), wanted);
    }
}

#[test]
fn a_savepoint_that_an_io_error_has_stopped_is_written_at_the_next_attempt() {
    for operation in 0..200 {
        let (storage, before) = prepared();
        let mut store = open(&storage).expect("undamaged");
        let other = thalweg::checkpoint::SimulatedStorage::new(1);
        other.set_faults(Faults {
            fail_at: Some((operation, Fault::Io)),
            ..Faults::default()
        });
        let result = store.export(3).expect("there").to(&shared(&other));
        let is_over = other.operations() <= operation;
        other.set_faults(Faults::default());
        if result.is_err() {
            let again = store.export(3).expect("there").to(&shared(&other));
            again.expect("what failed is not in the way");
        }
        let restored = thalweg::checkpoint::open_savepoint(&other).expect("written");
        assert_eq!(entries(&restored).expect("good"), before);
        if is_over {
            return;
        }
    }
    panic!("a savepoint has so many operations");
}
