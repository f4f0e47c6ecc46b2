//! Upserts: looking up or inserting the keys of consecutive records.
//!
//! Apart from waiting for memory, the cost of an upsert is the path to its group: directory, segment, group. For
//! records known in advance that path is taken once, when the group's cache line is prefetched, and the group is
//! remembered until the record's turn comes.
//!
//! Looking up a record and upserting an earlier one alternate: prefetches that follow each other at once wait for each
//! other's page walks, and for the lines of memory that are under way. Eight of both are written out one after the
//! other, so that what counts the records and finds their places is constant. Both together save a tenth of the time of
//! a sum over a skewed choice of a million keys, and an eighth over an even one; without the alternation, writing out
//! saves nothing. Where the other lines of groups are prefetched later, the records are taken one by one.
//!
//! ```text
//! records   … upserted ── second line of the group ──────── first line of the group …
//!             i           i + 16                            i + 48
//! ```

#![expect(
    unsafe_code,
    reason = "remembers groups as long as the table's shape stays"
)]

use std::array;
use std::cell::Cell;
use std::ops::Range;
use std::ptr::NonNull;

use super::directory::Directory;
use super::group::Tag;
use super::key::TableKey;
use super::keyed::{Lookahead, Table};
use super::layout::{Group, Place};
use crate::record::KeyHash;

/// How far ahead groups are looked up.
const FAR: usize = Lookahead::Far.distance();
/// How far ahead the other lines of groups are prefetched.
const NEAR: usize = 16;
/// How many records are written out in code.
const STRIDE: usize = 8;
/// A power of two, above the distance.
const ROOM: usize = (FAR + STRIDE).next_power_of_two();

const _: () = assert!(NEAR < FAR);

/// Evaluates `$step` for each offset within a stride, as long as it is true.
macro_rules! stride {
    (|$offset:ident| $step:expr) => {
        stride!(@ $offset, $step, 0, 1, 2, 3, 4, 5, 6, 7)
    };
    (@ $offset:ident, $step:expr, $($number:literal),+) => {
        $({ let $offset = $number; $step })&&+
    };
}

/// How to get the keys of records.
pub trait RunKeys<K> {
    /// A record, or a reference to it.
    type Record: Copy;

    /// The hash of its key.
    fn hash(&self, record: &Self::Record) -> KeyHash;

    /// Whether `key` is the record's key.
    fn is(&self, record: &Self::Record, key: &K) -> bool;

    /// The record's key, to be stored.
    fn stored(&self, record: &Self::Record) -> K;
}

impl<K: TableKey, V> Table<K, V> {
    /// Finds the value of each record's key, or inserts the one that `first` returns, and calls `each` with it and
    /// whether it was inserted, until `each` returns `false`; the values passed to `each` count as changed. Both get
    /// `context`. The records that are left remain in the iterator; counting those that were taken would cost the loop
    /// a register.
    #[inline(always)]
    pub fn upsert_run<R: RunKeys<K>, C>(
        &mut self,
        (keys, context): (&R, &mut C),
        records: &mut impl Iterator<Item = R::Record>,
        mut first: impl FnMut(&mut C, &R::Record) -> V,
        mut each: impl FnMut(&mut C, R::Record, (&mut V, bool)) -> bool,
    ) {
        loop {
            let (keys, calls) = ((keys, &mut *context), (&mut first, &mut each));
            let is_over = if self.directory.is_one_segment() {
                self.upsert_some::<true, _, _>(keys, records, calls)
            } else {
                self.upsert_some::<false, _, _>(keys, records, calls)
            };
            if is_over {
                return;
            }
        }
    }

    /// Upserts records until `each` ends it or there are no more; with `ONE`, also until an insertion gives the table a
    /// second segment. Returns whether the run is over.
    ///
    /// Compiled for both: a table of one segment is in the nearest caches, where looking up the segment is a tenth of
    /// the cost of a record.
    #[inline(always)]
    fn upsert_some<const ONE: bool, R: RunKeys<K>, C>(
        &mut self,
        (keys, context): (&R, &mut C),
        records: &mut impl Iterator<Item = R::Record>,
        (first, each): (
            &mut impl FnMut(&mut C, &R::Record) -> V,
            &mut impl FnMut(&mut C, R::Record, (&mut V, bool)) -> bool,
        ),
    ) -> bool {
        let mut way = self.directory.way::<ONE>();
        for record in records {
            let hash = keys.hash(&record);
            // SAFETY: the way is that of the directory as it is now.
            let home = unsafe { way.home(hash) };
            let found = self.find_at_home(keys, record, home, (Tag::of(hash), || hash));
            // Computed here, for few records; after `each`, every record would have to check whether it was inserted:
            // three instructions.
            let mut has_grown = false;
            let (mut value, inserted) = match found {
                Some(value) => (value, false),
                None => {
                    let first = |record: &_| first(context, record);
                    let upserted = self.upsert_otherwise(keys, record, (hash, home), first);
                    has_grown = ONE && !self.directory.is_one_segment();
                    way = self.directory.way();
                    upserted
                }
            };
            // SAFETY: the entry was just found or written; it stays while the table is borrowed.
            if !each(context, record, (unsafe { value.as_mut() }, inserted)) {
                return true;
            }
            if has_grown {
                return false;
            }
        }
        true
    }

    /// As [`upsert_run`](Self::upsert_run), for large tables: takes `wanted` records by their numbers, of which at
    /// least `known` can be looked up ahead.
    #[inline(always)]
    pub fn upsert_looking_ahead<R, C, I, J>(
        &mut self,
        (keys, context): (&R, &mut C),
        (records, wanted): (impl Fn(Range<usize>) -> I, usize),
        (ahead, known): (impl Fn(Range<usize>) -> J, usize),
        mut first: impl FnMut(&mut C, &R::Record) -> V,
        mut each: impl FnMut(&mut C, R::Record, (&mut V, bool)) -> bool,
    ) -> usize
    where
        R: RunKeys<K>,
        I: Iterator<Item = R::Record>,
        J: Iterator<Item = R::Record>,
    {
        let one_stage = self.directory.one_stage();
        let homes = Homes::new(&self.directory);
        for (number, record) in ahead(0..FAR.min(known)).enumerate() {
            homes.look((number, keys.hash(&record)), &self.directory, one_stage);
        }
        // With two stages, copies of the code gain nothing.
        let strides = if one_stage {
            (wanted / STRIDE).min(known.saturating_sub(FAR) / STRIDE)
        } else {
            0
        };
        let mut number = 0;
        for start in (0..strides).map(|stride| stride * STRIDE) {
            let mut later = ahead(start + FAR..start + FAR + STRIDE);
            let mut records = records(start..start + STRIDE);
            let goes_on = stride!(|offset| {
                let (Some(record), Some(later)) = (records.next(), later.next()) else {
                    return number;
                };
                let far = (start + FAR + offset, keys.hash(&later));
                homes.look(far, &self.directory, true);
                number += 1;
                let calls = (&mut *context, &mut first, &mut each);
                self.upsert_remembered(keys, (&homes, start + offset), record, calls)
            });
            if !goes_on {
                return number;
            }
        }
        for record in records(number..wanted) {
            let far = number + FAR;
            for later in ahead(far.min(known)..(far + 1).min(known)) {
                homes.look((far, keys.hash(&later)), &self.directory, one_stage);
            }
            if !one_stage {
                self.directory.prefetch_entry(homes.hash(number + NEAR));
            }
            number += 1;
            let calls = (&mut *context, &mut first, &mut each);
            if !self.upsert_remembered(keys, (&homes, number - 1), record, calls) {
                return number;
            }
        }
        wanted
    }

    /// Upserts the record with this number, whose home was looked up; returns whether to go on.
    #[inline(always)]
    fn upsert_remembered<R: RunKeys<K>, C>(
        &mut self,
        keys: &R,
        (homes, number): (&Homes<K, V>, usize),
        record: R::Record,
        (context, first, each): (
            &mut C,
            &mut impl FnMut(&mut C, &R::Record) -> V,
            &mut impl FnMut(&mut C, R::Record, (&mut V, bool)) -> bool,
        ),
    ) -> bool {
        let home = homes.group(number);
        let hash = || homes.hash(number);
        let found = self.find_at_home(keys, record, home, (homes.tag(number), hash));
        let (mut value, inserted) = match found {
            Some(value) => (value, false),
            None => {
                let shape = self.directory.shape();
                let first = |record: &_| first(context, record);
                let home = (homes.hash(number), home);
                let upserted = self.upsert_otherwise(keys, record, home, first);
                if self.directory.shape() != shape {
                    homes.find_again(&self.directory);
                }
                upserted
            }
        };
        // SAFETY: the entry was just found or written; it stays while the table is borrowed.
        each(context, record, (unsafe { value.as_mut() }, inserted))
    }

    /// Handles an entry that changes for the first time in this generation.
    #[cold]
    #[inline(never)]
    fn first_touch(&mut self, hash: KeyHash, place: Place<K, V>) {
        let mut segment = self.directory.segment_mut(hash);
        // SAFETY: the place was just found in this segment.
        unsafe { segment.touch(place, &mut self.changes) };
    }

    /// The value of a record's key, if the first candidate at home is its entry: counts as changed from here on.
    #[inline(always)]
    fn find_at_home<R: RunKeys<K>>(
        &mut self,
        keys: &R,
        record: R::Record,
        home: Group<K, V>,
        (tag, hash): (Tag, impl FnOnce() -> KeyHash),
    ) -> Option<NonNull<V>> {
        let slot = home.tags().matching(tag).first()?;
        let place = Place { group: home, slot };
        // SAFETY: `matching` yields occupied slots only, and those hold an entry.
        if !keys.is(&record, unsafe { &place.entry().as_ref().key }) {
            return None;
        }
        if home.generation(slot) != self.changes.generation {
            self.first_touch(hash(), place);
        }
        Some(place.value())
    }

    /// Upserts if the first candidate at home is not the entry. Takes the record by value: otherwise each one would be
    /// written to the stack, for the sake of this one.
    #[inline(never)]
    fn upsert_otherwise<R: RunKeys<K>>(
        &mut self,
        keys: &R,
        record: R::Record,
        (hash, home): (KeyHash, Group<K, V>),
        first: impl FnOnce(&R::Record) -> V,
    ) -> (NonNull<V>, bool) {
        let tags = home.tags();
        if tags.matching(Tag::of(hash)).first().is_none() && !tags.overflows() {
            let entry = (keys.stored(&record), first(&record));
            return (self.insert_absent(hash, home, entry), true);
        }
        self.upsert_further(keys, record, hash, first)
    }

    /// Upserts where the entry may be anywhere.
    #[inline(never)]
    fn upsert_further<R: RunKeys<K>>(
        &mut self,
        keys: &R,
        record: R::Record,
        hash: KeyHash,
        first: impl FnOnce(&R::Record) -> V,
    ) -> (NonNull<V>, bool) {
        let is = |key: &K| keys.is(&record, key);
        let make = || (keys.stored(&record), first(&record));
        let (value, inserted) = self.find_or_insert_with(hash, is, make);
        (NonNull::from(value), inserted)
    }
}

/// The homes of the records from the one being upserted to the one being looked up, by the records' numbers, which count
/// modulo the room: cheaper than a check that they are in it.
struct Homes<K, V> {
    groups: [Cell<Group<K, V>>; ROOM],
    hashes: [Cell<KeyHash>; ROOM],
    /// The tags of the hashes, ready to be compared.
    tags: [Cell<Tag>; ROOM],
}

impl<K, V> Homes<K, V> {
    /// Every place gets some home, in case there are fewer hashes than records.
    #[inline(always)]
    fn new(directory: &Directory<K, V>) -> Self {
        let hash = KeyHash::default();
        let home = directory.home(hash);
        Homes {
            groups: array::from_fn(|_| Cell::new(home)),
            hashes: array::from_fn(|_| Cell::new(hash)),
            tags: array::from_fn(|_| Cell::new(Tag::of(hash))),
        }
    }

    /// Looks up the home of the record with this number and hash, and prefetches its cache lines.
    #[inline(always)]
    fn look(&self, (number, hash): (usize, KeyHash), directory: &Directory<K, V>, one_stage: bool) {
        let home = directory.home(hash);
        home.prefetch(one_stage);
        self.groups[number % ROOM].set(home);
        self.hashes[number % ROOM].set(hash);
        self.tags[number % ROOM].set(Tag::of(hash));
    }

    /// Looks all of them up again after the directory has changed its shape.
    #[cold]
    #[inline(never)]
    fn find_again(&self, directory: &Directory<K, V>) {
        for (group, hash) in self.groups.iter().zip(&self.hashes) {
            group.set(directory.home(hash.get()));
        }
    }

    #[inline(always)]
    fn group(&self, number: usize) -> Group<K, V> {
        self.groups[number % ROOM].get()
    }

    #[inline(always)]
    fn hash(&self, number: usize) -> KeyHash {
        self.hashes[number % ROOM].get()
    }

    #[inline(always)]
    fn tag(&self, number: usize) -> Tag {
        self.tags[number % ROOM].get()
    }
}
