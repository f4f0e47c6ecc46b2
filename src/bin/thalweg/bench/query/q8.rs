//! New persons who sell at once: persons with the auctions that they opened in the same ten seconds.

use thalweg::operator::Tumbling;
use thalweg::time::secs;

use crate::bench::draft::Draft;
use crate::bench::input::{Auction, Person};

/// Person, auction and end of the window, of every auction and its seller in the same window.
pub(super) fn q8(draft: &Draft<'_>) {
    let persons = draft
        .persons()
        .timestamps(draft.watermarks(), Person::at)
        .key_by(|person| person.id);
    let auctions = draft
        .auctions()
        .timestamps(draft.watermarks(), Auction::at)
        .key_by(|auction| auction.seller);
    persons
        .join(auctions)
        .window(Tumbling::of(secs(10)))
        .apply(|person, auction, window| [person.id, auction.id, window.end.as_millis() as u64])
        .sink("rows", draft.rows());
}
