//! The input files: their names and contents.

use crate::bench::X10_SUFFIX;
use crate::nexmark::Counts;

use super::content::Content;
use super::options::GenerateOptions;

/// How many times longer the long files are.
const X10: u64 = 10;

/// A file to generate.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) content: Content,
    /// The number of records; for words, the minimum number of bytes.
    pub(super) count: u64,
}

impl Input {
    /// All files that `options` ask for.
    pub(super) fn all(options: &GenerateOptions) -> Vec<Input> {
        let counts = Counts::up_to_bids(options.bids);
        let mut all = vec![
            (Content::Persons, "", counts.persons),
            (Content::Auctions, "", counts.auctions),
            (Content::Bids, "", counts.bids),
        ];
        if options.x10 {
            let long = Counts::up_to_bids(options.bids * X10);
            all.extend([
                (Content::Persons, X10_SUFFIX, long.persons),
                (Content::Auctions, X10_SUFFIX, long.auctions),
            ]);
        }
        all.extend([
            (Content::Keys { below: 1_000 }, "_1k", options.keys),
            (Content::Keys { below: 1_000_000 }, "_1m", options.keys),
            (Content::Keys { below: 10_000_000 }, "_10m", options.keys),
            (
                Content::KeysByZipf { below: 1_000_000 },
                "_1m",
                options.keys,
            ),
            (Content::Words, "", options.words_bytes),
            (Content::TextPersons, "", counts.persons),
            (Content::TextAuctions, "", counts.auctions),
            (Content::TextBids, "", counts.bids),
        ]);
        let wanted = (all.into_iter()).filter(|(content, ..)| options.has(content.part()));
        let named = wanted.map(|(content, size, count)| {
            let (stem, extension) = content.name();
            let name = format!("{stem}{size}{}.{extension}", options.suffix);
            Input {
                name,
                content,
                count,
            }
        });
        named.collect()
    }

    /// The size of the file in bytes; for text an estimate.
    pub(super) fn bytes(&self) -> u64 {
        self.count * self.content.record_bytes()
    }
}
