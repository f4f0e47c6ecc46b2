//! New persons who sell at once: persons with the auctions that they opened in the same ten seconds.

use thalweg::operator::Tumbling;
use thalweg::time::secs;

use crate::bench::draft::Draft;
use crate::bench::input::{Auction, Person};

/// Person, auction and window end, for every auction whose seller joined in the same window.
pub(super) fn q8(draft: &Draft<'_>) {
    let persons = draft
        .persons()
        .timestamps(draft.watermarks(), Person::at)
        .map(|person| person.id)
        .key_by(|id| *id);
    let auctions = draft
        .auctions()
        .timestamps(draft.watermarks(), Auction::at)
        .map(|auction| [auction.seller, auction.id])
        .key_by(|[seller, _]| *seller);
    persons
        .join(auctions)
        .window(Tumbling::of(secs(10)))
        .apply(|id, [_, auction], window| [*id, *auction, window.end.as_millis() as u64])
        .sink("rows", draft.rows());
}
