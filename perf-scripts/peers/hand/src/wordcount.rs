//! Running counts of words.

use foldhash::fast::FixedState;
use harness::{
    Digest, HugePages, Inputs, Lines, Options, Outcome, Parts, fnv1a64, h2, run_subtasks,
};
use hashbrown::HashMap;

use crate::exchange::{Exchange, owner, share};
use crate::word_table::{Word, WordTable};

/// Words split off before they are counted, their slots being fetched meanwhile.
const BATCH: usize = 128;
/// Room for so many words is made beforehand.
const VOCABULARY: usize = 100_000;
/// What stands between words.
const SEPARATORS: [u8; 2] = *b" \n";

/// One look-up a word, in the fastest general-purpose map.
pub(crate) fn plain(_: &Options, inputs: &'static Inputs) -> Outcome {
    let text = inputs.text();
    let map: HashMap<&[u8], u64, FixedState, HugePages> =
        HashMap::with_capacity_and_hasher_in(VOCABULARY, FixedState::default(), HugePages);
    let outcome = run_subtasks(0, vec![map], |_, counts| {
        let mut digest = Digest::default();
        for word in Parts::new(text, SEPARATORS) {
            let word = &text[word];
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
    let table = || WordTable::new(text, share(VOCABULARY, parallelism));
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

    /// Splits `lines`, a part of `text`, and hands on the words in batches.
    #[inline(always)]
    fn split(&mut self, text: &[u8], lines: &[u8], mut full: impl FnMut(&[Word])) {
        let first = lines.as_ptr() as usize - text.as_ptr() as usize;
        let mut count = 0;
        for word in Parts::new(lines, SEPARATORS) {
            self.words[count] = Word::new(text, first + word.start, first + word.end);
            count += 1;
            if count == BATCH {
                full(&self.words);
                count = 0;
            }
        }
        full(&self.words[..count]);
    }
}
