//! The queries, each written as a user would write it.
//!
//! NEXMark's queries are those of Apache Beam and of `nexmark-flink`; each documents its adaptations. Three things
//! apply to all of them:
//!
//! - The published queries that aggregate *replace* rows: every record yields updated ones. Here a row is emitted
//!   once, when the watermark says that it is final, and nothing is kept for longer.
//! - Where the published query leaves the order of equal records open, it is defined here, so that a run produces the
//!   same rows at every parallelism.
//! - The files contain no strings. Queries about strings read records generated in memory, and in rows each string is
//!   represented by its hash.
//!
//! Query 10 is absent: it writes its input into a partitioned directory, which tests a sink and not a query.

mod day;
mod keysum;
mod mean_price;
mod q11;
mod q12;
mod q13;
mod q14;
mod q15;
mod q16;
mod q17;
mod q18;
mod q19;
mod q20;
mod q21;
mod q22;
mod q3;
mod q4;
mod q5;
mod q6;
mod q7;
mod q8;
mod q9;
mod stateless;
mod text;
mod text_q3;
mod winning_bids;
mod wordcount;

use clap::ValueEnum;

use super::checksum::Total;
use super::draft::Draft;

/// What may be run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Query {
    /// Every bid
    Q0,
    /// Every bid with its price in another currency
    Q1,
    /// The bids on every 123rd auction
    Q2,
    /// Auctions of one category and who sells them, of some states
    Q3,
    /// The mean price of each category's sales
    Q4,
    /// The auction with the most bids of the last ten seconds, every two seconds
    Q5,
    /// The mean price of each seller's last ten sales
    Q6,
    /// The highest bid of every ten seconds
    Q7,
    /// Persons and the auctions that they opened in the ten seconds in which they came
    Q8,
    /// The winning bid of each auction
    Q9,
    /// How many bids each bidder made in each session
    Q11,
    /// How many bids each bidder made within ten seconds of processing time
    Q12,
    /// Every bid with a value of a table on the side
    Q13,
    /// Bids of some prices with the time of day, and a count of letters
    Q14,
    /// Bids, bidders and auctions of a day, by price rank
    Q15,
    /// Bids, bidders and auctions of a day on each channel, by price rank
    Q16,
    /// Statistics of each auction's bids of a day
    Q17,
    /// The last bid of each bidder on each auction
    Q18,
    /// The ten highest bids on each auction
    Q19,
    /// The bids on auctions of one category, with the auction
    Q20,
    /// Bids with the number of their channel, from its name or the URL
    Q21,
    /// Bids with the directories of their URL
    Q22,
    /// Running sums of a thousand keys
    #[value(name = "keysum-1k")]
    Keysum1k,
    /// Running sums of a million keys
    #[value(name = "keysum-1m")]
    Keysum1m,
    /// Running sums of ten million keys
    #[value(name = "keysum-10m")]
    Keysum10m,
    /// Running sums of a million keys, some of them far more frequent than others
    #[value(name = "keysum-zipf")]
    KeysumZipf,
    /// Running counts of words
    Wordcount,
}

impl Query {
    /// The query's name.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value().expect("no query is skipped");
        value.get_name().to_owned()
    }

    /// What the query computes.
    pub(super) fn about(self) -> String {
        let value = self.to_possible_value().expect("no query is skipped");
        value.get_help().expect("every query has one").to_string()
    }

    /// Whether the query can read records with strings if asked to.
    pub(super) fn has_strings_variant(self) -> bool {
        matches!(self, Query::Q0 | Query::Q1 | Query::Q2 | Query::Q3)
    }

    /// Whether the query always reads records with strings.
    pub(super) fn is_about_strings(self) -> bool {
        matches!(self, Query::Q14 | Query::Q16 | Query::Q21 | Query::Q22)
    }

    /// Builds the query's job.
    pub(super) fn draw(self, draft: &Draft<'_>) {
        match self {
            Query::Q0 if draft.has_strings() => text::q0(draft),
            Query::Q1 if draft.has_strings() => text::q1(draft),
            Query::Q2 if draft.has_strings() => text::q2(draft),
            Query::Q3 if draft.has_strings() => text_q3::q3(draft),
            Query::Q0 => stateless::q0(draft),
            Query::Q1 => stateless::q1(draft),
            Query::Q2 => stateless::q2(draft),
            Query::Q3 => q3::q3(draft),
            Query::Q4 => q4::q4(draft),
            Query::Q5 => q5::q5(draft),
            Query::Q6 => q6::q6(draft),
            Query::Q7 => q7::q7(draft),
            Query::Q8 => q8::q8(draft),
            Query::Q9 => q9::q9(draft),
            Query::Q11 => q11::q11(draft),
            Query::Q12 => q12::q12(draft),
            Query::Q13 => q13::q13(draft),
            Query::Q14 => q14::q14(draft),
            Query::Q15 => q15::q15(draft),
            Query::Q16 => q16::q16(draft),
            Query::Q17 => q17::q17(draft),
            Query::Q18 => q18::q18(draft),
            Query::Q19 => q19::q19(draft),
            Query::Q20 => q20::q20(draft),
            Query::Q21 => q21::q21(draft),
            Query::Q22 => q22::q22(draft),
            Query::Keysum1k => keysum::keysum(draft, "keys_1k", 1_000),
            Query::Keysum1m => keysum::keysum(draft, "keys_1m", 1_000_000),
            Query::Keysum10m => keysum::keysum(draft, "keys_10m", 10_000_000),
            Query::KeysumZipf => keysum::keysum(draft, "keys_zipf_1m", 1_000_000),
            Query::Wordcount => wordcount::wordcount(draft),
        }
    }

    /// The number of records that the query processed in a run whose sources emitted `emitted` records.
    pub(super) fn records(self, emitted: u64, total: Total) -> u64 {
        match self {
            // Sources emit lines, but the records are words, each of which yields a row.
            Query::Wordcount => total.rows,
            _ => emitted,
        }
    }
}
