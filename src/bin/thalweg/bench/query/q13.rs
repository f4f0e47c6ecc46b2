//! Bids enriched from a bounded side table.

use thalweg::connectors::Collection;
use thalweg::operator::{CoProcessFunction, Outcome, ProcessContext};
use thalweg::time::Timestamp;

use crate::bench::draft::Draft;
use crate::bench::input::Bid;
use crate::nexmark::mix64;

/// The number of entries in the table.
const ENTRIES: u64 = 10_000;

/// A bid's auction, bidder, price and time, and the table's value.
type EnrichedBid = [u64; 5];

/// Joins bids (first input) with the whole table (second input, broadcast).
///
/// The two inputs are not ordered relative to each other, so bids wait until the table is complete. So do watermarks:
/// an operator's watermark is the minimum of its inputs', and the table has none until its end.
#[derive(Clone, Debug)]
struct Enrich {
    /// By key.
    values: Vec<u64>,
    waiting: Vec<Bid>,
    is_complete: bool,
}

impl Enrich {
    fn enriched(&self, bid: &Bid) -> EnrichedBid {
        let value = self.values[(bid.auction % ENTRIES) as usize];
        [
            bid.auction,
            bid.bidder,
            bid.price,
            bid.date_time_ms as u64,
            value,
        ]
    }

    fn complete(&mut self, cx: &mut impl ProcessContext<EnrichedBid>) -> Outcome {
        self.is_complete = true;
        for bid in std::mem::take(&mut self.waiting) {
            cx.emit(&self.enriched(&bid));
        }
        Ok(())
    }
}

impl CoProcessFunction<Bid, [u64; 2]> for Enrich {
    type Out = EnrichedBid;

    #[inline(always)]
    fn process_first(&mut self, bid: &Bid, cx: &mut impl ProcessContext<EnrichedBid>) -> Outcome {
        if self.is_complete {
            cx.emit(&self.enriched(bid));
        } else {
            self.waiting.push(*bid);
        }
        Ok(())
    }

    fn process_second(
        &mut self,
        [key, value]: &[u64; 2],
        _cx: &mut impl ProcessContext<EnrichedBid>,
    ) -> Outcome {
        self.values[*key as usize] = *value;
        Ok(())
    }

    fn on_watermark(
        &mut self,
        _at: Timestamp,
        cx: &mut impl ProcessContext<EnrichedBid>,
    ) -> Outcome {
        self.complete(cx)
    }

    fn end_second(&mut self, cx: &mut impl ProcessContext<EnrichedBid>) -> Outcome {
        self.complete(cx)
    }
}

/// Every bid with the table's value for `auction` mod 10,000: auction, bidder, price, time, value.
///
/// Adapted: the table is generated in memory, and its values are numbers (the SplitMix64 of the key).
pub(super) fn q13(draft: &Draft<'_>) {
    let table = (0..ENTRIES).map(|key| [key, mix64(key)]);
    let table = draft.env.source("table", Collection::of(table)).broadcast();
    let enrich = Enrich {
        values: vec![0; ENTRIES as usize],
        waiting: Vec::new(),
        is_complete: false,
    };
    draft
        .bids()
        .connect(table)
        .process(enrich)
        .sink("rows", draft.rows());
}
