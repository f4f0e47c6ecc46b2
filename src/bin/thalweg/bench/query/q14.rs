//! Bids in a price range with the time of day, and how often a letter occurs in a text.

use crate::bench::draft::Draft;

use super::text::text_hash;

/// A price in another currency, in thousandths of a cent.
const RATE: u64 = 908;

/// The price range in thousandths of a cent, exclusive at both ends.
const PRICES: (u64, u64) = (1_000_000_000, 50_000_000_000);

/// Day, night or other time, by the hour of the day in UTC.
fn time_type(date_time_ms: i64) -> &'static str {
    match date_time_ms.rem_euclid(86_400_000) / 3_600_000 {
        8..=18 => "dayTime",
        ..=6 | 20.. => "nightTime",
        _ => "otherTime",
    }
}

/// The bids whose price in euros is in range: auction, bidder, price in thousandths, type of time, time, extra text,
/// and its number of letters c. In rows, strings are represented by their XXH3.
pub(super) fn q14(draft: &Draft<'_>) {
    draft
        .text_bids()
        .filter(|bid| {
            let price = bid.price * RATE;
            PRICES.0 < price && price < PRICES.1
        })
        .map(|bid| {
            let count = bid.extra.bytes().filter(|letter| *letter == b'c').count();
            [
                bid.auction,
                bid.bidder,
                bid.price * RATE,
                text_hash(time_type(bid.date_time_ms)),
                bid.date_time_ms as u64,
                text_hash(&bid.extra),
                count as u64,
            ]
        })
        .sink("rows", draft.rows());
}
