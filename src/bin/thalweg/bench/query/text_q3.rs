//! Query 3 over persons and auctions with all their strings.

use thalweg::operator::{KeyedCoProcessFunction, KeyedOpenContext, KeyedProcessContext, Outcome};
use thalweg::record::View;
use thalweg::state::{ListState, ValueState};

use crate::bench::draft::Draft;
use crate::nexmark::{TextAuction, TextPerson};

use super::text::text_hash;

/// The states of the requested sellers.
const STATES: [&str; 3] = ["OR", "ID", "CA"];

/// The category of the requested auctions.
const CATEGORY: u64 = 10;

/// Name, city and state of a person.
type Seller = (String, String, String);

/// Joins the one person of a key with the auctions that they sell, in whatever order they arrive.
#[derive(Clone, Debug, Default)]
struct SellerOfAuction {
    seller: ValueState<Seller>,
    /// Auctions that arrived before the person.
    auctions: ListState<u64>,
}

/// A row: name, city, state, auction.
fn sale((name, city, state): &Seller, auction: u64) -> [u64; 4] {
    [text_hash(name), text_hash(city), text_hash(state), auction]
}

impl KeyedCoProcessFunction<u64, View<TextPerson>, View<TextAuction>> for SellerOfAuction {
    type Out = [u64; 4];

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.seller = cx.state().value_state("seller")?;
        self.auctions = cx.state().list_state("auctions")?;
        Ok(())
    }

    fn process_first(
        &mut self,
        person: &View<TextPerson>,
        cx: &mut impl KeyedProcessContext<u64, [u64; 4]>,
    ) -> Outcome {
        let owned = |text: &str| text.to_owned();
        let seller = (
            owned(&person.name),
            owned(&person.city),
            owned(&person.state),
        );
        for auction in self.auctions.get(cx).to_vec() {
            cx.emit(&sale(&seller, auction));
        }
        self.auctions.clear(cx);
        self.seller.set(cx, seller);
        Ok(())
    }

    fn process_second(
        &mut self,
        auction: &View<TextAuction>,
        cx: &mut impl KeyedProcessContext<u64, [u64; 4]>,
    ) -> Outcome {
        let auction = auction.id.to_native();
        match self.seller.get(cx) {
            Some(seller) => {
                let row = sale(seller, auction);
                cx.emit(&row);
            }
            None => self.auctions.add(cx, auction),
        }
        Ok(())
    }
}

/// The sales in one category by persons of certain states, as soon as both are known: the person's name, city and
/// state, and the auction.
pub(super) fn q3(draft: &Draft<'_>) {
    let persons = draft
        .text_persons()
        .filter(|person| STATES.contains(&&*person.state))
        .key_by(|person| person.id.to_native());
    let auctions = draft
        .text_auctions()
        .filter(|auction| auction.category == CATEGORY)
        .key_by(|auction| auction.seller.to_native());
    persons
        .connect(auctions)
        .process(SellerOfAuction::default())
        .sink("rows", draft.rows());
}
