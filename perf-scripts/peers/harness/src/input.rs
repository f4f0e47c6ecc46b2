//! The inputs: files of fixed-size records, mapped and populated before any clock starts.

use std::fs::File;
use std::io;
use std::path::Path;

use bytemuck::{Pod, Zeroable};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use crate::options::{Options, Query};

/// Records of a block: parallel sources deal a file in blocks.
pub const BLOCK_RECORDS: usize = 1024;
/// Bytes of a block of `words.txt`.
pub const BLOCK_BYTES: usize = 64 << 10;
/// Files larger than this are faulted in as they are read, in Thalweg too.
const POPULATE_MAX: usize = 4 << 30;

/// A record of `bids.bin`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable, Serialize, Deserialize)]
pub struct Bid {
    /// The auction bid in.
    pub auction: u64,
    /// Who bids.
    pub bidder: u64,
    /// The price in cents.
    pub price: u64,
    /// When, in milliseconds since the epoch.
    pub date_time: i64,
}

/// A record of `persons.bin`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable, Serialize, Deserialize)]
pub struct Person {
    /// Unique among persons.
    pub id: u64,
    /// One of 50.
    pub state_id: u64,
    /// One of 1000.
    pub city_id: u64,
    /// When, in milliseconds since the epoch.
    pub date_time: i64,
}

/// A record of `auctions.bin`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable, Serialize, Deserialize)]
pub struct Auction {
    /// Unique among auctions.
    pub id: u64,
    /// The person who sells.
    pub seller: u64,
    /// One of five.
    pub category: u64,
    /// In cents.
    pub initial_bid: u64,
    /// When, in milliseconds since the epoch.
    pub date_time: i64,
    /// When it ends, in milliseconds since the epoch.
    pub expires: i64,
}

/// A record of `keys_*.bin`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable, Serialize, Deserialize)]
pub struct Keyed {
    /// The key.
    pub key: u64,
    /// What it adds to the key's sum.
    pub value: u64,
}

/// The price of query 1, in another currency.
#[inline(always)]
pub fn price_in_euros(price: u64) -> u64 {
    (price as f64 * 0.908) as u64
}

/// The files of one query, cut to `--limit`.
#[derive(Debug)]
pub struct Inputs {
    maps: Vec<Mmap>,
    limit: usize,
}

impl Inputs {
    /// Maps and populates what `options.query` reads. The error names the file.
    pub fn open(options: &Options) -> Result<Self, String> {
        let names: &[&str] = match options.query {
            Query::Q0 | Query::Q1 | Query::Q2 | Query::Q5 | Query::Q7 => &["bids"],
            Query::Q3 | Query::Q8 => &["persons", "auctions"],
            Query::Keysum1k => &["keys_1k"],
            Query::Keysum1m => &["keys_1m"],
            Query::Keysum10m => &["keys_10m"],
            Query::KeysumZipf => &["keys_zipf_1m"],
            Query::Wordcount => &["words"],
        };
        let extension = if options.query == Query::Wordcount {
            "txt"
        } else {
            "bin"
        };
        let open = |name: &&str| {
            let path = format!("{name}{}.{extension}", options.suffix);
            map(&options.data.join(path))
        };
        Ok(Inputs {
            maps: names.iter().map(open).collect::<Result<_, _>>()?,
            limit: options.limit.unwrap_or(usize::MAX),
        })
    }

    fn records<T: Pod>(&self, file: usize) -> &[T] {
        let bytes = &self.maps[file][..];
        let whole = bytes.len() / size_of::<T>();
        let records: &[T] = bytemuck::cast_slice(&bytes[..whole * size_of::<T>()]);
        &records[..whole.min(self.limit)]
    }

    /// The bids of q0, q1, q2, q5 and q7.
    pub fn bids(&self) -> &[Bid] {
        self.records(0)
    }

    /// The persons of q3 and q8.
    pub fn persons(&self) -> &[Person] {
        self.records(0)
    }

    /// The auctions of q3 and q8.
    pub fn auctions(&self) -> &[Auction] {
        self.records(1)
    }

    /// The records of the running sums.
    pub fn keyed(&self) -> &[Keyed] {
        self.records(0)
    }

    /// The text of the word count: its first `--limit` lines.
    pub fn text(&self) -> &[u8] {
        let text = &self.maps[0][..];
        if self.limit == usize::MAX {
            return text;
        }
        let lines = text.split_inclusive(|&byte| byte == b'\n');
        &text[..lines.take(self.limit).map(<[u8]>::len).sum()]
    }
}

/// Maps a file with the advice that Thalweg's file sources give, and populates it unless it is huge.
fn map(path: &Path) -> Result<Mmap, String> {
    use memmap2::Advice::{HugePage, PopulateRead, Sequential};
    let named = |error: io::Error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(named)?;
    // SAFETY: the inputs are not written while a benchmark runs; they are made beforehand.
    let bytes = unsafe { Mmap::map(&file) }.map_err(named)?;
    // What the system or the file system does not have of this only costs time.
    let _ = bytes.advise(Sequential);
    let _ = bytes.advise(HugePage);
    if bytes.len() <= POPULATE_MAX {
        match bytes.advise(PopulateRead) {
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => return Err(named(error)),
            _ => {}
        }
    }
    Ok(bytes)
}

/// The blocks of subtask `index` of `parallelism`: block b goes to subtask b mod P.
pub fn blocks<T>(records: &[T], index: usize, parallelism: usize) -> impl Iterator<Item = &[T]> {
    records
        .chunks(BLOCK_RECORDS)
        .skip(index)
        .step_by(parallelism)
}

/// The lines of one subtask's blocks of a text, as runs of whole lines. A line belongs to the block
/// that holds its first byte.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    text: &'a [u8],
    block: usize,
    parallelism: usize,
}

impl<'a> Lines<'a> {
    /// Those of subtask `index` of `parallelism`.
    pub fn new(text: &'a [u8], index: usize, parallelism: usize) -> Self {
        let block = index;
        Lines {
            text,
            block,
            parallelism,
        }
    }

    /// The first byte of the first line that begins at or after `at`.
    fn line_start(&self, at: usize) -> usize {
        if at == 0 {
            return 0;
        }
        let from = (at - 1).min(self.text.len());
        let rest = &self.text[from..];
        from + rest
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(rest.len(), |end| end + 1)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.block * BLOCK_BYTES;
        if start >= self.text.len() {
            return None;
        }
        self.block += self.parallelism;
        Some(&self.text[self.line_start(start)..self.line_start(start + BLOCK_BYTES)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_belongs_to_exactly_one_subtask() {
        let mut text = Vec::new();
        for line in 0..40_000 {
            text.extend_from_slice(format!("{line} {}\n", "x".repeat(line % 13)).as_bytes());
        }
        for parallelism in 1..4 {
            let mut seen: Vec<&[u8]> = Vec::new();
            for index in 0..parallelism {
                for run in Lines::new(&text, index, parallelism) {
                    assert!(run.ends_with(b"\n"));
                    seen.extend(run.split_inclusive(|&byte| byte == b'\n'));
                }
            }
            seen.sort_unstable();
            let mut all: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
            all.sort_unstable();
            assert_eq!(seen, all);
        }
    }

    #[test]
    fn blocks_are_dealt_in_turn() {
        let records: Vec<u32> = (0..3000).collect();
        let second: Vec<u32> = blocks(&records, 1, 2).flatten().copied().collect();
        assert_eq!(second, (1024..2048).collect::<Vec<_>>());
    }
}
