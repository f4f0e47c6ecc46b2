//! q3 and q8: Renoir's own join; and, as its windows do not begin at multiples of their size, a custom
//! one.

use std::collections::VecDeque;

use harness::{Inputs, KeyTable, Options, Outcome, Panes, Waiting, h3, h4};

use crate::run::{by_key, run};
use crate::window::{Held, Windows, step};

const WINDOW_MS: i64 = 10_000;

/// Persons of three states and their auctions of one category.
pub(crate) fn q3(options: &Options, inputs: &'static Inputs) -> Outcome {
    let (persons, auctions) = (inputs.persons(), inputs.auctions());
    run(
        options,
        |_| persons.len() + auctions.len(),
        |run| {
            let sellers = run
                .records(persons)
                .filter(|person| matches!(person.state_id, 4 | 12 | 37))
                .map(|person| (person.id, person.state_id, person.city_id));
            let sales = run
                .records(auctions)
                .filter(|auction| auction.category == 10)
                .map(|auction| (auction.seller, auction.id));
            let joined = sellers.join(sales, |seller| seller.0, |sale| sale.0);
            run.sink(
                joined.drop_key(),
                |((person, state, city), (_, auction))| h4(*person, *state, *city, *auction),
            );
        },
    )
}

/// What a window has of both sides.
#[derive(Clone, Default)]
struct Window {
    persons: KeyTable<()>,
    waiting: Waiting<u64>,
}

#[derive(Clone)]
struct Meeting {
    windows: Panes<Window>,
}

/// A person, or an auction of a person.
type Side = (u64, Option<u64>);
type Row = (u64, u64, u64);

impl Windows<(u64, Side), Row> for Meeting {
    #[inline]
    fn take(&mut self, (person, (_, auction)): (u64, Side), time: i64, rows: &mut VecDeque<Row>) {
        let end = (time - time.rem_euclid(WINDOW_MS) + WINDOW_MS) as u64;
        let window = self.windows.at(time);
        match auction {
            None => {
                window.persons.value(person);
                window
                    .waiting
                    .take(person, |auction| rows.push_back((person, auction, end)));
            }
            Some(auction) if window.persons.get(person).is_some() => {
                rows.push_back((person, auction, end));
            }
            Some(auction) => window.waiting.put(person, auction),
        }
    }

    fn advance(&mut self, watermark: i64, _: &mut VecDeque<Row>) {
        self.windows.close(watermark, |_, window| {
            window.persons.clear();
            window.waiting.clear();
        });
    }
}

/// Persons and their auctions of the same window, merged into one stream.
pub(crate) fn q8(options: &Options, inputs: &'static Inputs) -> Outcome {
    let (persons, auctions) = (inputs.persons(), inputs.auctions());
    run(
        options,
        |_| persons.len() + auctions.len(),
        |run| {
            let comers = run
                .timed(run.records(persons), |person| person.date_time)
                .map(|person| (person.id, None));
            let offers = run
                .timed(run.records(auctions), |auction| auction.date_time)
                .map(|auction| (auction.seller, Some(auction.id)));
            by_key!(run, comers.merge(offers), |side: &Side| side.0, |keyed| {
                let mut held = Held::new(Meeting {
                    windows: Panes::new(WINDOW_MS),
                });
                let rows = keyed.rich_map_custom(move |elements| step(&mut held, elements));
                run.sink(rows, |(person, auction, end)| h3(*person, *auction, *end));
            });
        },
    )
}
