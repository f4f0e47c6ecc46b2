//! Readers are given files that are almost valid, with the checksums corrected: they reject or read them, and never
//! panic, hang, or allocate memory out of proportion to the file.

use std::time::{Duration, Instant};

use thalweg::checkpoint::{CheckpointStore, SimulatedStorage, inspect};

use super::format::{MANIFEST, SEGMENT, read_dump};
use super::{forge, world};

const MANIFEST_NAME: &str = "manifest-0000000001";
const SEGMENT_NAME: &str = "segment-0000000001";

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

/// Flips bits, truncates, duplicates, or inserts numbers that are likely to cause trouble.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 => bytes.truncate(at),
            3 => {
                let more = bytes[at..].to_vec();
                bytes.extend(more);
            }
            4 => {
                let hurtful = [0u64, 1, u64::MAX, u64::MAX / 2, 1 << 32, (1 << 31) - 1];
                let number = hurtful[random.below(hurtful.len())].to_le_bytes();
                let end = (at + 8).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            _ => {
                bytes.remove(at);
            }
        }
    }
}

/// Mutates and reads for a while. Returns how many were read and how many of those were rejected.
fn for_a_while(good: &[u8], mut refuses: impl FnMut(Vec<u8>, bool) -> bool) -> (u64, u64) {
    let (mut random, start) = (Random(1), Instant::now());
    let (mut all, mut refused) = (0, 0);
    while start.elapsed() < Duration::from_millis(800) || all < 500 {
        let mut bytes = good.to_vec();
        mutate(&mut bytes, &mut random);
        let is_forged = random.below(4) > 0;
        all += 1;
        refused += u64::from(refuses(bytes, is_forged));
    }
    (all, refused)
}

#[test]
fn a_mutated_manifest_is_read_or_refused_by_listing_and_store_alike() {
    let segment = read_dump(SEGMENT);
    let (all, refused) = for_a_while(&read_dump(MANIFEST), |bytes, is_forged| {
        let storage = SimulatedStorage::new(1);
        storage.put(SEGMENT_NAME, segment.clone());
        let bytes = if is_forged {
            forge::manifest(bytes)
        } else {
            bytes
        };
        storage.put(MANIFEST_NAME, bytes);
        let listed = inspect::list(&storage).expect("listed");
        let store = CheckpointStore::open(world::shared(&storage), world::options());
        let mut store = store.expect("damage keeps nobody out");
        let is_refused = listed[0].manifest.is_err();
        assert_eq!(is_refused, store.newest().is_none());
        if let Ok(Some(restored)) = store.restore_newest() {
            for operator in restored.operators() {
                for schema in restored.states(&operator) {
                    let state = thalweg::checkpoint::StateRef::new(&operator, &schema.name);
                    restored.visit(&state, |_| Ok(())).expect("it was checked");
                }
            }
        }
        is_refused
    });
    assert!(refused > all / 2, "{refused} of {all}");
}

#[test]
fn a_mutated_segment_is_read_or_refused() {
    let (all, refused) = for_a_while(&read_dump(SEGMENT), |bytes, is_forged| {
        let storage = SimulatedStorage::new(1);
        let bytes = if is_forged {
            forge::segment(bytes)
        } else {
            bytes
        };
        storage.put(SEGMENT_NAME, bytes);
        inspect::segment(&storage, SEGMENT_NAME).is_err()
    });
    assert!(refused > all / 2, "{refused} of {all}");
}
