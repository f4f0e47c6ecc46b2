//! Running counts of words.

use foldhash::fast::FixedState;
use harness::{Digest, Inputs, Lines, Options, Outcome, fnv1a64, h2, run_subtasks};
use hashbrown::HashMap;

use crate::exchange::{Exchange, owner};
use crate::word_table::{Word, WordTable};

/// Words split off before they are counted, their slots being fetched meanwhile.
const BATCH: usize = 128;
/// Room for so many words is made beforehand.
const VOCABULARY: usize = 100_000;

/// One look-up a word, in the fastest general-purpose map.
pub(crate) fn plain(_: &Options, inputs: &'static Inputs) -> Outcome {
    let text = inputs.text();
    let map: HashMap<&[u8], u64, FixedState> =
        HashMap::with_capacity_and_hasher(VOCABULARY, FixedState::default());
    let outcome = run_subtasks(0, vec![map], |_, counts| {
        let mut digest = Digest::default();
        let words = text.split(|byte| matches!(byte, b' ' | b'\n'));
        for word in words.filter(|word| !word.is_empty()) {
            let count = counts.entry(word).or_insert(0);
            *count += 1;
            digest.add(h2(fnv1a64(word), *count));
        }
        digest
    });
    Outcome {
        records: outcome.digest.rows,
        ..outcome
    }
}

/// Words split off in batches, so that the table's slots arrive while the next are split.
pub(crate) fn prefetch(_: &Options, inputs: &'static Inputs) -> Outcome {
    let text = inputs.text();
    let outcome = run_subtasks(0, vec![WordTable::new(text, VOCABULARY)], |_, table| {
        let mut digest = Digest::default();
        let mut batch = Batch::new();
        for lines in Lines::new(text, 0, 1) {
            batch.split(text, lines, |words| {
                words.iter().for_each(|word| table.prefetch(word));
                count(table, words, &mut digest);
            });
        }
        digest
    });
    Outcome {
        records: outcome.digest.rows,
        ..outcome
    }
}

/// Words dealt out by owner.
pub(crate) fn exchange(options: &Options, inputs: &'static Inputs) -> Outcome {
    let (text, parallelism) = (inputs.text(), options.parallelism);
    let table = || WordTable::new(text, VOCABULARY);
    let contexts = Exchange::new(parallelism)
        .map(|exchange| (exchange, table()))
        .collect();
    let outcome = run_subtasks(0, contexts, |index, (exchange, table)| {
        let mut digest = Digest::default();
        let mut batch = Batch::new();
        let mut arrived = |_: usize, words: &[Word]| {
            for words in words.chunks(BATCH) {
                words.iter().for_each(|word| table.prefetch(word));
                count(table, words, &mut digest);
            }
        };
        for lines in Lines::new(text, index, parallelism) {
            batch.split(text, lines, |words| {
                exchange.send(
                    words,
                    |word| (owner(word.hash, parallelism), *word),
                    &mut arrived,
                );
            });
        }
        exchange.finish(arrived);
        digest
    });
    Outcome {
        records: outcome.digest.rows,
        ..outcome
    }
}

#[inline(always)]
fn count(table: &mut WordTable<'_>, words: &[Word], digest: &mut Digest) {
    for word in words {
        digest.add(h2(word.hash, table.count(word)));
    }
}

/// Words that have been split off.
struct Batch {
    words: [Word; BATCH],
}

impl Batch {
    fn new() -> Self {
        Batch {
            words: [Word::default(); BATCH],
        }
    }

    /// Splits `lines`, a part of `text` that ends with a line's end, and hands on the words in batches.
    #[inline(always)]
    fn split(&mut self, text: &[u8], lines: &[u8], mut full: impl FnMut(&[Word])) {
        let first = lines.as_ptr() as usize - text.as_ptr() as usize;
        let (mut start, mut count) = (first, 0);
        for (chunk_index, chunk) in lines.chunks(64).enumerate() {
            let mut ends = ends_of_words(chunk);
            while ends != 0 {
                let end = first + chunk_index * 64 + ends.trailing_zeros() as usize;
                ends &= ends - 1;
                if end > start {
                    self.words[count] = Word::new(text, start, end);
                    count += 1;
                    if count == BATCH {
                        full(&self.words);
                        count = 0;
                    }
                }
                start = end + 1;
            }
        }
        let last = first + lines.len();
        if start < last {
            self.words[count] = Word::new(text, start, last);
            count += 1;
        }
        full(&self.words[..count]);
    }
}

/// A bit for every byte that ends a word.
#[inline(always)]
fn ends_of_words(chunk: &[u8]) -> u64 {
    #[cfg(target_feature = "avx2")]
    if let Ok(chunk) = <&[u8; 64]>::try_from(chunk) {
        use std::arch::x86_64::{
            _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
            _mm256_set1_epi8,
        };
        let half = |at: usize| {
            // SAFETY: half of the chunk is 32 readable bytes, and the instructions are there.
            unsafe {
                let bytes = _mm256_loadu_si256(chunk.as_ptr().add(at).cast());
                // In a text of letters, what is no larger than a space is a space or a line's end.
                let least = _mm256_min_epu8(bytes, _mm256_set1_epi8(b' ' as i8));
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(least, bytes)) as u32
            }
        };
        return u64::from(half(0)) | u64::from(half(32)) << 32;
    }
    let bit = |(at, &byte): (usize, &u8)| u64::from(byte <= b' ') << at;
    chunk
        .iter()
        .enumerate()
        .map(bit)
        .fold(0, |ends, bit| ends | bit)
}
