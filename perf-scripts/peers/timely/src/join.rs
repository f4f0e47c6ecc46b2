//! q3 and q8: both sides dealt out by person, each remembered for the other.

use foldhash::fast::FixedState;
use harness::{Inputs, KeyTable, Options, Outcome, Panes, Waiting, h3, h4, mix64};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Operator;
use timely::dataflow::operators::vec::Map;

use crate::run::{Pace, run};
use crate::window::watermark;

const WINDOW_MS: i64 = 10_000;
/// Blocks in one go: as many persons and auctions as come together.
const PERSONS: Pace = Pace::timed(4);
const AUCTIONS: Pace = Pace::timed(12);

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Seller {
    id: u64,
    state_id: u64,
    city_id: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Sale {
    seller: u64,
    auction: u64,
}

/// Persons of three states and their auctions of one category. Persons are unique, so an auction that
/// has met its seller is not kept.
pub(crate) fn q3(options: &Options, inputs: &'static Inputs) -> Outcome {
    let records = inputs.persons().len() + inputs.auctions().len();
    run(
        options,
        inputs,
        move |_| records,
        |scope, run| {
            let sellers = run
                .blocks(scope, run.inputs.persons(), PERSONS, |person| {
                    person.date_time
                })
                .flat_map(|person| {
                    let (id, state_id, city_id) = (person.id, person.state_id, person.city_id);
                    matches!(state_id, 4 | 12 | 37).then_some(Seller {
                        id,
                        state_id,
                        city_id,
                    })
                });
            let sales = run
                .blocks(scope, run.inputs.auctions(), AUCTIONS, |auction| {
                    auction.date_time
                })
                .flat_map(|auction| {
                    let (seller, auction_id) = (auction.seller, auction.id);
                    (auction.category == 10).then_some(Sale {
                        seller,
                        auction: auction_id,
                    })
                });
            let rows = sellers
                .binary::<_, CapacityContainerBuilder<Vec<(Seller, u64)>>, _, _, _, _>(
                    sales,
                    Exchange::new(|seller: &Seller| mix64(seller.id)),
                    Exchange::new(|sale: &Sale| mix64(sale.seller)),
                    "join",
                    |_, _| {
                        let mut by_id: HashMap<u64, Seller, FixedState> = HashMap::default();
                        let mut waiting: Waiting<u64> = Waiting::default();
                        move |sellers, sales, output| {
                            sellers.for_each(|capability, sellers| {
                                let mut session = output.session(&capability);
                                for seller in sellers.drain(..) {
                                    by_id.insert(seller.id, seller);
                                    waiting
                                        .take(seller.id, |auction| session.give((seller, auction)));
                                }
                            });
                            sales.for_each(|capability, sales| {
                                let mut session = output.session(&capability);
                                for sale in sales.drain(..) {
                                    match by_id.get(&sale.seller) {
                                        Some(seller) => session.give((*seller, sale.auction)),
                                        None => waiting.put(sale.seller, sale.auction),
                                    }
                                }
                            });
                        }
                    },
                );
            run.sink(rows, |(person, auction)| {
                h4(person.id, person.state_id, person.city_id, *auction)
            });
        },
    )
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Comer {
    id: u64,
    date_time: i64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Offer {
    seller: u64,
    auction: u64,
    date_time: i64,
}

/// What a window has of both sides.
#[derive(Default)]
struct Window {
    persons: KeyTable<()>,
    waiting: Waiting<u64>,
}

/// Persons and their auctions of the same window.
pub(crate) fn q8(options: &Options, inputs: &'static Inputs) -> Outcome {
    let records = inputs.persons().len() + inputs.auctions().len();
    run(
        options,
        inputs,
        move |_| records,
        |scope, run| {
            let comers = run
                .blocks(scope, run.inputs.persons(), PERSONS, |person| {
                    person.date_time
                })
                .map(|person| Comer {
                    id: person.id,
                    date_time: person.date_time,
                });
            let offers = run
                .blocks(scope, run.inputs.auctions(), AUCTIONS, |auction| {
                    auction.date_time
                })
                .map(|auction| Offer {
                    seller: auction.seller,
                    auction: auction.id,
                    date_time: auction.date_time,
                });
            type Row = (u64, u64, u64);
            let rows = comers.binary_frontier::<_, CapacityContainerBuilder<Vec<Row>>, _, _, _, _>(
                offers,
                Exchange::new(|comer: &Comer| mix64(comer.id)),
                Exchange::new(|offer: &Offer| mix64(offer.seller)),
                "join",
                |_, _| {
                    let mut windows: Panes<Window> = Panes::new(WINDOW_MS);
                    move |(comers, of_comers), (offers, of_offers), output| {
                        comers.for_each(|capability, comers| {
                            let mut session = output.session(&capability);
                            windows.run(
                                comers,
                                |comer| comer.date_time,
                                |window, comer| {
                                    window.persons.value(comer.id);
                                    let end = end_of(comer.date_time);
                                    let met = |auction| session.give((comer.id, auction, end));
                                    window.waiting.take(comer.id, met);
                                },
                            );
                        });
                        offers.for_each(|capability, offers| {
                            let mut session = output.session(&capability);
                            windows.run(
                                offers,
                                |offer| offer.date_time,
                                |window, offer| match window.persons.get(offer.seller) {
                                    Some(()) => {
                                        let end = end_of(offer.date_time);
                                        session.give((offer.seller, offer.auction, end));
                                    }
                                    None => window.waiting.put(offer.seller, offer.auction),
                                },
                            );
                        });
                        windows.close(
                            watermark(of_comers).min(watermark(of_offers)),
                            |_, window| {
                                window.persons.clear();
                                window.waiting.clear();
                            },
                        );
                    }
                },
            );
            run.sink(rows, |(person, auction, end)| h3(*person, *auction, *end));
        },
    )
}

/// The end of the window of a time.
fn end_of(date_time: i64) -> u64 {
    (date_time - date_time.rem_euclid(WINDOW_MS) + WINDOW_MS) as u64
}
