//! q0, q1, q2: no worker hears of the others.

use harness::{Inputs, Options, Outcome, h2, h4, price_in_euros};
use timely::dataflow::operators::vec::Map;

use crate::run::{Pace, run};

/// Every bid.
pub(crate) fn q0(options: &Options, inputs: &'static Inputs) -> Outcome {
    run(
        options,
        inputs,
        |_| inputs.bids().len(),
        |scope, run| {
            let bids = run.blocks(scope, run.inputs.bids(), Pace::COUNTED, |_| 0);
            run.sink(bids, |bid| {
                h4(bid.auction, bid.bidder, bid.price, bid.date_time as u64)
            });
        },
    )
}

/// Every bid in euros, changed in place.
pub(crate) fn q1(options: &Options, inputs: &'static Inputs) -> Outcome {
    run(
        options,
        inputs,
        |_| inputs.bids().len(),
        |scope, run| {
            let bids = run
                .blocks(scope, run.inputs.bids(), Pace::COUNTED, |_| 0)
                .map_in_place(|bid| bid.price = price_in_euros(bid.price));
            run.sink(bids, |bid| {
                h4(bid.auction, bid.bidder, bid.price, bid.date_time as u64)
            });
        },
    )
}

/// The bids of every 123rd auction.
pub(crate) fn q2(options: &Options, inputs: &'static Inputs) -> Outcome {
    run(
        options,
        inputs,
        |_| inputs.bids().len(),
        |scope, run| {
            let bids = run
                .blocks(scope, run.inputs.bids(), Pace::COUNTED, |_| 0)
                .flat_map(|bid| {
                    bid.auction
                        .is_multiple_of(123)
                        .then_some((bid.auction, bid.price))
                });
            run.sink(bids, |(auction, price)| h2(*auction, *price));
        },
    )
}
