//! Persons, auctions and bids with all their strings, generated in memory.

mod letters;
mod recipe;
mod record;
mod source;

pub(crate) use recipe::Recipe;
pub(crate) use record::{MadeUp, TextAuction, TextBid, TextPerson};
pub(crate) use source::TextSource;
