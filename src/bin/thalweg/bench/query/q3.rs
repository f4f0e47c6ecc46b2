//! Who sells in some states: auctions of one category with the person who sells.

use thalweg::operator::{KeyedCoProcessFunction, KeyedOpenContext, KeyedProcessContext, Outcome};
use thalweg::state::{ListState, ValueState};

use crate::bench::draft::Draft;
use crate::bench::input::{Auction, Person};

/// The states whose sellers are wanted.
const STATES: [u64; 3] = [4, 12, 37];

/// The category of the auctions that are wanted.
const CATEGORY: u64 = 10;

/// Person, state, city and auction.
type Sale = [u64; 4];

/// Joins a person, of whom there is one, with the auctions that they sell, in whatever order they come.
#[derive(Clone, Default)]
struct SellerOfAuction {
    /// State and city of the person.
    person: ValueState<[u64; 2]>,
    /// The auctions that came before the person.
    auctions: ListState<u64>,
}

impl KeyedCoProcessFunction<u64, Person, Auction> for SellerOfAuction {
    type Out = Sale;

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.person = cx.state().value_state("person")?;
        self.auctions = cx.state().list_state("auctions")?;
        Ok(())
    }

    fn process_first(
        &mut self,
        person: &Person,
        cx: &mut impl KeyedProcessContext<u64, Sale>,
    ) -> Outcome {
        let Person {
            id,
            state_id,
            city_id,
            ..
        } = *person;
        self.person.set(cx, [state_id, city_id]);
        for auction in self.auctions.get(cx).to_vec() {
            cx.emit(&[id, state_id, city_id, auction]);
        }
        self.auctions.clear(cx);
        Ok(())
    }

    fn process_second(
        &mut self,
        auction: &Auction,
        cx: &mut impl KeyedProcessContext<u64, Sale>,
    ) -> Outcome {
        match self.person.value(cx) {
            Some([state_id, city_id]) => {
                cx.emit(&[auction.seller, state_id, city_id, auction.id]);
            }
            None => self.auctions.add(cx, auction.id),
        }
        Ok(())
    }
}

/// The sales of one category by persons of some states, as soon as both are known.
pub(super) fn q3(draft: &Draft<'_>) {
    let persons = draft
        .persons()
        .filter(|person| STATES.contains(&person.state_id))
        .key_by(|person| person.id);
    let auctions = draft
        .auctions()
        .filter(|auction| auction.category == CATEGORY)
        .key_by(|auction| auction.seller);
    persons
        .connect(auctions)
        .process(SellerOfAuction::default())
        .sink("rows", draft.rows());
}
