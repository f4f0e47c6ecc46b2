//! Who sells in certain states: auctions of one category with the person who sells.

use crate::bench::draft::Draft;

/// The states of the requested sellers.
const STATES: [u64; 3] = [4, 12, 37];

/// The category of the requested auctions.
const CATEGORY: u64 = 10;

/// The sales in one category by persons of certain states, as soon as both are known. The join keeps its input
/// forever, so it gets only the fields that are needed.
pub(super) fn q3(draft: &Draft<'_>) {
    let persons = draft
        .persons()
        .filter(|person| STATES.contains(&person.state_id))
        .map(|person| [person.id, person.state_id, person.city_id])
        .key_by(|[id, ..]| *id);
    let auctions = draft
        .auctions()
        .filter(|auction| auction.category == CATEGORY)
        .map(|auction| [auction.seller, auction.id])
        .key_by(|[seller, _]| *seller);
    persons
        .join(auctions)
        .unbounded()
        .apply(|[id, state, city], [_, auction]| [*id, *state, *city, *auction])
        .sink("rows", draft.rows());
}
