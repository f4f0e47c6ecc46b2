//! Running counts of words: lines split, words dealt out, counted.

use harness::{HugePages, Inputs, Lines, Options, Outcome, Text, Word, h2};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Operator;
use timely::dataflow::operators::vec::Map;

use crate::run::{Pace, run};

/// One count a word, in a table by the word.
pub(crate) fn wordcount(options: &Options, inputs: &'static Inputs) -> Outcome {
    run(
        options,
        inputs,
        |digest| digest.rows as usize,
        |scope, run| {
            let mut blocks = Lines::new(run.inputs.text(), run.index, run.parallelism);
            let lines = run.source(scope, Pace::COUNTED, move || {
                Some((Text(blocks.next()?).lines().collect(), 0))
            });
            let words = lines.flat_map(Text::words);
            let by_word = Exchange::new(|word: &Word| word.hash);
            let counts = words.unary::<CapacityContainerBuilder<Vec<(u64, u64)>>, _, _, _>(
                by_word,
                "count",
                |_, _| {
                    let mut counts: HashTable<(Word, u64), HugePages> =
                        HashTable::with_capacity_in(100_000, HugePages);
                    move |input, output| {
                        input.for_each(|capability, words| {
                            let mut session = output.session(&capability);
                            session.give_iterator(words.drain(..).map(|word| {
                                let same = |(other, _): &(Word, u64)| other.text == word.text;
                                match counts
                                    .entry(spread(word.hash), same, |(word, _)| spread(word.hash))
                                {
                                    Entry::Occupied(mut found) => {
                                        found.get_mut().1 += 1;
                                        (word.hash, found.get().1)
                                    }
                                    Entry::Vacant(free) => {
                                        free.insert((word, 1));
                                        (word.hash, 1)
                                    }
                                }
                            }));
                        });
                    }
                },
            );
            run.sink(counts, |(hash, count)| h2(*hash, *count));
        },
    )
}

/// The hash a table needs, whose high bits count too.
fn spread(hash: u64) -> u64 {
    hash.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
