//! The NEXMark model: an auction site with its persons, auctions and bids.

mod event;
mod random;
mod record;
mod text;
mod timeline;

pub(crate) use random::{Random, Zipf, mix64};
pub(crate) use record::{Auction, Bid, Dated, Person};
pub(crate) use text::{MadeUp, Recipe, TextAuction, TextBid, TextPerson, TextSource};
pub(crate) use timeline::{Counts, Timeline};

/// The maximum disorder of events in milliseconds: everything that happens within this time is held in memory.
pub(crate) const JITTER_MS_MAX: u64 = 3_600_000;
