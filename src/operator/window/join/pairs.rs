//! The steps that find a window's pairs and emit them.
//!
//! The left side is put into an index, and the records of the right side are looked up in it, in arrival
//! order, in rounds of some dozen: a round first finds the pairs and notes them down, and then emits
//! them. A single loop for both was tried: with user code and everything downstream in the same loop nothing
//! stays in registers, and a pair takes a third more instructions. If there are more records on the left than
//! the cache holds, a round starts by prefetching those that it is going to compare, so that it waits for all of
//! them together.
//!
//! A round borrows the records, so it does not outlive its step. One that was interrupted, because the output
//! was full, is looked up again when the firing continues.

use std::borrow::Borrow;

use crate::operator::on_stack::on_stack;
use crate::operator::window::time_window::TimeWindow;
use crate::operator::{Budget, Push};
use crate::record::{Key, KeySelector, Wire};
use crate::state::Run;

use super::firing::Stage;
use super::function::JoinFunction;
use super::index::{Index, Places};
use super::operator::{Keys, WindowJoin};
use super::state::{Parts, Records};

/// How many places are indexed, or looked up, before the budget is checked.
const STEP: usize = 1024;
/// How many places cost as much budget as one result.
const PLACES_PER_RESULT: usize = 8;
/// How many records are looked up in a round.
const ROUND: usize = 64;
/// If more records than this are indexed, those about to be compared are prefetched.
const CACHED_MAX: usize = 1 << 14;
/// How many pairs a round has at most: if a key occurs in many records, a round ends early.
pub(super) const PAIRS: usize = ROUND;

/// Returns the budget that `places` cost.
pub(super) fn cost(places: usize) -> u32 {
    (places / PLACES_PER_RESULT).max(1) as u32
}

/// How far a window's records have been looked up.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// The next place on the right side to look up.
    place: usize,
    /// The link of the left record of its next pair, if it has already had some.
    link: u32,
}

/// The index of the left side, and how far the right one has been looked up.
#[derive(Default)]
pub(super) struct Matching {
    index: Index,
    /// As of the start of the round.
    progress: Progress,
    /// How many pairs of the round have been emitted.
    emitted: usize,
}

impl Matching {
    /// Starts over with the window's left side.
    pub(super) fn begin(&mut self, left: &Parts) {
        self.index.begin(left.len());
        (self.progress, self.emitted) = (Progress::default(), 0);
    }
}

/// Adds some of the records to an index that contains those before them. Returns how many places that cost, or
/// `None` if there are no more.
#[inline(never)]
pub(super) fn index_some<'a, V, S>(
    index: &mut Index,
    len: usize,
    run_from: impl FnOnce(usize) -> Run<'a, V>,
    get: impl Fn(usize) -> &'a V,
    selector: &S,
) -> Option<usize>
where
    V: Wire + ?Sized,
    S: KeySelector<V>,
{
    if let Some(cost) = index.clear_some() {
        return Some(cost);
    }
    let before = index.len();
    if before == len {
        return None;
    }
    for record in run_from(before).take_front(STEP) {
        let key = selector.key(record);
        let key = key.borrow();
        index.add(key.key_hash(), |place| {
            selector.key(get(place)).borrow() == key
        });
    }
    Some(index.len() - before)
}

/// A pair that was found, or room for one.
pub(super) type Pair<'a, L, R> = Option<(&'a L, &'a R)>;

/// A window's records, among which pairs are to be found.
struct Search<'a, L: ?Sized, R: ?Sized, S1, S2> {
    lefts: Records<'a, L>,
    rights: Records<'a, R>,
    places: Places<'a>,
    keys: &'a Keys<S1, S2>,
}

impl<'a, L, R, S1, S2> Search<'a, L, R, S1, S2>
where
    L: Wire + ?Sized,
    R: Wire + ?Sized,
    S1: KeySelector<L>,
    S2: KeySelector<R, Key = S1::Key>,
{
    /// Looks up some records, as long as there is room for their pairs. Returns how far it got and how many pairs
    /// there are.
    #[inline(never)]
    fn find(&self, progress: Progress, pairs: &mut [Pair<'a, L, R>]) -> (Progress, usize) {
        let (keys, places) = (self.keys, self.places);
        let mut records = self.rights.run_from(progress.place).take_front(ROUND);
        if places.len() > CACHED_MAX {
            self.fetch(records.clone());
        }
        let (mut place, mut count) = (progress.place, 0);
        let at = |place, link| Progress { place, link };
        if progress.link != 0
            && let Some(right) = records.next()
        {
            match self.note_others(progress.link, right, pairs, &mut count) {
                0 => place += 1,
                link => return (at(place, link), count),
            }
        }
        for right in records {
            let key = keys.right.key(right);
            let key = key.borrow();
            let equal = |left: &&L| keys.left.key(left).borrow() == key;
            let found = places.find(key.key_hash(), |place| self.lefts.get(place), equal);
            if let Some((link, left)) = found {
                let Some(pair) = pairs.get_mut(count) else {
                    return (at(place, link), count);
                };
                *pair = Some((left, right));
                count += 1;
                let other = places.same(link);
                if other != 0 {
                    let link = self.note_others(other, right, pairs, &mut count);
                    if link != 0 {
                        return (at(place, link), count);
                    }
                }
            }
            place += 1;
        }
        (at(place, 0), count)
    }

    /// Prefetches the records on the left that these are likely to be compared with.
    #[inline(never)]
    fn fetch(&self, records: Run<'a, R>) {
        for right in records {
            let hash = self.keys.right.key(right).borrow().key_hash();
            let link = self.places.first(hash);
            if link != 0 {
                self.lefts.prefetch(link as usize - 1);
            }
        }
    }

    /// Notes the pairs with the record at a link and those after it, as long as there is room. Returns the
    /// link at which there was none left, or 0.
    #[inline(never)]
    fn note_others(
        &self,
        mut link: u32,
        right: &'a R,
        pairs: &mut [Pair<'a, L, R>],
        count: &mut usize,
    ) -> u32 {
        for pair in &mut pairs[*count..] {
            *pair = Some((self.lefts.get(link as usize - 1), right));
            *count += 1;
            link = self.places.same(link);
            if link == 0 {
                break;
            }
        }
        link
    }
}

/// Emits pairs while there is room downstream; returns how many. The caller has checked that there is room for
/// the first.
#[inline(never)]
pub(super) fn emit<K, L, R, F, D>(
    pairs: &[Pair<'_, L, R>],
    window: TimeWindow,
    function: &mut F,
    next: &mut D,
) -> usize
where
    K: ?Sized,
    L: ?Sized,
    R: ?Sized,
    F: JoinFunction<K, L, R>,
    D: Push<F::Out>,
{
    let at = window.max_timestamp();
    on_stack(next, |next| {
        let mut count = 0;
        for (left, right) in pairs.iter().flatten() {
            if count > 0 && !next.ready() {
                break;
            }
            function.pair(left, right, window, |result| next.push(result, at));
            count += 1;
        }
        count
    })
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
    /// Puts some records of the left side into the index.
    pub(super) fn chain(&mut self, budget: &mut Budget) {
        let firing = &mut self.firing;
        let lefts = firing.left.of(&self.state.left);
        let run_from = |place| lefts.run_from(place);
        let get = |place| lefts.get(place);
        let index = &mut firing.matching.index;
        match index_some(index, firing.left.len(), run_from, get, &self.keys.left) {
            Some(places) => budget.spend(cost(places)),
            None => firing.stage = Stage::Match,
        }
    }

    /// Looks up some records of the right side and emits their pairs.
    pub(super) fn match_some(&mut self, budget: &mut Budget) {
        let (firing, state) = (&mut self.firing, &self.state);
        let matching = &mut firing.matching;
        if matching.progress.place == firing.right.len() {
            firing.stage = Stage::Retire;
            return;
        }
        let search = Search {
            lefts: firing.left.of(&state.left),
            rights: firing.right.of(&state.right),
            places: matching.index.places(),
            keys: &self.keys,
        };
        let mut pairs = [None; PAIRS];
        let max = PAIRS.min(matching.emitted + budget.left() as usize);
        let (progress, found) = search.find(matching.progress, &mut pairs[..max]);
        let places = progress.place - matching.progress.place;
        let window = self.slicing.window(firing.window);
        let rest = &pairs[matching.emitted..found];
        let count = emit(rest, window, &mut self.function, &mut self.next.main);
        matching.emitted += count;
        if matching.emitted == found {
            (matching.progress, matching.emitted) = (progress, 0);
        }
        budget.spend(cost(places).max(count as u32));
    }
}
