//! Power fails during any operation: what is found afterwards is the previous checkpoint or the new one.

use thalweg::checkpoint::{Faults, Loss, OperationKind, SimulatedStorage, open_savepoint};

use super::world::{Entries, changes, contents, entries, fold, open, prepared, shared, take};

/// The last of the checkpoints that are taken without interruption.
const LAST: u64 = 11;

/// What may survive of unsynced data: all, nothing, or parts.
fn losses() -> impl Iterator<Item = Loss> {
    [Loss::All, Loss::None]
        .into_iter()
        .chain((0..10).map(Loss::Some))
}

/// Makes the power fail during every operation of `action`, and checks what is found.
fn at_every_operation(
    mut action: impl FnMut(&SimulatedStorage),
    mut find: impl FnMut(u64, &SimulatedStorage),
) -> u64 {
    for operation in 0.. {
        let (storage, _) = prepared();
        let start = storage.operations();
        storage.set_faults(Faults {
            crash_at: Some(start + operation),
            ..Faults::default()
        });
        action(&storage);
        let is_over = storage.operations() <= start + operation;
        for loss in losses() {
            find(operation, &storage.power_loss(loss));
        }
        if is_over {
            return operation;
        }
    }
    unreachable!("an action ends")
}

/// What a restarted process finds: the previous checkpoint or the new one, and no errors.
fn finds(disk: &SimulatedStorage, expected: &[(u64, &Entries)]) -> u64 {
    let mut store = open(disk).expect("the disk works again");
    let rejected = store.rejected().iter();
    // A manifest may have become durable before its segment: then the checkpoint was not complete.
    let newest = expected
        .iter()
        .map(|(checkpoint, _)| *checkpoint)
        .max()
        .expect("some");
    assert!(
        rejected.clone().all(|r| r.checkpoint == newest),
        "{:?}",
        store.rejected()
    );
    let restored = store
        .restore_newest()
        .expect("one is good")
        .expect("there is one");
    let found = contents(&restored).expect("undamaged");
    let checkpoint = restored.checkpoint();
    let (_, wanted) = expected
        .iter()
        .find(|(c, _)| *c == checkpoint)
        .expect("one of the two");
    assert_eq!(found, **wanted, "checkpoint {checkpoint}");
    // The store continues from there.
    let next = store.next_checkpoint();
    take(&mut store, next, Some(checkpoint), &changes(next)).expect("complete");
    let mut after = (*wanted).clone();
    changes(next).apply(&mut after);
    drop(store);
    let mut store = open(&disk.power_loss(Loss::All)).expect("the disk works");
    let restored = store
        .restore_newest()
        .expect("one is good")
        .expect("there is one");
    assert_eq!(restored.checkpoint(), next);
    assert_eq!(contents(&restored).expect("undamaged"), after);
    checkpoint
}

#[test]
fn a_power_loss_in_a_checkpoint_leaves_the_one_before_or_the_new_one() {
    let (_, before) = prepared();
    let mut after = before.clone();
    changes(4).apply(&mut after);
    let mut acknowledged = false;
    let mut found_before = 0;
    let mut found_after = 0;
    let last = at_every_operation(
        |storage| {
            acknowledged = open(storage)
                .and_then(|mut store| take(&mut store, 4, Some(3), &changes(4)))
                .is_ok();
        },
        |_, disk| match finds(disk, &[(3, &before), (4, &after)]) {
            3 => found_before += 1,
            _ => found_after += 1,
        },
    );
    assert!(acknowledged, "the last run had no fault");
    assert!(
        last > 20 && found_before > 20 && found_after > 20,
        "{last} {found_before}"
    );
}

#[test]
fn a_power_loss_takes_back_no_checkpoint_that_was_acknowledged() {
    let (_, before) = prepared();
    let mut expected = vec![before];
    for checkpoint in 4..=LAST {
        let mut entries = expected[expected.len() - 1].clone();
        changes(checkpoint).apply(&mut entries);
        expected.push(entries);
    }
    let [acknowledged, folds, reused] = [3, 0, 0].map(std::cell::Cell::new);
    at_every_operation(
        |storage| {
            acknowledged.set(3);
            let Ok(mut store) = open(storage) else {
                return;
            };
            for checkpoint in 4..=LAST {
                folds.set(folds.get() + u64::from(fold(&mut store)));
                if take(
                    &mut store,
                    checkpoint,
                    Some(checkpoint - 1),
                    &changes(checkpoint),
                )
                .is_ok()
                {
                    acknowledged.set(checkpoint);
                }
            }
            let in_place = storage.log().into_iter().any(|operation| {
                operation.kind == OperationKind::Rename && operation.name.starts_with("segment")
            });
            reused.set(reused.get() + u64::from(in_place));
        },
        |_, disk| {
            let mut store = open(disk).expect("the disk works again");
            let restored = store
                .restore_newest()
                .expect("one is good")
                .expect("there is one");
            let found = restored.checkpoint();
            assert!(
                found == acknowledged.get() || found == acknowledged.get() + 1,
                "{found}"
            );
            let wanted = &expected[found as usize - 3];
            assert_eq!(contents(&restored).expect("undamaged"), *wanted);
        },
    );
    assert!(folds.get() > 100, "{}", folds.get());
    // Some segments reused the files of others.
    assert!(reused.get() > 100, "{}", reused.get());
}

#[test]
fn what_a_killed_process_left_is_built_on_only_when_it_is_durable() {
    for operation in 0..200 {
        let (storage, _) = prepared();
        let mut store = open(&storage).expect("undamaged");
        storage.set_faults(Faults {
            crash_at: Some(storage.operations() + operation),
            ..Faults::default()
        });
        let is_over = take(&mut store, 4, Some(3), &changes(4)).is_ok();
        let disk = storage.killed();
        let mut again = open(&disk).expect("the disk is whole");
        let restored = again.restore_newest().expect("good").expect("there is one");
        // The job that resumed from it has announced this to the outside. Then the power fails.
        let mut after = open(&disk.power_loss(Loss::All)).expect("the disk works again");
        let found = after.restore_newest().expect("good").expect("there is one");
        assert_eq!(found.checkpoint(), restored.checkpoint());
        if is_over {
            assert!(operation > 10, "{operation}");
            return;
        }
    }
    panic!("a checkpoint has so many operations");
}

#[test]
fn a_power_loss_leaves_all_of_a_savepoint_or_nothing_that_can_be_read() {
    let mut found = 0;
    let (_, expected) = prepared();
    let target = std::cell::RefCell::new(SimulatedStorage::new(3));
    for operation in 0.. {
        let (storage, _) = prepared();
        let mut store = open(&storage).expect("undamaged");
        let export = store.export(3).expect("there");
        target.replace(SimulatedStorage::new(operation));
        let other = target.borrow();
        other.set_faults(Faults {
            crash_at: Some(operation),
            ..Faults::default()
        });
        let result = export.to(&shared(&other));
        for loss in losses() {
            let disk = other.power_loss(loss);
            let restored = open_savepoint(&disk);
            if result.is_ok() {
                assert!(restored.is_ok(), "it was acknowledged");
            }
            // All of it, or nothing readable.
            if let Ok(restored) = restored {
                assert_eq!(entries(&restored).expect("undamaged"), expected);
                found += 1;
            } else {
                // And nothing that obstructs the next one.
                let names = disk.names();
                if !names.iter().any(|name| name.starts_with("manifest")) {
                    store
                        .export(3)
                        .expect("there")
                        .to(&shared(&disk))
                        .expect("written");
                    open_savepoint(&disk).expect("written");
                }
            }
        }
        if result.is_ok() {
            break;
        }
    }
    assert!(found > 10);
}
