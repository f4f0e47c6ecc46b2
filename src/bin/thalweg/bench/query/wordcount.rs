//! Word count: lines, words, running counts.

use thalweg::operator::Split;
use thalweg::state::Count;

use crate::bench::draft::Draft;

/// The number of different words.
const VOCABULARY: usize = 100_000;

/// The 64-bit FNV-1a hash (Fowler, Noll and Vo), which represents a word in a row.
#[inline(always)]
fn fnv1a64(word: &str) -> u64 {
    word.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// For every word, the word and its number of occurrences so far.
pub(super) fn wordcount(draft: &Draft<'_>) {
    draft
        .lines("words")
        .flat_map_with(Split::at(' '))
        .key_by_ref(|word| word)
        .expected_keys(VOCABULARY)
        .aggregate_with(Count, |word: &str, count| [fnv1a64(word), count])
        .sink("rows", draft.rows());
}
