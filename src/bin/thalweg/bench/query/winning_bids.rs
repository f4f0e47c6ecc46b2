//! Winning bids, on which queries 4, 6 and 9 are based.
//!
//! A bid counts if it is made while its auction is open, from `date_time` to `expires`, both inclusive. The highest
//! one wins; on a tie the earliest, then that of the smallest bidder. The winner is known, and emitted, once the
//! watermark has passed the end of the auction; an auction without bids emits nothing.
//!
//! The two inputs are not ordered relative to each other, so bids that are ahead of their auction wait for it. If a
//! bid's auction is still unknown when the watermark has passed the bid, it waits in vain: any auction yet to come
//! starts later. So neither open auctions nor waiting bids are kept longer than they can matter. For the same reason
//! the readers are aligned: there are fifteen bids to an auction, and if the auctions' reader ran ahead, all of them
//! would be open at once.

use std::time::Duration;

use bytemuck::{Pod, Zeroable};
use thalweg::datastream::Stream;
use thalweg::operator::{
    KeyedCoProcessFunction, KeyedOpenContext, KeyedProcessContext, Outcome, TimeDomain,
};
use thalweg::record::Record;
use thalweg::runtime::Pipe;
use thalweg::state::{ListState, ValueState};
use thalweg::time::{AlignmentGroup, Timestamp, WatermarkStrategy, secs};

use crate::bench::draft::Draft;
use crate::bench::input::{Auction, Bid};

/// How far a reader may be ahead of the others, in event time.
const DRIFT: Duration = secs(1);

/// An auction that is over, and its winning bid.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct WinningBid {
    pub(super) auction: Auction,
    pub(super) bid: Bid,
}

impl Record for WinningBid {
    type Form = thalweg::record::Pod;
}

/// An auction that is open, and its best bid so far.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct OpenAuction {
    best: WinningBid,
    /// Whether there was a bid: 0 or 1.
    has_bid: u64,
}

impl Record for OpenAuction {
    type Form = thalweg::record::Pod;
}

impl OpenAuction {
    fn new(auction: Auction) -> Self {
        let bid = Bid::zeroed();
        OpenAuction {
            best: WinningBid { auction, bid },
            has_bid: 0,
        }
    }

    /// Whether `bid` counts and is better than all earlier ones.
    fn is_led_by(&self, bid: &Bid) -> bool {
        let WinningBid { auction, bid: best } = &self.best;
        let is_open = (auction.date_time_ms..=auction.expires_ms).contains(&bid.date_time_ms);
        let place = |bid: &Bid| (std::cmp::Reverse(bid.price), bid.date_time_ms, bid.bidder);
        is_open && (self.has_bid == 0 || place(bid) < place(best))
    }

    fn led_by(mut self, bid: &Bid) -> Self {
        self.best.bid = *bid;
        self.has_bid = 1;
        self
    }
}

/// Finds the winning bid of each auction, keyed by the auction's id.
#[derive(Clone, Debug, Default)]
struct FindWinner {
    open: ValueState<OpenAuction>,
    /// Bids that arrived before their auction.
    early: ListState<Bid>,
}

impl KeyedCoProcessFunction<u64, Auction, Bid> for FindWinner {
    type Out = WinningBid;

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.open = cx.state().value_state("open")?;
        self.early = cx.state().list_state("early")?;
        Ok(())
    }

    fn process_first(
        &mut self,
        auction: &Auction,
        cx: &mut impl KeyedProcessContext<u64, WinningBid>,
    ) -> Outcome {
        let mut open = OpenAuction::new(*auction);
        for bid in self.early.get(cx) {
            if open.is_led_by(bid) {
                open = open.led_by(bid);
            }
        }
        self.early.clear(cx);
        self.open.set(cx, open);
        cx.register_event_timer(Timestamp::from_millis(auction.expires_ms));
        Ok(())
    }

    fn process_second(
        &mut self,
        bid: &Bid,
        cx: &mut impl KeyedProcessContext<u64, WinningBid>,
    ) -> Outcome {
        match self.open.get(cx) {
            Some(open) if open.is_led_by(bid) => {
                let open = open.led_by(bid);
                self.open.set(cx, open);
            }
            Some(_) => {}
            None => {
                // One timer at a time: it handles all waiting bids.
                if self.early.get(cx).is_empty() {
                    cx.register_event_timer(bid.at());
                }
                self.early.add(cx, *bid);
            }
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        at: Timestamp,
        _domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, WinningBid>,
    ) -> Outcome {
        if let Some(open) = self.open.value(cx) {
            // When the timer of a waiting bid fires, the auction may still be open.
            if Timestamp::from_millis(open.best.auction.expires_ms) <= at {
                if open.has_bid == 1 {
                    cx.emit(&open.best);
                }
                self.open.clear(cx);
            }
            return Ok(());
        }
        let watermark = cx.watermark();
        let waits = |bid: &&Bid| bid.at() > watermark;
        let waiting: Vec<_> = self.early.get(cx).iter().filter(waits).copied().collect();
        if let Some(next) = waiting.iter().map(Bid::at).max() {
            cx.register_event_timer(next);
        }
        self.early.replace(cx, waiting);
        Ok(())
    }
}

/// The winning bid of each auction, emitted when it is over; its timestamp is the auction's end.
pub(super) fn winning_bids(draft: &Draft<'_>) -> Stream<impl Pipe<Out = WinningBid> + use<>> {
    let together = AlignmentGroup::within(DRIFT);
    let watermarks = draft.watermarks().with_alignment(&together);
    let auctions = draft
        .auctions()
        .timestamps(watermarks.clone(), Auction::at)
        .key_by(|auction| auction.id);
    let bids = draft
        .bids()
        .timestamps(watermarks, Bid::at)
        .key_by(|bid| bid.auction);
    auctions
        .connect(bids)
        .process(FindWinner::default())
        .name("winning bids")
}
