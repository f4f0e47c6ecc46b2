//! Sketches: which keys a slice may have, in a few bits each, so that a window can recognize the keys that
//! are in only one of its slices.
//!
//! What a key accumulated in a single slice is already its window's result: it can be emitted from where
//! it lies. If keys are short-lived, as auctions or sessions are, that is nearly every key, and merging
//! the slices' tables first would cost several times as much as everything else in a firing.
//!
//! A sketch is a Bloom filter with one hash function. The sketches of a window's slices are overlaid,
//! a word at a time: a bit that is set in two of them may be a *repeated* key, a bit that is set
//! in one is certainly a single key. Sketch sizes differ by powers of two, and a position is the
//! lowest of certain bits of the hash, so the smaller one is overlaid on the larger one several times.
//!
//! ```text
//! slice 1    1 0 0 1 0 0 1 0
//! slice 2    0 0 1 1 0 0 0 0  │  repeated  0 0 0 1 0 0 0 0 : most keys are single
//! slice 3    0 0 0 0 1 0 0 0
//! ```

use crate::record::KeyHash;

/// Bits per key. The fraction of a window's single keys that are mistaken for repeated ones is the number of
/// slices divided by this.
const BITS_PER_KEY: usize = 32;
const WORDS_MIN: usize = 4;
/// The hash bits below these place an entry in its table.
const SHIFT: u32 = 16;
/// How many words are sampled to tell whether most keys are single.
const SAMPLE: usize = 64;

#[inline(always)]
fn position(hash: KeyHash, words: usize) -> (usize, u64) {
    let at = hash.0 >> SHIFT;
    ((at >> 6) as usize & (words - 1), 1 << (at & 63))
}

fn words_for(keys: usize) -> usize {
    (keys * BITS_PER_KEY / 64)
        .next_power_of_two()
        .max(WORDS_MIN)
}

/// The keys that a table may have.
#[derive(Debug, Default)]
pub(super) struct Sketch {
    words: Vec<u64>,
    keys: usize,
}

impl Sketch {
    /// Adds a key that was not added before.
    pub(super) fn insert(&mut self, hash: KeyHash) {
        if self.keys * BITS_PER_KEY >= self.words.len() * 64 {
            self.grow();
        }
        self.keys += 1;
        let (word, bit) = position(hash, self.words.len());
        self.words[word] |= bit;
    }

    /// Doubles the size: everything recorded is recorded in both halves.
    #[cold]
    fn grow(&mut self) {
        if self.words.is_empty() {
            self.words.resize(WORDS_MIN, 0);
        } else {
            self.words.extend_from_within(..);
        }
    }

    /// Removes all keys; reserves room for `keys` of them.
    pub(super) fn clear(&mut self, keys: usize) {
        self.words.clear();
        self.words.resize(words_for(keys), 0);
        self.keys = 0;
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

/// The keys that may be in two or more of several tables.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    seen: Vec<u64>,
    repeated: Vec<u64>,
}

impl Repeats {
    /// Overlays the sketches. Returns whether most keys are in only one of them: if not, asking does not pay.
    pub(super) fn overlay<'a>(
        &mut self,
        sketches: impl Iterator<Item = &'a Sketch> + Clone,
    ) -> bool {
        let sizes = sketches.clone().map(|sketch| sketch.words.len());
        let words = sizes.max().unwrap_or(0).max(WORDS_MIN);
        self.seen.clear();
        self.seen.resize(words, 0);
        self.repeated.clear();
        self.repeated.resize(words, 0);
        for sketch in sketches.filter(|sketch| !sketch.words.is_empty()) {
            let size = sketch.words.len();
            let parts = self.seen.chunks_exact_mut(size);
            for (seen, repeated) in parts.zip(self.repeated.chunks_exact_mut(size)) {
                for ((seen, repeated), word) in seen.iter_mut().zip(repeated).zip(&sketch.words) {
                    *repeated |= *seen & word;
                    *seen |= word;
                }
            }
        }
        let ones =
            |words: &[u64]| -> u32 { words.iter().take(SAMPLE).map(|w| w.count_ones()).sum() };
        ones(&self.repeated) * 2 < ones(&self.seen)
    }

    /// Returns `true` if a key that is in one of the tables is certainly in no other; `false` if it may be.
    #[inline(always)]
    pub(super) fn is_single(&self, hash: KeyHash) -> bool {
        let (word, bit) = position(hash, self.repeated.len());
        self.repeated[word] & bit == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::record::Key;

    proptest! {
        #[test]
        fn a_repeated_key_is_never_single(
            slices in prop::collection::vec(prop::collection::vec(0..4000_u64, 0..300), 1..6),
            expected in 0..100_usize,
        ) {
            let mut sketches = Vec::new();
            let mut slices_of = HashMap::<u64, usize>::new();
            for slice in &slices {
                let mut sketch = Sketch::default();
                sketch.clear(expected);
                let mut keys = slice.clone();
                keys.sort_unstable();
                keys.dedup();
                for key in keys {
                    sketch.insert(key.key_hash());
                    *slices_of.entry(key).or_default() += 1;
                }
                sketches.push(sketch);
            }
            let mut repeats = Repeats::default();
            repeats.overlay(sketches.iter());
            for (key, slices) in slices_of {
                prop_assert!(slices == 1 || !repeats.is_single(key.key_hash()));
            }
        }
    }

    #[test]
    fn most_keys_of_one_slice_are_single() {
        let mut sketches: [Sketch; 5] = Default::default();
        for (slice, sketch) in (0..).zip(&mut sketches) {
            sketch.clear(1000);
            for key in 0..1000 {
                sketch.insert((slice * 1000 + key).key_hash());
            }
        }
        let mut repeats = Repeats::default();
        assert!(repeats.overlay(sketches.iter()), "worth it");
        let single = (0..5000u64).filter(|key| repeats.is_single(key.key_hash()));
        assert!(single.count() > 4000);
        assert!(!repeats.overlay([&sketches[0], &sketches[0]].into_iter()));
    }
}
