//! The steps that collect the records of one key in a window: all of its keys in turn, or that of
//! a late record.
//!
//! Here each slice has an index of its own for each side, which is built when first needed and dropped with
//! its slice. A late record is added to it when its windows fire.

use std::borrow::Borrow;

use crate::operator::{Budget, Operator, Push};
use crate::record::{Key, KeyHash, KeySelector, Wire};

use super::firing::{Late, Stage};
use super::function::JoinFunction;
use super::group::Group;
use super::operator::WindowJoin;
use super::pairs::{PAIRS, cost, emit, index_some};
use super::state::{Parts, Side, Sides};

/// How many records are skipped before the budget is checked.
const STEP: usize = 1024;

/// How far the slices are indexed, and whose records are collected.
#[derive(Default)]
pub(super) struct Gathering {
    /// How many parts of both sides, left first, are indexed.
    indexed: usize,
    /// The collected places of a key, left and right.
    lefts: Vec<u32>,
    rights: Vec<u32>,
    /// How many of their pairs have been emitted.
    crossed: usize,
    /// The next place of both sides, left first, whose key may not have been visited.
    visit: usize,
    /// A bit for each place of both sides: whether its key has been visited.
    visited: Vec<u64>,
}

impl Gathering {
    /// Starts over with the window's two sides.
    pub(super) fn begin(&mut self, left: &Parts, right: &Parts) {
        (self.indexed, self.visit, self.crossed) = (0, 0, 0);
        let places = left.len() + right.len();
        self.visited.clear();
        self.visited.resize(places.div_ceil(64), 0);
    }

    fn is_visited(&self, place: usize) -> bool {
        self.visited[place / 64] >> (place % 64) & 1 == 1
    }

    /// Marks the collected places as visited.
    fn note_visited(&mut self, left_len: usize) {
        let rights = self.rights.iter().map(|&place| place as usize + left_len);
        for place in self.lefts.iter().map(|&place| place as usize).chain(rights) {
            self.visited[place / 64] |= 1 << (place % 64);
        }
    }
}

/// Indexes some more records of a slice. Returns how many places that cost, or `None` if there are no more.
fn index_side<V, S>(side: &mut Side<V>, selector: &S) -> Option<usize>
where
    V: Wire + ?Sized,
    S: KeySelector<V>,
{
    let Side { log, index, .. } = side;
    let index = index.get_or_insert_default();
    if !index.has_room_for(log.len()) {
        index.begin(log.len());
    }
    let (run_from, get) = (|place| log.run_from(place), |place| log.get(place));
    index_some(index, log.len(), run_from, get, selector)
}

/// Collects the places with `key` on one side of a window whose slices are indexed.
fn collect<V, S>(
    places: &mut Vec<u32>,
    parts: &Parts,
    sides: &Sides<V>,
    selector: &S,
    (key, hash): (&S::Key, KeyHash),
) where
    V: Wire + ?Sized,
    S: KeySelector<V>,
{
    places.clear();
    for part in parts.parts() {
        let Side { log, index, .. } = sides.get(part.slice);
        let Some(index) = index else { continue };
        let equal = |record: &&V| selector.key(record).borrow() == key;
        let indexed = index.places();
        let found = indexed.find(hash, |place| log.get(place), equal);
        let mut link = found.map_or(0, |(link, _)| link);
        while link != 0 {
            places.push((part.start + link as usize - 1) as u32);
            link = indexed.same(link);
        }
    }
}

impl<L, R, S1, S2, F, D> WindowJoin<L, R, S1, S2, F, D>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
    F: JoinFunction<S1::Key, L, R>,
    D: Push<F::Out>,
{
    /// Indexes some records of the window's slices; then the keys fire.
    pub(super) fn index(&mut self, budget: &mut Budget) {
        let (firing, keys) = (&mut self.firing, &self.keys);
        let (left, right) = (firing.left.parts(), firing.right.parts());
        let indexed = firing.gathering.indexed;
        let places = if let Some(part) = left.get(indexed) {
            let side = self.state.left.get_mut(part.slice);
            index_side(side, &keys.left)
        } else if let Some(part) = right.get(indexed - left.len()) {
            let side = self.state.right.get_mut(part.slice);
            index_side(side, &keys.right)
        } else {
            match firing.late {
                Some((late, _)) => self.collect_late(late),
                None => firing.stage = Stage::Groups,
            }
            return;
        };
        match places {
            Some(places) => budget.spend(cost(places)),
            None => firing.gathering.indexed += 1,
        }
    }

    /// Collects the late record's key; then its pairs, or its group, are emitted.
    fn collect_late(&mut self, late: Late) {
        let firing = &self.firing;
        let side = if late.from_left {
            &firing.left
        } else {
            &firing.right
        };
        let part = side.parts().iter().find(|part| part.slice == late.slice);
        let start = part.expect("a late record's slice is in its windows").start;
        self.visit(late.from_left, start + late.place);
        if F::PAIRWISE {
            self.firing.stage = Stage::Cross;
        } else {
            self.go_back();
        }
    }

    /// Steps back to the previous window, which the late record may fire too.
    fn go_back(&mut self) {
        self.firing.window -= 1;
        self.firing.stage = Stage::Again;
    }

    /// Collects the records with the key of the one at a place of the left or the right side, and passes them
    /// to the function if it takes groups.
    fn visit(&mut self, in_left: bool, place: usize) {
        let (firing, state, keys) = (&mut self.firing, &self.state, &self.keys);
        let (left, right) = (&firing.left, &firing.right);
        let (lefts, rights) = (left.of(&state.left), right.of(&state.right));
        let window = self.slicing.window(firing.window);
        let (gathering, function, next) =
            (&mut firing.gathering, &mut self.function, &mut self.next);
        let mut then = |key: &S1::Key| {
            let hashed = (key, key.key_hash());
            collect(&mut gathering.lefts, left, &state.left, &keys.left, hashed);
            collect(
                &mut gathering.rights,
                right,
                &state.right,
                &keys.right,
                hashed,
            );
            if !F::PAIRWISE {
                let lefts = Group::new(lefts, &gathering.lefts);
                let rights = Group::new(rights, &gathering.rights);
                let at = window.max_timestamp();
                function.group(key, window, lefts, rights, |result| {
                    next.main.push(result, at)
                });
            }
        };
        if in_left {
            then(keys.left.key(lefts.get(place)).borrow());
        } else {
            then(keys.right.key(rights.get(place)).borrow());
        }
    }

    /// Emits some pairs of the collected records.
    pub(super) fn cross(&mut self, budget: &mut Budget) {
        let (firing, state) = (&mut self.firing, &self.state);
        let gathering = &mut firing.gathering;
        let (count, crossed) = (gathering.lefts.len(), gathering.crossed);
        let end = count * gathering.rights.len();
        if crossed == end {
            return self.go_back();
        }
        let (lefts, rights) = (firing.left.of(&state.left), firing.right.of(&state.right));
        let mut pairs = [None; PAIRS];
        let found = PAIRS.min(end - crossed).min(budget.left() as usize);
        for (pair, place) in pairs[..found].iter_mut().zip(crossed..) {
            let left = lefts.get(gathering.lefts[place % count] as usize);
            *pair = Some((left, rights.get(gathering.rights[place / count] as usize)));
        }
        let window = self.slicing.window(firing.window);
        let next = &mut self.next.main;
        let emitted = emit(&pairs[..found], window, &mut self.function, next);
        gathering.crossed += emitted;
        budget.spend(emitted as u32);
    }

    /// Passes the records of some of the window's keys to the function.
    pub(super) fn fire_groups(&mut self, budget: &mut Budget) {
        let lefts = self.firing.left.len();
        let end = lefts + self.firing.right.len();
        let mut passed_over = 0;
        while self.firing.gathering.visit < end && passed_over < STEP {
            let place = self.firing.gathering.visit;
            self.firing.gathering.visit += 1;
            if self.firing.gathering.is_visited(place) {
                passed_over += 1;
                continue;
            }
            let in_left = place < lefts;
            self.visit(in_left, if in_left { place } else { place - lefts });
            self.firing.gathering.note_visited(lefts);
            budget.take();
            if budget.left() == 0 || !self.next.ready() {
                return;
            }
        }
        budget.spend(cost(passed_over));
        if self.firing.gathering.visit == end {
            self.firing.stage = Stage::Retire;
        }
    }
}
