//! The steps that find a window's pairs and emit them.
//!
//! Pairs are noted down, some hundred at a time, and then emitted: so one loop waits for memory, and the
//! other one runs through user code and everything behind it. Whether two keys are equal decides no branch:
//! a pair is always written, and counts if they are.

use std::borrow::Borrow;

use crate::operator::{Budget, Operator, Push};
use crate::record::{KeyHasher, KeySelector, Wire};

use super::firing::Stage;
use super::function::JoinFunction;
use super::index::Index;
use super::operator::WindowJoin;
use super::state::{Parts, Records};

/// How many places are indexed, or looked up, before the budget is asked.
const STEP: usize = 1024;
/// So many places cost as much budget as one result.
const PLACES_PER_RESULT: usize = 8;
/// Pairs that are noted down before they are emitted.
const FOUND_MAX: usize = 256;

/// The budget that `places` cost.
pub(super) fn cost(places: usize) -> u32 {
    (places / PLACES_PER_RESULT).max(1) as u32
}

/// Pairs of places, left and right, that wait to be emitted.
pub(super) struct Found {
    pairs: Box<[(u32, u32); FOUND_MAX]>,
    len: usize,
    emitted: usize,
}

impl Default for Found {
    fn default() -> Self {
        Found {
            pairs: Box::new([(0, 0); FOUND_MAX]),
            len: 0,
            emitted: 0,
        }
    }
}

impl Found {
    pub(super) fn is_empty(&self) -> bool {
        self.emitted == self.len
    }

    pub(super) fn clear(&mut self) {
        (self.len, self.emitted) = (0, 0);
    }

    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.len == FOUND_MAX
    }

    /// Notes a pair if it `counts`; there must be room.
    #[inline(always)]
    pub(super) fn note(&mut self, pair: (u32, u32), counts: bool) {
        self.pairs[self.len] = pair;
        self.len += usize::from(counts);
    }
}

/// Which side is in the index, and how far the other one has been looked up.
#[derive(Default)]
pub(super) struct Matching {
    index: Index,
    left_is_chained: bool,
    /// The place that is looked up next.
    place: usize,
    /// Where its chain goes on, if it was left: a link of the index, or 0.
    link: u32,
    pub(super) found: Found,
}

impl Matching {
    /// Begins with the window's two sides.
    pub(super) fn begin(&mut self, left: &Parts, right: &Parts) {
        self.left_is_chained = left.len() <= right.len();
        self.index.begin(left.len().min(right.len()));
        (self.place, self.link) = (0, 0);
        self.found.clear();
    }
}

/// Adds some of the records to an index that has those before them. Says how many places that cost, or
/// `None` if there are no more.
pub(super) fn index_some<'a, V, S>(
    index: &mut Index,
    len: usize,
    record: impl Fn(usize) -> &'a V,
    (selector, hasher): (&S, &KeyHasher),
) -> Option<usize>
where
    V: ?Sized + 'a,
    S: KeySelector<V>,
{
    if let Some(cost) = index.clear_some() {
        return Some(cost);
    }
    let places = index.len()..len.min(index.len() + STEP);
    let count = places.len();
    for place in places {
        index.add(hasher.hash(selector.key(record(place)).borrow()));
    }
    (count > 0).then_some(count)
}

/// One side of a window, and how its keys are found.
struct Party<'a, V: ?Sized, S> {
    records: Records<'a, V>,
    len: usize,
    selector: &'a S,
}

impl Matching {
    /// Looks some records of one side up among those of the `chained` one, until enough pairs are found or
    /// enough was done. Says how many places it looked at, 0 if there are no more.
    #[inline(always)]
    fn find<C, V, S1, S2>(
        &mut self,
        chained: &Party<'_, C, S1>,
        looked_up: &Party<'_, V, S2>,
        hasher: &KeyHasher,
        pair: impl Fn(u32, u32) -> (u32, u32),
    ) -> usize
    where
        C: Wire + ?Sized,
        V: Wire + ?Sized,
        S1: KeySelector<C>,
        S2: KeySelector<V, Key = S1::Key>,
    {
        let Matching { index, found, .. } = self;
        let start = self.place;
        let end = looked_up.len.min(start + STEP);
        for place in start..end {
            let mut link = std::mem::take(&mut self.link);
            let record = looked_up.records.get(place);
            let key = looked_up.selector.key(record);
            if link == 0 {
                link = index.first(hasher.hash(key.borrow()));
            }
            while link != 0 && !found.is_full() {
                let other = chained.selector.key(chained.records.get(link as usize - 1));
                found.note(pair(link - 1, place as u32), other.borrow() == key.borrow());
                link = index.after(link);
            }
            if link != 0 {
                (self.place, self.link) = (place, link);
                return place - start + 1;
            }
        }
        self.place = end;
        end - start
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
    /// Puts some records of the smaller side into the index.
    pub(super) fn chain(&mut self, budget: &mut Budget) {
        let (firing, keys) = (&mut self.firing, &self.keys);
        let index = &mut firing.matching.index;
        let places = if firing.matching.left_is_chained {
            let records = firing.left.of(&self.state.left);
            let selector = (&keys.left, &keys.hasher);
            index_some(index, firing.left.len(), |at| records.get(at), selector)
        } else {
            let records = firing.right.of(&self.state.right);
            let selector = (&keys.right, &keys.hasher);
            index_some(index, firing.right.len(), |at| records.get(at), selector)
        };
        match places {
            Some(places) => budget.spend(cost(places)),
            None => firing.stage = Stage::Match,
        }
    }

    /// Emits the pairs that are found, or finds some more.
    pub(super) fn match_some(&mut self, budget: &mut Budget) {
        if !self.firing.matching.found.is_empty() {
            return self.emit_found(budget);
        }
        let (firing, keys) = (&mut self.firing, &self.keys);
        firing.matching.found.clear();
        let left = Party {
            records: firing.left.of(&self.state.left),
            len: firing.left.len(),
            selector: &keys.left,
        };
        let right = Party {
            records: firing.right.of(&self.state.right),
            len: firing.right.len(),
            selector: &keys.right,
        };
        let matching = &mut firing.matching;
        let places = if matching.left_is_chained {
            matching.find(&left, &right, &keys.hasher, |left, right| (left, right))
        } else {
            matching.find(&right, &left, &keys.hasher, |right, left| (left, right))
        };
        match places {
            0 => firing.stage = Stage::Retire,
            _ => budget.spend(cost(places)),
        }
    }

    /// Emits pairs that are found while there is budget and room.
    pub(super) fn emit_found(&mut self, budget: &mut Budget) {
        let firing = &mut self.firing;
        let lefts = firing.left.of(&self.state.left);
        let rights = firing.right.of(&self.state.right);
        let window = self.slicing.window(firing.window);
        let at = window.max_timestamp();
        let found = &mut firing.matching.found;
        // The caller has asked whether there is room for the first.
        while let Some(&(left, right)) = found.pairs[..found.len].get(found.emitted) {
            let (left, right) = (lefts.get(left as usize), rights.get(right as usize));
            let next = &mut self.next.main;
            (self.function).pair(left, right, window, |result| next.push(result, at));
            found.emitted += 1;
            budget.take();
            if budget.left() == 0 || !self.next.ready() {
                return;
            }
        }
    }
}
