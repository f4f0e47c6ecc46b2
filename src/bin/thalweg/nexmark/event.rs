//! The properties of persons, auctions and bids, with the skew of Apache Beam's NEXMark generator.
//!
//! Of every hundred persons and of every hundred auctions, one is *hot* until a hundred more have come: half of the
//! bids go to the hot auction, three quarters of them come from the hot bidder, and three quarters of the auctions
//! are the hot seller's. All others are chosen uniformly among recent ones, and a few that do not exist yet, as if
//! some events had overtaken others.

use super::random::Random;
use super::record::{Auction, Bid, Person};
use super::timeline::{
    EVENTS_OPEN, Timeline, auction_event, bid_event, newest_auction, newest_person, person_event,
};

/// The ids of the first person and of the first auction.
const FIRST_ID: u64 = 1000;

/// The first category.
const FIRST_CATEGORY: u64 = 10;

const CATEGORIES: u64 = 5;
const STATES: u64 = 50;
const CITIES: u64 = 1000;

/// One of this many persons, and of this many auctions, is hot.
const HOT_OF: u64 = 100;

/// All but one in this many bids are for the hot auction.
const HOT_AUCTION_RATIO: u64 = 2;

/// All but one in this many auctions are the hot seller's.
const HOT_SELLER_RATIO: u64 = 4;

/// All but one in this many bids are the hot bidder's.
const HOT_BIDDER_RATIO: u64 = 4;

/// The number of most recent persons who still sell and bid.
const ACTIVE_PERSONS: u64 = 1000;

/// The number of auctions before the newest one that may still be open.
const OPEN_AUCTIONS: u64 = 100;

/// The number of persons or auctions not existing yet that may be referenced.
const LEAD: u64 = 10;

impl Timeline {
    /// Person `number`, with its random properties.
    pub(crate) fn person(self, number: u64, random: &mut Random) -> Person {
        Person {
            id: FIRST_ID + number,
            state_id: random.below(STATES),
            city_id: random.below(CITIES),
            date_time_ms: self.date_time_ms(person_event(number)),
        }
    }

    /// Auction `number`, with its random properties.
    pub(crate) fn auction(self, number: u64, random: &mut Random) -> Auction {
        let event = auction_event(number);
        let newest = newest_person(event);
        let seller = if random.mostly(HOT_SELLER_RATIO) {
            newest / HOT_OF * HOT_OF
        } else {
            active_person(newest, random)
        };
        let category = FIRST_CATEGORY + random.below(CATEGORIES);
        let initial_bid = random.price();
        let date_time_ms = self.date_time_ms(event);
        // Twice the average, which is the time until as many auctions have started as are open.
        let longest = 2 * (self.date_time_ms(event + EVENTS_OPEN) - date_time_ms);
        let open = 1 + random.below(longest.max(1).unsigned_abs());
        Auction {
            id: FIRST_ID + number,
            seller: FIRST_ID + seller,
            category,
            initial_bid,
            date_time_ms,
            expires_ms: date_time_ms.saturating_add_unsigned(open),
        }
    }

    /// Bid `number`, with its random properties.
    pub(crate) fn bid(self, number: u64, random: &mut Random) -> Bid {
        let event = bid_event(number);
        let newest = newest_auction(event);
        let auction = if random.mostly(HOT_AUCTION_RATIO) {
            newest / HOT_OF * HOT_OF
        } else {
            let oldest = newest.saturating_sub(OPEN_AUCTIONS);
            oldest + random.below(newest - oldest + 1 + LEAD)
        };
        let newest = newest_person(event);
        let bidder = if random.mostly(HOT_BIDDER_RATIO) {
            // The one next to the hot seller: nobody bids on their own auction.
            newest / HOT_OF * HOT_OF + 1
        } else {
            active_person(newest, random)
        };
        Bid {
            auction: FIRST_ID + auction,
            bidder: FIRST_ID + bidder,
            price: random.price(),
            date_time_ms: self.date_time_ms(event),
        }
    }
}

/// One of the newest persons, or of those who will come next.
fn active_person(newest: u64, random: &mut Random) -> u64 {
    let persons = newest + 1;
    let active = persons.min(ACTIVE_PERSONS);
    persons - active + random.below(active + LEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIDS: u64 = 46 * 1000;

    fn share(of: usize, all: u64) -> f64 {
        of as f64 / all as f64
    }

    #[test]
    fn bids_have_the_skew_of_the_published_generator() {
        let (timeline, mut random) = (Timeline::new(10_000), Random::new(1));
        let bids: Vec<_> = (0..BIDS).map(|n| timeline.bid(n, &mut random)).collect();
        let hot_auctions = (bids.iter()).filter(|bid| bid.auction.is_multiple_of(HOT_OF));
        let hot_bidders = bids.iter().filter(|bid| bid.bidder % HOT_OF == 1);
        // The remaining ones also hit a hot one by chance.
        let hot_auctions = share(hot_auctions.count(), BIDS);
        let hot_bidders = share(hot_bidders.count(), BIDS);
        assert!((0.49..0.52).contains(&hot_auctions), "{hot_auctions}");
        assert!((0.74..0.77).contains(&hot_bidders), "{hot_bidders}");
    }

    #[test]
    fn auctions_are_open_for_as_long_as_it_takes_to_open_a_hundred() {
        let (timeline, mut random) = (Timeline::new(10_000), Random::new(1));
        let auctions = (0..3000).map(|n| timeline.auction(n, &mut random));
        let (mut open, mut hot) = (0, 0);
        for auction in auctions {
            assert!(auction.expires_ms > auction.date_time_ms);
            assert!((10..15).contains(&auction.category));
            open += auction.expires_ms - auction.date_time_ms;
            hot += usize::from(auction.seller.is_multiple_of(HOT_OF));
        }
        let mean = open / 3000;
        assert!((160..174).contains(&mean), "{mean} ms on average");
        assert!((0.73..0.78).contains(&share(hot, 3000)), "{hot} hot");
    }
}
