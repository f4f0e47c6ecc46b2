//! How many bids each bidder made within ten seconds of processing time.

use thalweg::datastream::Stream;
use thalweg::operator::{
    KeyedOpenContext, KeyedProcessContext, KeyedProcessFunction, Outcome, TimeDomain,
};
use thalweg::runtime::Pipe;
use thalweg::state::ValueState;
use thalweg::time::{Timestamp, nanos, secs};

use crate::bench::draft::Draft;
use crate::bench::input::Bid;

/// How long a bidder's bids are counted, starting with the first.
const LENGTH: i64 = nanos(secs(10));

/// Counts the bids of a bidder until some time after the first.
#[derive(Clone, Debug, Default)]
struct CountForAWhile {
    count: ValueState<u64>,
}

impl KeyedProcessFunction<u64, Bid> for CountForAWhile {
    type Out = [u64; 2];

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.count = cx.state().value_state("count")?;
        Ok(())
    }

    #[inline]
    fn process(&mut self, _bid: &Bid, cx: &mut impl KeyedProcessContext<u64, [u64; 2]>) -> Outcome {
        let count = self.count.update(cx, |count| {
            *count += 1;
            *count
        });
        if count == 1 {
            let end = cx.processing_time().saturating_add(LENGTH);
            cx.register_processing_timer(end);
            cx.register_event_timer(Timestamp::MAX);
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _at: Timestamp,
        domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, [u64; 2]>,
    ) -> Outcome {
        if let Some(count) = self.count.value(cx) {
            let row = [*cx.key(), count];
            cx.emit(&row);
            self.count.clear(cx);
        }
        if domain == TimeDomain::Processing {
            cx.delete_event_timer(Timestamp::MAX);
        }
        Ok(())
    }
}

/// Bidders and how many bids they made.
fn counts(bids: Stream<impl Pipe<Out = Bid>>) -> Stream<impl Pipe<Out = [u64; 2]>> {
    bids.key_by(|bid| bid.bidder)
        .process(CountForAWhile::default())
}

/// For every bidder, the number of bids within ten seconds of the first, and again from the next one on; the end of
/// the input also ends counting.
///
/// Follows Apache Beam, where a bidder's ten seconds start with a bid and the rest is emitted at the end.
/// Processing-time windows, as in the published SQL, never fire if they are open at the end: a run of less than ten
/// seconds would have no rows. The rows depend on how fast the bids arrive; the sum of the counts does not.
pub(super) fn q12(draft: &Draft<'_>) {
    counts(draft.bids()).sink("rows", draft.rows());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use thalweg::connectors::{Collected, Generator};
    use thalweg::datastream::Environment;
    use thalweg::runtime::Step;
    use thalweg::time::{ManualClock, millis};

    use super::*;

    /// One bid every ten milliseconds for 25 seconds, by seven bidders in turn.
    const BIDS: u64 = 2500;

    fn bid(number: u64) -> Bid {
        Bid {
            auction: number,
            bidder: number % 7,
            price: 100,
            date_time_ms: 0,
        }
    }

    #[test]
    fn every_bid_is_counted_once_and_within_ten_seconds_of_the_first() {
        for parallelism in 1..=3 {
            let env = Environment::new().parallelism(parallelism);
            let rows = Collected::new();
            let bids = Generator::new(bid).count(BIDS).rate(100);
            counts(env.source("bids", bids)).sink("rows", rows.sink());
            let clock = ManualClock::new(Timestamp(0));
            let mut stepper = env.stepper("bids", clock.clone()).expect("it deploys");
            while stepper.run().expect("it runs") != Step::Finished {
                clock.advance(millis(10));
            }
            let mut by_bidder: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for [bidder, count] in rows.take() {
                by_bidder.entry(bidder).or_default().push(count);
            }
            let all: u64 = by_bidder.values().flatten().sum();
            assert_eq!(all, BIDS);
            assert!(by_bidder.keys().copied().eq(0..7));
            for counts in by_bidder.into_values() {
                // A bid every 70 ms: 143 within ten seconds, twice, and the rest at the end.
                assert_eq!(counts.len(), 3, "{counts:?}");
                let whole = counts[..2].iter().all(|count| (142..=144).contains(count));
                assert!(whole && counts[2] < 80, "{counts:?}");
            }
        }
    }
}
