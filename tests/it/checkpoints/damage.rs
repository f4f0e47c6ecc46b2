//! Every byte flipped, every length truncated: it is reported and never used, and the previous checkpoint is used
//! instead.

use thalweg::checkpoint::{CheckpointError, Loss, SimulatedStorage};

use super::world::{Entries, changes, contents, entries, open, prepared, take};

/// A disk with two whole checkpoints, 1 and 2, and the files of the second.
fn two() -> (SimulatedStorage, Vec<Entries>, Vec<String>) {
    let storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    let mut expected = Vec::new();
    let mut files = Vec::new();
    for checkpoint in 1..=2 {
        files = storage.names();
        take(&mut store, checkpoint, None, &changes(checkpoint)).expect("complete");
        let mut entries = Entries::new();
        changes(checkpoint).apply(&mut entries);
        expected.push(entries);
    }
    let own = storage
        .names()
        .into_iter()
        .filter(|name| !files.contains(name));
    let own: Vec<String> = own.collect();
    assert_eq!(own.len(), 2, "a manifest and a segment");
    (storage.power_loss(Loss::All), expected, own)
}

/// Checks a disk on which the second checkpoint is damaged.
fn is_reported(disk: &SimulatedStorage, before: &Entries, what: &str) {
    let mut store = open(disk).expect("damage keeps nobody out");
    let restored = store
        .restore_newest()
        .expect("the first is good")
        .expect("there is one");
    assert_eq!(
        restored.checkpoint(),
        1,
        "{what}: used although it is damaged"
    );
    assert_eq!(contents(&restored).expect("undamaged"), *before);
    let [rejected] = store.rejected() else {
        panic!("{what}: not reported: {:?}", store.rejected());
    };
    assert_eq!(rejected.checkpoint, 2);
    let [passed_over] = restored.passed_over() else {
        panic!("{what}: not passed over: {:?}", restored.passed_over());
    };
    assert_eq!(passed_over.checkpoint, 2);
    assert!(
        matches!(
            *rejected.cause,
            CheckpointError::Damaged { .. } | CheckpointError::Foreign { .. }
        ),
        "{what}: {}",
        rejected.cause
    );
    assert_eq!(store.next_checkpoint(), 3, "its number is not used again");
}

#[test]
fn a_flipped_bit_is_reported_at_every_byte_and_the_checkpoint_before_is_used() {
    let (storage, expected, files) = two();
    for file in &files {
        let good = storage.bytes(file).expect("there");
        assert!(good.len() < 3000, "small enough to try all");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            let disk = storage.power_loss(Loss::All);
            disk.put(file, bad);
            is_reported(&disk, &expected[0], &format!("byte {at} of {file}"));
        }
    }
}

#[test]
fn a_file_of_any_other_length_is_reported_and_the_checkpoint_before_is_used() {
    let (storage, expected, files) = two();
    for file in &files {
        let good = storage.bytes(file).expect("there");
        for length in 0..good.len() {
            let disk = storage.power_loss(Loss::All);
            disk.put(file, good[..length].to_vec());
            is_reported(&disk, &expected[0], &format!("{file} cut to {length}"));
        }
        let disk = storage.power_loss(Loss::All);
        disk.put(file, [good, vec![0]].concat());
        is_reported(&disk, &expected[0], &format!("{file} with one byte more"));
    }
}

#[test]
fn a_segment_of_another_checkpoint_is_reported_and_the_one_before_is_used() {
    let (storage, expected, files) = two();
    let segment = files
        .iter()
        .find(|file| file.starts_with("segment"))
        .expect("one");
    let names = storage.names();
    let other = names
        .iter()
        .find(|name| name.starts_with("segment") && *name != segment);
    let other = storage
        .bytes(other.expect("the first checkpoint's"))
        .expect("there");
    storage.put(segment, other);
    is_reported(&storage, &expected[0], "a segment of another checkpoint");
}

#[test]
fn a_segment_of_another_run_is_reported_although_its_number_and_length_are_right() {
    let (storage, expected, files) = two();
    let segment = files
        .iter()
        .find(|file| file.starts_with("segment"))
        .expect("one");
    let elsewhere = SimulatedStorage::new(2);
    let mut store = open(&elsewhere).expect("empty");
    for checkpoint in 1..=2 {
        let mut changes = changes(checkpoint);
        let values = changes.set.iter_mut().map(|(_, value)| value);
        values.flatten().for_each(|byte| *byte ^= 1);
        take(&mut store, checkpoint, None, &changes).expect("complete");
    }
    let (own, other) = (storage.bytes(segment), elsewhere.bytes(segment));
    let (own, other) = (own.expect("there"), other.expect("there"));
    assert!(own.len() == other.len() && own != other);
    storage.put(segment, other);
    is_reported(&storage, &expected[0], "a segment of another run");
}

#[test]
fn a_missing_segment_is_reported_and_the_checkpoint_before_is_used() {
    let (storage, expected, files) = two();
    let segment = files
        .iter()
        .find(|file| file.starts_with("segment"))
        .expect("one");
    storage.take(segment);
    let mut store = open(&storage).expect("damage keeps nobody out");
    let restored = store
        .restore_newest()
        .expect("the first is good")
        .expect("there is one");
    assert_eq!(contents(&restored).expect("undamaged"), expected[0]);
    let cause = &store.rejected()[0].cause;
    assert!(
        matches!(**cause, CheckpointError::Missing { checkpoint: 2, .. }),
        "{cause}"
    );
}

#[test]
fn all_checkpoints_damaged_is_no_fresh_start() {
    let (storage, ..) = two();
    for name in storage
        .names()
        .iter()
        .filter(|name| name.starts_with("manifest"))
    {
        let mut bytes = storage.bytes(name).expect("there");
        bytes[40] ^= 1;
        storage.put(name, bytes);
    }
    let mut store = open(&storage).expect("damage keeps nobody out");
    let error = store.restore_newest().expect_err("nothing can be used");
    assert!(
        matches!(
            error,
            CheckpointError::NoneUsable {
                count: 2,
                newest: 2,
                ..
            }
        ),
        "{error}"
    );
    let names = storage.names();
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("segment"))
            .count(),
        2,
        "all is kept"
    );
}

#[test]
fn what_a_rejected_checkpoint_names_is_kept_until_newer_ones_are_complete() {
    let (storage, _, files) = two();
    let manifest = files
        .iter()
        .find(|file| file.starts_with("manifest"))
        .expect("one");
    let good = storage.bytes(manifest).expect("there");
    storage.put(manifest, Vec::new());
    let mut store = open(&storage).expect("damage keeps nobody out");
    assert_eq!(store.rejected().len(), 1);
    // The file is repaired.
    storage.put(manifest, good);
    drop(store);
    store = open(&storage).expect("undamaged");
    assert_eq!((store.newest(), store.rejected().len()), (Some(2), 0));

    storage.put(manifest, Vec::new());
    drop(store);
    store = open(&storage).expect("damage keeps nobody out");
    for checkpoint in 3..=5 {
        let names = storage.names();
        let is_kept = files.iter().all(|file| names.contains(file));
        assert_eq!(
            is_kept,
            checkpoint <= 4,
            "two newer ones are retained: {names:?}"
        );
        take(&mut store, checkpoint, None, &changes(checkpoint)).expect("complete");
    }
    assert_eq!(
        store.rejected().len(),
        0,
        "it is older than all that are kept"
    );
    let names = storage.names();
    assert!(!files.iter().any(|file| names.contains(file)), "{names:?}");
}

#[test]
fn a_bit_that_flips_while_it_is_read_is_found() {
    use thalweg::checkpoint::Faults;
    for seed in 0..200 {
        let (storage, expected) = prepared();
        storage.put("seed", vec![0; seed]);
        let mut store = open(&storage).expect("undamaged");
        storage.set_faults(Faults {
            flipped_per_million: 100_000,
            ..Faults::default()
        });
        match store.restore(3).and_then(|restored| entries(&restored)) {
            Ok(found) => assert_eq!(found, expected),
            Err(error) => assert!(
                matches!(
                    error,
                    CheckpointError::Damaged { .. } | CheckpointError::Foreign { .. }
                ),
                "{error}"
            ),
        }
        storage.set_faults(Faults::default());
        let restored = store.restore_newest().expect("good").expect("there");
        assert_eq!(contents(&restored).expect("good"), expected);
    }
}
