//! q0, q1, q2: one chain a replica.

use harness::{Inputs, Options, Outcome, h2, h4, price_in_euros};

use crate::run::run;

/// Every bid.
pub(crate) fn q0(options: &Options, inputs: &'static Inputs) -> Outcome {
    let bids = inputs.bids();
    run(
        options,
        |_| bids.len(),
        |run| {
            run.sink(run.records(bids), |bid| {
                h4(bid.auction, bid.bidder, bid.price, bid.date_time as u64)
            });
        },
    )
}

/// Every bid in euros.
pub(crate) fn q1(options: &Options, inputs: &'static Inputs) -> Outcome {
    let bids = inputs.bids();
    run(
        options,
        |_| bids.len(),
        |run| {
            let converted = run.records(bids).map(|mut bid| {
                bid.price = price_in_euros(bid.price);
                bid
            });
            run.sink(converted, |bid| {
                h4(bid.auction, bid.bidder, bid.price, bid.date_time as u64)
            });
        },
    )
}

/// The bids of every 123rd auction.
pub(crate) fn q2(options: &Options, inputs: &'static Inputs) -> Outcome {
    let bids = inputs.bids();
    run(
        options,
        |_| bids.len(),
        |run| {
            let selected = run
                .records(bids)
                .filter(|bid| bid.auction.is_multiple_of(123));
            let rows = selected.map(|bid| (bid.auction, bid.price));
            run.sink(rows, |(auction, price)| h2(*auction, *price));
        },
    )
}
