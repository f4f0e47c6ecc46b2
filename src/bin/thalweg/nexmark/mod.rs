//! NEXMark's world: an auction site, its persons, auctions and bids.

mod event;
mod random;
mod record;
mod text;
mod timeline;

pub(crate) use random::{Random, Zipf, mix64};
pub(crate) use record::{Auction, Bid, Dated, Person};
pub(crate) use text::{MadeUp, Recipe, TextAuction, TextBid, TextPerson, TextSource};
pub(crate) use timeline::{Counts, Timeline};
