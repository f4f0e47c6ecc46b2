//! Running counts of words: lines split, words dealt out, counted.

use harness::{Inputs, Lines, Options, Outcome, fnv1a64, h2};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Operator;
use timely::dataflow::operators::vec::Map;

use crate::run::{Pace, run};

/// A part of the mapped text: records point to it rather than own a copy. Workers share memory, so
/// that no part of it is ever written out, though Timely asks for the means.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Text(&'static [u8]);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("text stays in its process"))
    }
}

/// A word with its hash, which deals it out, finds its count, and stands for it in the checksum.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Word {
    hash: u64,
    text: Text,
}

/// One count a word, in a table by the word.
pub(crate) fn wordcount(options: &Options, inputs: &'static Inputs) -> Outcome {
    run(
        options,
        inputs,
        |digest| digest.rows as usize,
        |scope, run| {
            let mut blocks = Lines::new(run.inputs.text(), run.index, run.parallelism);
            let lines = run.source(scope, Pace::COUNTED, move || {
                let lines = blocks.next()?.split(|byte| *byte == b'\n');
                Some((lines.filter(|line| !line.is_empty()).map(Text).collect(), 0))
            });
            let words = lines.flat_map(|line| {
                let words = line
                    .0
                    .split(|byte| *byte == b' ')
                    .filter(|word| !word.is_empty());
                words.map(|word| Word {
                    hash: fnv1a64(word),
                    text: Text(word),
                })
            });
            let by_word = Exchange::new(|word: &Word| word.hash);
            let counts = words.unary::<CapacityContainerBuilder<Vec<(u64, u64)>>, _, _, _>(
                by_word,
                "count",
                |_, _| {
                    let mut counts: HashTable<(Word, u64)> = HashTable::with_capacity(100_000);
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
