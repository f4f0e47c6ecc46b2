//! The inputs: what each file is called, how large it will be, and what is in it.
//!
//! Every file has random streams of its own, so no file depends on which others are made.

use bytemuck::NoUninit;

use crate::bench::KeyValue;
use crate::error::Failure;
use crate::nexmark::{Auction, Bid, Counts, Dated, Person, Random, Timeline, Zipf, mix64};

use super::disorder::Disorder;
use super::input_file::InputFile;
use super::options::{GenerateOptions, Part};
use super::words::Words;

/// How much longer the long files are.
const X10: u64 = 10;

/// One file to make.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: String,
    content: Content,
}

/// What is in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    Persons {
        count: u64,
    },
    Auctions {
        count: u64,
    },
    Bids {
        count: u64,
    },
    Keys {
        count: u64,
        below: u64,
        spread: Spread,
    },
    Words {
        bytes: u64,
    },
}

/// How frequent keys are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Spread {
    /// All alike.
    Uniform,
    /// By Zipf's law with the exponent 0.99; the frequent ones lie anywhere.
    Zipf,
}

impl Input {
    /// All files that `options` ask for.
    pub(super) fn all(options: &GenerateOptions) -> Vec<Input> {
        let mut all = Vec::new();
        let mut add = |part, name: &str, suffix: &str, content| {
            if options.has(part) {
                let name = format!("{name}{}{suffix}", options.suffix);
                all.push(Input { name, content });
            }
        };
        let Counts {
            persons,
            auctions,
            bids,
        } = Counts::up_to_bids(options.bids);
        add(
            Part::Persons,
            "persons",
            ".bin",
            Content::Persons { count: persons },
        );
        add(
            Part::Auctions,
            "auctions",
            ".bin",
            Content::Auctions { count: auctions },
        );
        add(Part::Bids, "bids", ".bin", Content::Bids { count: bids });
        if options.x10 {
            let Counts {
                persons, auctions, ..
            } = Counts::up_to_bids(options.bids * X10);
            add(
                Part::Persons,
                "persons",
                "_x10.bin",
                Content::Persons { count: persons },
            );
            add(
                Part::Auctions,
                "auctions",
                "_x10.bin",
                Content::Auctions { count: auctions },
            );
        }
        let keys = [
            ("keys_1k", 1_000, Spread::Uniform),
            ("keys_1m", 1_000_000, Spread::Uniform),
            ("keys_10m", 10_000_000, Spread::Uniform),
            ("keys_zipf_1m", 1_000_000, Spread::Zipf),
        ];
        for (name, below, spread) in keys {
            let count = options.keys;
            add(
                Part::Keys,
                name,
                ".bin",
                Content::Keys {
                    count,
                    below,
                    spread,
                },
            );
        }
        let bytes = options.words_bytes;
        add(Part::Words, "words", ".txt", Content::Words { bytes });
        all
    }

    /// How large it will be; of text, at least.
    pub(super) fn bytes(&self) -> u64 {
        match self.content {
            Content::Persons { count } => count * size_of::<Person>() as u64,
            Content::Auctions { count } => count * size_of::<Auction>() as u64,
            Content::Bids { count } => count * size_of::<Bid>() as u64,
            Content::Keys { count, .. } => count * size_of::<KeyValue>() as u64,
            Content::Words { bytes } => bytes,
        }
    }

    /// Writes all of it; says how many records it has, or words.
    ///
    /// # Errors
    /// The file's.
    pub(super) fn write(
        &self,
        options: &GenerateOptions,
        file: &mut InputFile<'_>,
    ) -> Result<u64, Failure> {
        let seed = options.seed;
        let stream = |number: u64| Random::new(mix64(seed ^ number));
        let timeline = Timeline::new(options.rate);
        match self.content {
            Content::Persons { count } => {
                let mut random = stream(0xA1);
                let persons = (0..count).map(|number| timeline.person(number, &mut random));
                write_disordered(persons, options, 1, file)
            }
            Content::Auctions { count } => {
                let mut random = stream(0xA2);
                let auctions = (0..count).map(|number| timeline.auction(number, &mut random));
                write_disordered(auctions, options, 2, file)
            }
            Content::Bids { count } => {
                let mut random = stream(0xA3);
                let bids = (0..count).map(|number| timeline.bid(number, &mut random));
                write_disordered(bids, options, 3, file)
            }
            Content::Keys {
                count,
                below,
                spread,
            } => match spread {
                Spread::Uniform => {
                    let mut random = stream(mix64(below));
                    let keys = (0..count).map(|_| random.below(below));
                    write_records(keys.map(with_value), file)
                }
                Spread::Zipf => {
                    let mut random = stream(mix64(below ^ 0x5A5A));
                    let keys = shuffled(below, &mut random);
                    let zipf = Zipf::new(keys.len(), 0.99);
                    let keys = (0..count).map(|_| keys[zipf.rank(&mut random)]);
                    write_records(keys.map(with_value), file)
                }
            },
            Content::Words { bytes } => write_words(stream(0xBEEF), bytes, file),
        }
    }
}

/// A key with its value: a function of the key, so that running sums come out in every order alike.
fn with_value(key: u64) -> KeyValue {
    let value = mix64(key) % 1000 + 1;
    KeyValue { key, value }
}

/// The numbers below `end`, in any order.
fn shuffled(end: u64, random: &mut Random) -> Vec<u64> {
    let mut numbers: Vec<_> = (0..end).collect();
    for place in (1..numbers.len()).rev() {
        numbers.swap(place, random.below(place as u64 + 1) as usize);
    }
    numbers
}

/// Writes records out of order, as far as the options ask for it; `kind` tells their stream of
/// delays from others.
fn write_disordered<T: NoUninit + Dated>(
    records: impl Iterator<Item = T>,
    options: &GenerateOptions,
    kind: u64,
    file: &mut InputFile<'_>,
) -> Result<u64, Failure> {
    let seed = mix64(options.seed ^ (0x1177 + kind));
    write_records(Disorder::new(records, options.jitter_ms, seed), file)
}

fn write_records<T: NoUninit>(
    records: impl Iterator<Item = T>,
    file: &mut InputFile<'_>,
) -> Result<u64, Failure> {
    let mut count = 0;
    for record in records {
        file.push(bytemuck::bytes_of(&record))?;
        count += 1;
    }
    Ok(count)
}

fn write_words(random: Random, bytes: u64, file: &mut InputFile<'_>) -> Result<u64, Failure> {
    let (mut words, mut line) = (Words::new(random), Vec::new());
    let (mut written, mut count) = (0, 0);
    while written < bytes {
        count += words.fill(&mut line);
        file.push(&line)?;
        written += line.len() as u64;
    }
    Ok(count)
}
