//! Mean prices of sales, in the order in which the auctions ended.
//!
//! The winning bids of one category or seller come from all subtasks, in no order among them. A running mean depends
//! on the order, so each bid waits until the watermark guarantees that no earlier one is missing; bids on auctions
//! that end at the same moment are ordered by the auction's id.

use thalweg::operator::{
    KeyedOpenContext, KeyedProcessContext, KeyedProcessFunction, Outcome, TimeDomain,
};
use thalweg::record::StateValue;
use thalweg::state::{MapState, ValueState};
use thalweg::time::Timestamp;

use super::winning_bids::WinningBid;

/// The prices that a mean is taken over.
pub(super) trait Prices: StateValue + Default {
    /// Adds the price of the next sale.
    fn add(&mut self, price: u64);

    /// The mean, rounded down.
    fn mean(&self) -> u64;
}

/// Emits the key and the mean of its prices so far, after every sale.
#[derive(Debug)]
pub(super) struct MeanPrice<P> {
    /// Prices that may not be next yet, by end and id of the auction.
    waiting: MapState<[u64; 2], u64>,
    prices: ValueState<P>,
}

impl<P> MeanPrice<P> {
    pub(super) fn new() -> Self {
        MeanPrice {
            waiting: MapState::default(),
            prices: ValueState::default(),
        }
    }
}

impl<P> Clone for MeanPrice<P> {
    fn clone(&self) -> Self {
        MeanPrice::new()
    }
}

impl<P: Prices> KeyedProcessFunction<u64, WinningBid> for MeanPrice<P> {
    type Out = [u64; 2];

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.waiting = cx.state().map_state("waiting")?;
        self.prices = cx.state().value_state("prices")?;
        Ok(())
    }

    fn process(
        &mut self,
        WinningBid { auction, bid }: &WinningBid,
        cx: &mut impl KeyedProcessContext<u64, [u64; 2]>,
    ) -> Outcome {
        let place = [auction.expires_ms as u64, auction.id];
        self.waiting.put(cx, place, bid.price);
        cx.register_event_timer(Timestamp::from_millis(auction.expires_ms));
        Ok(())
    }

    fn on_timer(
        &mut self,
        at: Timestamp,
        _domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, [u64; 2]>,
    ) -> Outcome {
        let first = self.waiting.iter(cx).next();
        let mut next = first.map(|(place, price)| (*place, *price));
        while let Some((place, price)) = next
            && Timestamp::from_millis(place[0] as i64) <= at
        {
            self.waiting.remove(cx, &place);
            let mean = self.prices.update(cx, |prices| {
                prices.add(price);
                prices.mean()
            });
            let row = [*cx.key(), mean];
            cx.emit(&row);
            let first = self.waiting.iter(cx).next();
            next = first.map(|(place, price)| (*place, *price));
        }
        Ok(())
    }
}
