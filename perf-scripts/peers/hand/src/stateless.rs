//! q0, q1, q2: one pass, nothing remembered. Two subtasks read every other block.

use harness::{
    Bid, Digest, Inputs, Options, Outcome, blocks, h2, h4, pages, price_in_euros, run_subtasks,
};

/// Every bid.
pub(crate) fn q0(options: &Options, inputs: &'static Inputs) -> Outcome {
    over_blocks(options, inputs, |bids, digest| {
        for bid in bids {
            digest.add(h4(bid.auction, bid.bidder, bid.price, bid.date_time as u64));
        }
    })
}

/// Every bid in euros.
pub(crate) fn q1(options: &Options, inputs: &'static Inputs) -> Outcome {
    over_blocks(options, inputs, |bids, digest| {
        for bid in bids {
            let price = price_in_euros(bid.price);
            digest.add(h4(bid.auction, bid.bidder, price, bid.date_time as u64));
        }
    })
}

/// The bids of every 123rd auction.
pub(crate) fn q2(options: &Options, inputs: &'static Inputs) -> Outcome {
    over_blocks(options, inputs, |bids, digest| {
        for bid in bids {
            if bid.auction.is_multiple_of(123) {
                digest.add(h2(bid.auction, bid.price));
            }
        }
    })
}

#[inline(always)]
fn over_blocks(
    options: &Options,
    inputs: &'static Inputs,
    body: impl Fn(&[Bid], &mut Digest) + Sync,
) -> Outcome {
    let (bids, parallelism) = (inputs.bids(), options.parallelism);
    run_subtasks(bids.len(), vec![(); parallelism], |index, ()| {
        let mut digest = Digest::default();
        for page in blocks(bids, index, parallelism).flat_map(pages) {
            body(page, &mut digest);
        }
        digest
    })
}
