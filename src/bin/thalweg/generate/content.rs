//! What a file contains, and how it is generated.
//!
//! Every file has its own random streams, so no file depends on which others are generated.

use bytemuck::NoUninit;

use crate::bench::KeyValue;
use crate::error::Failure;
use crate::nexmark::{
    Auction, Bid, Dated, MadeUp, Person, Random, Recipe, TextAuction, TextBid, TextPerson,
    Timeline, Zipf, mix64,
};

use super::disorder::Disorder;
use super::input_file::InputFile;
use super::options::{GenerateOptions, Part};
use super::words::Words;

/// The content of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    Persons,
    Auctions,
    Bids,
    /// Numbers below `below`, equally frequent.
    Keys {
        below: u64,
    },
    /// The same, distributed by Zipf's law with exponent 0.99; the frequent ones are scattered.
    KeysByZipf {
        below: u64,
    },
    Words,
    TextPersons,
    TextAuctions,
    TextBids,
}

impl Content {
    /// The part of the inputs that it belongs to.
    pub(super) fn part(self) -> Part {
        match self {
            Content::Persons => Part::Persons,
            Content::Auctions => Part::Auctions,
            Content::Bids => Part::Bids,
            Content::Keys { .. } | Content::KeysByZipf { .. } => Part::Keys,
            Content::Words => Part::Words,
            Content::TextPersons | Content::TextAuctions | Content::TextBids => Part::Text,
        }
    }

    /// The beginning of its file's name, and the extension.
    pub(super) fn name(self) -> (&'static str, &'static str) {
        match self {
            Content::Persons => ("persons", "bin"),
            Content::Auctions => ("auctions", "bin"),
            Content::Bids => ("bids", "bin"),
            Content::Keys { .. } => ("keys", "bin"),
            Content::KeysByZipf { .. } => ("keys_zipf", "bin"),
            Content::Words => ("words", "txt"),
            Content::TextPersons => ("text_persons", "csv"),
            Content::TextAuctions => ("text_auctions", "csv"),
            Content::TextBids => ("text_bids", "csv"),
        }
    }

    /// The size of a record: for text an estimate, for words 1.
    pub(super) fn record_bytes(self) -> u64 {
        match self {
            Content::Persons => size_of::<Person>() as u64,
            Content::Auctions => size_of::<Auction>() as u64,
            Content::Bids => size_of::<Bid>() as u64,
            Content::Keys { .. } | Content::KeysByZipf { .. } => size_of::<KeyValue>() as u64,
            Content::Words => 1,
            Content::TextPersons => 220,
            Content::TextAuctions => 530,
            Content::TextBids => 180,
        }
    }

    /// Writes `count` records, or at least that many bytes of words; returns the number of records or words written.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn write(
        self,
        count: u64,
        options: &GenerateOptions,
        file: &mut InputFile<'_>,
    ) -> Result<u64, Failure> {
        let seed = options.seed;
        let stream = |number: u64| Random::new(mix64(seed ^ number));
        let timeline = Timeline::new(options.rate);
        match self {
            Content::Persons => {
                let mut random = stream(0xA1);
                let persons = (0..count).map(|number| timeline.person(number, &mut random));
                write_disordered(persons, options, 1, file)
            }
            Content::Auctions => {
                let mut random = stream(0xA2);
                let auctions = (0..count).map(|number| timeline.auction(number, &mut random));
                write_disordered(auctions, options, 2, file)
            }
            Content::Bids => {
                let mut random = stream(0xA3);
                let bids = (0..count).map(|number| timeline.bid(number, &mut random));
                write_disordered(bids, options, 3, file)
            }
            Content::Keys { below } => {
                let mut random = stream(mix64(below));
                let keys = (0..count).map(|_| random.below(below));
                write_records(keys.map(with_value), file)
            }
            Content::KeysByZipf { below } => {
                let mut random = stream(mix64(below ^ 0x5A5A));
                let keys = shuffled(below, &mut random);
                let zipf = Zipf::new(keys.len(), 0.99);
                let keys = (0..count).map(|_| keys[zipf.rank(&mut random)]);
                write_records(keys.map(with_value), file)
            }
            Content::Words => write_words(count, stream(0xBEEF), file),
            Content::TextPersons => write_rows::<TextPerson>(count, options, file),
            Content::TextAuctions => write_rows::<TextAuction>(count, options, file),
            Content::TextBids => write_rows::<TextBid>(count, options, file),
        }
    }
}

/// A key with its value: a function of the key, so that the final sums do not depend on the order.
fn with_value(key: u64) -> KeyValue {
    let value = mix64(key) % 1000 + 1;
    KeyValue { key, value }
}

/// The numbers below `end` in random order.
fn shuffled(end: u64, random: &mut Random) -> Vec<u64> {
    let mut numbers: Vec<_> = (0..end).collect();
    for place in (1..numbers.len()).rev() {
        numbers.swap(place, random.below(place as u64 + 1) as usize);
    }
    numbers
}

/// Writes records out of order, as far as the options ask for it; `kind` separates their stream of delays from
/// others.
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

fn write_words(bytes: u64, random: Random, file: &mut InputFile<'_>) -> Result<u64, Failure> {
    let (mut words, mut line) = (Words::new(random), Vec::new());
    let (mut written, mut count) = (0, 0);
    while written < bytes {
        count += words.fill(&mut line);
        file.push(&line)?;
        written += line.len() as u64;
    }
    Ok(count)
}

fn write_rows<T: MadeUp>(
    count: u64,
    options: &GenerateOptions,
    file: &mut InputFile<'_>,
) -> Result<u64, Failure> {
    let recipe = Recipe {
        seed: options.seed,
        timeline: Timeline::new(options.rate),
        jitter_ms: options.jitter_ms,
    };
    file.push(format!("{}\n", T::COLUMNS).as_bytes())?;
    let (mut record, mut row) = (T::default(), String::new());
    for number in 0..count {
        record.become_number(number, &recipe);
        row.clear();
        record.push_row(&mut row);
        file.push(row.as_bytes())?;
    }
    Ok(count)
}
