//! Which event is what, and when it happens: the proportions of Apache Beam's NEXMark generator.
//!
//! Events are numbered from 0 and come in rounds of 50: a person, three auctions, 46 bids. So the number of a person,
//! an auction or a bid determines which event it is, and what else had happened by then, without any knowledge of
//! earlier events: each kind can be generated independently.

/// The number of events in a round.
const ROUND: u64 = 50;

/// The number of persons in a round: its first event.
const PERSONS: u64 = 1;

/// The number of auctions in a round: they follow the person.
const AUCTIONS: u64 = 3;

/// The number of bids in a round: they follow the auctions.
const BIDS: u64 = ROUND - PERSONS - AUCTIONS;

/// The time of the first event: 2015-07-15T00:00:00Z, in milliseconds since the epoch.
const START: i64 = 1_436_918_400_000;

/// The number of events between an auction and the one 100 auctions later, which is how long an auction is open on
/// average at first.
pub(crate) const EVENTS_OPEN: u64 = 100 * ROUND / AUCTIONS;

/// Determines when events happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Timeline {
    events_per_second: u64,
}

impl Timeline {
    /// A timeline of `events_per_second` per second of event time.
    pub(crate) const fn new(events_per_second: u64) -> Self {
        Timeline { events_per_second }
    }

    /// When the event happens, in milliseconds since the epoch.
    #[inline]
    pub(crate) const fn date_time_ms(self, event: u64) -> i64 {
        START + (event as u128 * 1000 / self.events_per_second as u128) as i64
    }
}

/// The number of events of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    pub(crate) persons: u64,
    pub(crate) auctions: u64,
    pub(crate) bids: u64,
}

impl Counts {
    /// Everything up to and including the last of `bids` bids.
    pub(crate) const fn up_to_bids(bids: u64) -> Self {
        let events = match bids.checked_sub(1) {
            Some(last) => bid_event(last) + 1,
            None => 0,
        };
        let rest = (events % ROUND).saturating_sub(PERSONS);
        let rest = if rest < AUCTIONS { rest } else { AUCTIONS };
        Counts {
            persons: events.div_ceil(ROUND),
            auctions: events / ROUND * AUCTIONS + rest,
            bids,
        }
    }
}

/// The event at which person `number` joins: the first of a round.
#[inline]
pub(crate) const fn person_event(number: u64) -> u64 {
    number * ROUND
}

/// The event at which auction `number` begins.
#[inline]
pub(crate) const fn auction_event(number: u64) -> u64 {
    number / AUCTIONS * ROUND + PERSONS + number % AUCTIONS
}

/// The event that is bid `number`.
#[inline]
pub(crate) const fn bid_event(number: u64) -> u64 {
    number / BIDS * ROUND + PERSONS + AUCTIONS + number % BIDS
}

/// The newest person at an auction or a bid.
#[inline]
pub(crate) const fn newest_person(event: u64) -> u64 {
    event / ROUND
}

/// The newest auction at a bid.
#[inline]
pub(crate) const fn newest_auction(event: u64) -> u64 {
    event / ROUND * AUCTIONS + AUCTIONS - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_one_person_auction_or_bid() {
        let counts = Counts::up_to_bids(46 * 40);
        let persons = (0..counts.persons).map(person_event);
        let auctions = (0..counts.auctions).map(auction_event);
        let bids = (0..counts.bids).map(bid_event);
        let mut events: Vec<_> = persons.chain(auctions).chain(bids).collect();
        events.sort_unstable();
        assert_eq!(events, (0..50 * 40).collect::<Vec<_>>());
    }

    #[test]
    fn counts_are_of_what_had_happened_by_the_last_bid() {
        for bids in 0..200 {
            let counts = Counts::up_to_bids(bids);
            let end = if bids == 0 {
                0
            } else {
                bid_event(bids - 1) + 1
            };
            let before = |event: fn(u64) -> u64| (0..).take_while(|n| event(*n) < end).count();
            assert_eq!(counts.persons, before(person_event) as u64, "{bids} bids");
            assert_eq!(counts.auctions, before(auction_event) as u64, "{bids} bids");
        }
    }

    #[test]
    fn youngest_person_and_auction_are_the_last_ones_before_a_bid() {
        for bid in 0..500 {
            let event = bid_event(bid);
            let (person, auction) = (newest_person(event), newest_auction(event));
            assert!(person_event(person) < event && person_event(person + 1) > event);
            assert!(auction_event(auction) < event && auction_event(auction + 1) > event);
        }
    }
}
