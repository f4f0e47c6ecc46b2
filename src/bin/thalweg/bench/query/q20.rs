//! Bids with the auctions they are on.

use thalweg::operator::{KeyedCoProcessFunction, KeyedOpenContext, KeyedProcessContext, Outcome};
use thalweg::state::{ListState, ValueState};

use crate::bench::draft::Draft;
use crate::bench::input::{Auction, Bid};

/// The category of the requested auctions.
const CATEGORY: u64 = 10;

/// From the bid: auction, bidder, price, time; from the auction: initial bid, start, end, seller, category.
type ExpandedBid = [u64; 9];

fn expanded(bid: &Bid, auction: &Auction) -> ExpandedBid {
    [
        bid.auction,
        bid.bidder,
        bid.price,
        bid.date_time_ms as u64,
        auction.initial_bid,
        auction.date_time_ms as u64,
        auction.expires_ms as u64,
        auction.seller,
        auction.category,
    ]
}

/// Joins the one auction of a key with the bids on it, in whatever order they arrive.
#[derive(Clone, Debug, Default)]
struct Expand {
    auction: ValueState<Auction>,
    /// Bids that arrived before the auction.
    early: ListState<Bid>,
}

impl KeyedCoProcessFunction<u64, Auction, Bid> for Expand {
    type Out = ExpandedBid;

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.auction = cx.state().value_state("auction")?;
        self.early = cx.state().list_state("early")?;
        Ok(())
    }

    fn process_first(
        &mut self,
        auction: &Auction,
        cx: &mut impl KeyedProcessContext<u64, ExpandedBid>,
    ) -> Outcome {
        self.auction.set(cx, *auction);
        if auction.category == CATEGORY {
            for bid in self.early.get(cx).to_vec() {
                cx.emit(&expanded(&bid, auction));
            }
        }
        self.early.clear(cx);
        Ok(())
    }

    fn process_second(
        &mut self,
        bid: &Bid,
        cx: &mut impl KeyedProcessContext<u64, ExpandedBid>,
    ) -> Outcome {
        match self.auction.get(cx) {
            Some(auction) if auction.category == CATEGORY => {
                let row = expanded(bid, auction);
                cx.emit(&row);
            }
            Some(_) => {}
            None => self.early.add(cx, *bid),
        }
        Ok(())
    }
}

/// The bids on auctions of one category, joined with the auction as soon as both are known.
///
/// Auctions of other categories are filtered after the join and not before it: otherwise the bids on them would wait
/// forever. Adapted: neither side has strings, and an auction has no reserve price.
pub(super) fn q20(draft: &Draft<'_>) {
    let auctions = draft.auctions().key_by(|auction| auction.id);
    let bids = draft.bids().key_by(|bid| bid.auction);
    auctions
        .connect(bids)
        .process(Expand::default())
        .sink("rows", draft.rows());
}
