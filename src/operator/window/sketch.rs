//! Sketches: which keys a slice may have, in a few bits for each, so that a window can tell the keys that
//! are in one of its slices only.
//!
//! What a key accumulated in one slice alone is already its window's result: it can be emitted from where
//! it lies. Where keys live shortly, as auctions or sessions do, that is nearly every key, and uniting
//! the slices' tables first would cost several times as much as anything else that a firing does.
//!
//! A sketch is a Bloom filter with one hash function. The sketches of a window's slices are laid over one
//! another, a word at a time: a bit that is set in two of them may be a *repeated* key, a bit that is set
//! in one is a single one for sure. Sketches differ in size by powers of two, and a position is the low
//! bits of the hash, so the smaller one is laid over the larger one several times.
//!
//! ```text
//! slice 1    1 0 0 1 0 0 1 0
//! slice 2    0 0 1 1 0 0 0 0  │  repeated  0 0 0 1 0 0 0 0 : most keys are single
//! slice 3    0 0 0 0 1 0 0 0
//! ```

use crate::record::KeyHash;

/// Bits per key. Of a window's keys that are single, one in so many, times the number of slices, is
/// taken for a repeated one.
const BITS_PER_KEY: usize = 32;
const WORDS_MIN: usize = 4;
/// Lower bits of the hash place an entry in its table.
const SHIFT: u32 = 16;
/// So many words tell whether most keys are single.
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

/// Which keys a table may have.
#[derive(Debug, Default)]
pub(super) struct Sketch {
    words: Vec<u64>,
    keys: usize,
}

impl Sketch {
    /// Notes a key that was not noted before.
    pub(super) fn insert(&mut self, hash: KeyHash) {
        if self.keys * BITS_PER_KEY >= self.words.len() * 64 {
            self.grow();
        }
        self.keys += 1;
        let (word, bit) = position(hash, self.words.len());
        self.words[word] |= bit;
    }

    /// Twice as large: what was noted is noted in both halves.
    #[cold]
    fn grow(&mut self) {
        if self.words.is_empty() {
            self.words.resize(WORDS_MIN, 0);
        } else {
            self.words.extend_from_within(..);
        }
    }

    /// Forgets all keys; has room for so many from then on.
    pub(super) fn clear(&mut self, keys: usize) {
        self.words.clear();
        self.words.resize(words_for(keys), 0);
        self.keys = 0;
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }
}

/// Which keys may be in two or more of several tables.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    seen: Vec<u64>,
    repeated: Vec<u64>,
}

impl Repeats {
    /// Lays the sketches over one another. Returns whether most keys are in one of them only: if not,
    /// it is not worth asking.
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

    /// Whether a key that is in one of the tables is in that one only; if not, it may be.
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
