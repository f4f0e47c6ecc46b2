//! q3 and q8: persons with their auctions.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use harness::{
    Auction, BLOCK_RECORDS, Digest, Inputs, KeyTable, Options, Outcome, Person, Waiting, ahead, h3,
    h4, run_subtasks,
};
use hashbrown::HashMap;

const WINDOW_MS: i64 = 10_000;

type Map<V> = HashMap<u64, V, FixedState>;

fn wanted_person(person: &Person) -> bool {
    matches!(person.state_id, 4 | 12 | 37)
}

fn wanted_auction(auction: &Auction) -> bool {
    auction.category == 10
}

/// All persons first, then all auctions: what a join of files would do, and a stream cannot.
pub(crate) fn q3(_: &Options, inputs: &'static Inputs) -> Outcome {
    let (persons, auctions) = (inputs.persons(), inputs.auctions());
    run_subtasks(persons.len() + auctions.len(), vec![()], |_, ()| {
        let mut digest = Digest::default();
        let mut by_id: Map<(u64, u64)> = Map::default();
        for person in ahead(persons).filter(|person| wanted_person(person)) {
            by_id.insert(person.id, (person.state_id, person.city_id));
        }
        for auction in ahead(auctions).filter(|auction| wanted_auction(auction)) {
            if let Some(&(state, city)) = by_id.get(&auction.seller) {
                digest.add(h4(auction.seller, state, city, auction.id));
            }
        }
        digest
    })
}

/// Persons and auctions as they would arrive, three auctions a person: each side remembered for the
/// other, a row when the second of its two sides is there. Persons are few and unique, so an auction
/// that has met its seller is not kept.
pub(crate) fn q3_symmetric(_: &Options, inputs: &'static Inputs) -> Outcome {
    let (persons, auctions) = (inputs.persons(), inputs.auctions());
    run_subtasks(persons.len() + auctions.len(), vec![()], |_, ()| {
        let mut digest = Digest::default();
        let mut by_id: Map<(u64, u64)> = Map::default();
        // The auctions of a seller not seen yet.
        let mut waiting: Waiting<u64> = Waiting::default();
        let mut persons = persons.chunks(BLOCK_RECORDS);
        let mut auctions = auctions.chunks(3 * BLOCK_RECORDS);
        loop {
            let (some_persons, some_auctions) = (persons.next(), auctions.next());
            for person in ahead(some_persons.unwrap_or_default()).filter(|p| wanted_person(p)) {
                by_id.insert(person.id, (person.state_id, person.city_id));
                waiting.take(person.id, |auction| {
                    digest.add(h4(person.id, person.state_id, person.city_id, auction));
                });
            }
            for auction in ahead(some_auctions.unwrap_or_default()).filter(|a| wanted_auction(a)) {
                if let Some(&(state, city)) = by_id.get(&auction.seller) {
                    digest.add(h4(auction.seller, state, city, auction.id));
                } else {
                    waiting.put(auction.seller, auction.id);
                }
            }
            if some_persons.is_none() && some_auctions.is_none() {
                return digest;
            }
        }
    })
}

/// What a window has of both sides so far.
#[derive(Default)]
struct Window {
    persons: KeyTable<()>,
    /// Auctions that came before the window's turn: (seller, id).
    early: Vec<(u64, u64)>,
}

/// The windows from the current one on, of which there is always one.
struct Windows {
    open: VecDeque<Window>,
    /// The start of the current one.
    start: i64,
}

impl Windows {
    fn at(&mut self, timestamp: i64) -> &mut Window {
        let after_start = timestamp - self.start;
        if after_start < WINDOW_MS {
            return &mut self.open[0];
        }
        let index = (after_start / WINDOW_MS) as usize;
        while self.open.len() <= index {
            self.open.push_back(Window::default());
        }
        &mut self.open[index]
    }

    /// Whether any window holds anything.
    fn any(&self) -> bool {
        let full = |window: &Window| !window.persons.is_empty() || !window.early.is_empty();
        self.open.iter().any(full)
    }

    /// Goes on to the next window; the memory of the current one is used again.
    fn advance(&mut self) {
        let mut done = self.open.pop_front().expect("there is always a window");
        done.persons.clear();
        done.early.clear();
        self.open.push_back(done);
        self.start += WINDOW_MS;
    }
}

/// Persons and auctions of the same window: of each window first the persons, then the auctions.
pub(crate) fn q8(options: &Options, inputs: &'static Inputs) -> Outcome {
    let (persons, auctions) = (inputs.persons(), inputs.auctions());
    run_subtasks(persons.len() + auctions.len(), vec![()], |_, ()| {
        by_window(persons, auctions, options.jitter_ms)
    })
}

fn by_window(mut persons: &[Person], mut auctions: &[Auction], jitter: i64) -> Digest {
    let firsts = [
        persons.first().map(|person| person.date_time),
        auctions.first().map(|auction| auction.date_time),
    ];
    let first = firsts.into_iter().flatten().min().unwrap_or(0) - jitter;
    let mut windows = Windows {
        open: VecDeque::from([Window::default()]),
        start: first - first.rem_euclid(WINDOW_MS),
    };
    let mut digest = Digest::default();
    while !persons.is_empty() || !auctions.is_empty() || windows.any() {
        let end = windows.start + WINDOW_MS;
        let persons = take_until(&mut persons, |person| person.date_time - jitter >= end);
        for person in ahead(persons) {
            windows.at(person.date_time).persons.value(person.id);
        }
        let auctions = take_until(&mut auctions, |auction| auction.date_time - jitter >= end);
        let now = &windows.open[0];
        let mut meet = |seller, auction| {
            if now.persons.get(seller).is_some() {
                digest.add(h3(seller, auction, end as u64));
            }
        };
        for &(seller, auction) in &now.early {
            meet(seller, auction);
        }
        let mut early = false;
        for auction in ahead(auctions) {
            if auction.date_time < end {
                meet(auction.seller, auction.id);
            } else {
                early = true;
            }
        }
        if early {
            for auction in auctions.iter().filter(|auction| auction.date_time >= end) {
                let window = windows.at(auction.date_time);
                window.early.push((auction.seller, auction.id));
            }
        }
        windows.advance();
    }
    digest
}

/// Takes from the front of `records` what stands before the first that is `past`: one that tells that
/// nothing follows of what the caller is at.
fn take_until<'a, R>(records: &mut &'a [R], past: impl Fn(&R) -> bool) -> &'a [R] {
    let count = records.iter().position(past).unwrap_or(records.len());
    let (taken, rest) = records.split_at(count);
    *records = rest;
    taken
}
