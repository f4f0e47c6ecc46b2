//! The options of `thalweg generate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::bench::X10_SUFFIX;
use crate::nexmark::JITTER_MS_MAX;

/// The text below the options in `--help`.
pub(crate) const HELP: &str = "\
Files (little-endian, fixed-size records, no header):
  persons.bin       id, state_id, city_id, date_time                              32 bytes
  auctions.bin      id, seller, category, initial_bid, date_time, expires         48 bytes
  bids.bin          auction, bidder, price, date_time                             32 bytes
  keys_*.bin        key, value: a thousand, a million and ten million keys, and a
                    million of which few are frequent (zipf 0.99)                 16 bytes
  words.txt         lines of 8 to 16 words of 100,000 (zipf 1.0)
  text_*.csv        persons, auctions and bids with strings, which `thalweg bench` makes in memory: for
                    others to read; with --only text
  Persons, auctions and bids follow Apache Beam's NEXMark generator: of 50 events 1, 3 and 46; half of
  the bids go to one auction of a hundred. Times are milliseconds since the epoch, from 2015-07-15 on.

  The same options make the same bytes on every machine. A file that is there already is compared
  with them, and not touched unless --force is given. A file has its name only when it is whole.

Examples:
  thalweg generate
      what the benchmarks read by default: 1.7 GB
  thalweg generate --x10
      and persons and auctions ten times as long
  thalweg generate --only nexmark --jitter-ms 500 --suffix _late
      the same events, out of order by up to half a second

Exit codes: 0 done, 1 a file cannot be written or holds other data, 2 wrong usage";

/// What `thalweg generate` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct GenerateOptions {
    /// Where the files go: a directory, which is made if need be
    #[arg(long, value_name = "DIR", default_value = "bench-data")]
    pub(super) data: PathBuf,

    /// How many bids; persons and auctions are in proportion
    #[arg(long, value_name = "N", default_value_t = 10_000_000,
          value_parser = clap::value_parser!(u64).range(0..=1_000_000_000_000))]
    pub(super) bids: u64,

    /// How many records each file of keys has
    #[arg(long, value_name = "N", default_value_t = 20_000_000,
          value_parser = clap::value_parser!(u64).range(0..=1_000_000_000_000))]
    pub(super) keys: u64,

    /// How large the text is, up to the end of a line
    #[arg(long, value_name = "BYTES", default_value_t = 50_000_000,
          value_parser = clap::value_parser!(u64).range(0..=1_000_000_000_000))]
    pub(super) words_bytes: u64,

    /// Events in a second of event time: persons, auctions and bids together
    #[arg(long, value_name = "EVENTS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(super) rate: u64,

    /// How far a record may stand behind a later one, in milliseconds of event time
    ///
    /// Of persons, auctions and bids. What happens within this time is held in memory.
    #[arg(long, value_name = "MS", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=JITTER_MS_MAX))]
    pub(super) jitter_ms: u64,

    /// Another seed makes other data
    #[arg(long, value_name = "SEED", default_value_t = 42)]
    pub(super) seed: u64,

    /// What every file's name ends in, before the extension
    #[arg(long, value_name = "SUFFIX", default_value = "", value_parser = suffix)]
    pub(super) suffix: String,

    /// Make these files only
    #[arg(long, value_name = "PARTS", value_enum, value_delimiter = ',')]
    only: Vec<Part>,

    /// Make persons and auctions ten times as long, too: `persons_x10.bin`, `auctions_x10.bin`
    #[arg(long)]
    pub(super) x10: bool,

    /// Replace files that hold other data
    #[arg(long)]
    pub(super) force: bool,
}

/// A part of the inputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Part {
    /// Persons, auctions and bids
    Nexmark,
    Persons,
    Auctions,
    Bids,
    /// All four files of keys
    Keys,
    Words,
    /// Persons, auctions and bids with strings, as CSV: not made unless named
    Text,
}

impl GenerateOptions {
    /// Whether the part is to be generated.
    pub(super) fn has(&self, part: Part) -> bool {
        let is_nexmark = matches!(part, Part::Persons | Part::Auctions | Part::Bids);
        self.only.is_empty() && part != Part::Text
            || self.only.contains(&part)
            || is_nexmark && self.only.contains(&Part::Nexmark)
    }
}

/// Parses a suffix that may be appended to file names.
fn suffix(text: &str) -> Result<String, String> {
    if text.contains(['/', '\0']) {
        return Err("it is a part of a file's name and has no slash".to_owned());
    }
    // Even beside --x10 these options would give that name to files of the usual length.
    if text == X10_SUFFIX {
        return Err("files of that name are ten times as long: --x10 makes them".to_owned());
    }
    Ok(text.to_owned())
}
