//! Inspecting checkpoints reports what is in them and changes nothing.

use thalweg::checkpoint::CheckpointError;
use thalweg::checkpoint::inspect::{self, Verified};

use super::world::{self, Changes, changes, open, prepared, take};

#[test]
fn a_directory_is_listed_while_somebody_writes_there() {
    let (storage, _) = prepared();
    let mut store = open(&storage).expect("undamaged");
    take(&mut store, 4, Some(3), &changes(4)).expect("complete");
    let before = storage.names();
    let listed = inspect::list(&storage).expect("readable");
    let numbers: Vec<u64> = listed.iter().map(|listed| listed.checkpoint).collect();
    assert_eq!(numbers, [4, 3]);
    let manifest = inspect::inspect(&storage, 4).expect("there");
    assert_eq!((manifest.started_ms, manifest.completed_ms), (4000, 4005));
    assert_eq!(manifest.operators, [world::operator()]);
    assert_eq!(manifest.segments.len(), 4);
    assert_eq!(storage.names(), before);
    let error = inspect::inspect(&storage, 2).expect_err("retired");
    assert!(
        matches!(error, CheckpointError::Unknown { checkpoint: 2, .. }),
        "{error}"
    );
}

#[test]
fn every_byte_is_verified() {
    let (storage, _) = prepared();
    let verified = inspect::verify(&storage, 3).expect("undamaged");
    let lengths = storage
        .names()
        .into_iter()
        .map(|name| storage.bytes(&name).expect("there").len());
    let manifest = storage.bytes("manifest-0000000002").expect("there").len();
    let all = lengths.sum::<usize>() - manifest;
    let Verified {
        segments,
        blocks,
        bytes,
    } = verified;
    assert_eq!((segments, bytes), (3, all as u64));
    assert!(blocks > 10, "{blocks}");

    let mut segment = storage.bytes("segment-0000000001").expect("there");
    segment[64 + 64] ^= 1;
    storage.put("segment-0000000001", segment);
    assert!(
        inspect::list(&storage)
            .expect("readable")
            .iter()
            .all(|l| l.manifest.is_ok())
    );
    let error = inspect::verify(&storage, 3).expect_err("a block is damaged");
    let CheckpointError::Damaged { file, offset, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((&*file, offset), ("segment-0000000001", 64));
}

#[test]
fn two_checkpoints_are_compared_key_by_key() {
    let (storage, before) = prepared();
    let mut store = open(&storage).expect("undamaged");
    let ((first, _), (second, value)) = {
        let mut entries = before.iter();
        (entries.next().expect("some"), entries.next().expect("some"))
    };
    let changes = Changes {
        removed: vec![*first],
        set: vec![
            (*second, [value.as_slice(), b"!"].concat()),
            ((7, 1_000), b"new".to_vec()),
            ((7, 1_001), b"new".to_vec()),
        ],
        ..Changes::default()
    };
    take(&mut store, 4, Some(3), &changes).expect("complete");
    let differences = inspect::compare(&storage, 3, 4).expect("undamaged");
    let [offsets, words] = &differences[..] else {
        panic!("two states: {differences:?}");
    };
    assert_eq!(words.state, world::words());
    assert_eq!((words.added, words.removed, words.changed), (2, 1, 1));
    assert_eq!(words.unchanged, before.len() as u64 - 2);
    assert_eq!(
        (offsets.changed, offsets.added, offsets.unchanged),
        (2, 0, 0)
    );
    let same = inspect::compare(&storage, 4, 4).expect("undamaged");
    assert!(
        same.iter()
            .all(|d| (d.added, d.removed, d.changed) == (0, 0, 0) && !d.is_other)
    );
}
