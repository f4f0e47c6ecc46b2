//! Looking up or inserting the keys of records that follow one another.
//!
//! What an upsert costs beside waiting for memory is the way to its group: directory, segment, group. For records that
//! are known ahead that way is gone once, where the group's cache line is asked for, and the group remembered until the
//! record's turn comes. What the way takes stays in registers for the length of the loop, which it could not if the
//! loop were the caller's: to the compiler, whatever is called in between might change the table.
//!
//! ```text
//! records   … upserted ── second line of the group ──────── first line of the group …
//!             i           i + 12                            i + 48
//! ```

#![expect(
    unsafe_code,
    reason = "remembers groups as long as the table's shape stays"
)]

use std::ptr::NonNull;

use super::group::Tag;
use super::key::TableKey;
use super::keyed::{Lookahead, Table};
use super::layout::{Group, Place};
use super::way::Way;
use crate::record::KeyHash;

/// How far ahead groups are looked for.
const FAR: usize = Lookahead::Far.distance();
/// How far ahead the other lines of groups are asked for.
const NEAR: usize = Lookahead::Near.distance();
/// A power of two above that.
const ROOM: usize = 64;

const _: () = assert!(NEAR < FAR && FAR < ROOM);

/// What the keys of records are.
pub trait RunKeys<K> {
    /// A record, or what leads to it.
    type Record: Copy;

    /// The hash of its key.
    fn hash(&self, record: &Self::Record) -> KeyHash;

    /// Whether this is its key.
    fn is(&self, record: &Self::Record, key: &K) -> bool;

    /// Its key, to be kept.
    fn stored(&self, record: &Self::Record) -> K;
}

impl<K: TableKey, V> Table<K, V> {
    /// Finds the value of each record's key, or inserts what `first` gives, and calls `each` with it and whether it was
    /// inserted, until that says `false`; what `each` is called with counts as changed. Both are given `context`. Says how
    /// many records were taken.
    #[inline(always)]
    pub fn upsert_run<R: RunKeys<K>, C>(
        &mut self,
        (keys, context): (&R, &mut C),
        records: impl Iterator<Item = R::Record>,
        mut first: impl FnMut(&mut C, &R::Record) -> V,
        mut each: impl FnMut(&mut C, R::Record, (&mut V, bool)) -> bool,
    ) -> usize {
        let mut way = self.directory.way();
        let mut taken = 0;
        for record in records {
            taken += 1;
            let hash = keys.hash(&record);
            // SAFETY: the way is that of the directory as it is now.
            let home = unsafe { way.home(hash) };
            let found = self.find_at_home(keys, record, (hash, home));
            let (mut value, inserted) = match found {
                Some(value) => (value, false),
                None => {
                    let first = |record: &_| first(context, record);
                    let upserted = self.upsert_otherwise(keys, record, (hash, home), first);
                    way = self.directory.way();
                    upserted
                }
            };
            // SAFETY: the entry was just found or written; it stays while the table is borrowed.
            if !each(context, record, (unsafe { value.as_mut() }, inserted)) {
                break;
            }
        }
        taken
    }

    /// As [`upsert_run`](Self::upsert_run), for large tables: of `wanted` records by number, where the hashes of `known`
    /// ones can be had: of these, and perhaps of some behind them.
    ///
    /// By number, because two iterators take more registers than the loop has.
    #[inline(always)]
    pub fn upsert_looking_ahead<R: RunKeys<K>, C>(
        &mut self,
        (keys, context): (&R, &mut C),
        (record_at, wanted): (impl Fn(usize) -> R::Record, usize),
        (hash_at, known): (impl Fn(usize) -> KeyHash, usize),
        mut first: impl FnMut(&mut C, &R::Record) -> V,
        mut each: impl FnMut(&mut C, R::Record, (&mut V, bool)) -> bool,
    ) -> usize {
        let one_stage = self.directory.one_stage();
        let mut way = self.directory.way();
        // SAFETY: the way is that of the directory as it is now.
        let mut ahead = unsafe { Ahead::new(&way) };
        for index in 0..FAR.min(known) {
            // SAFETY: as above.
            unsafe { ahead.look(index, hash_at(index), &way, one_stage) };
        }
        let mut taken = 0;
        while taken < wanted {
            if taken + FAR < known {
                // SAFETY: as above.
                unsafe { ahead.look(taken + FAR, hash_at(taken + FAR), &way, one_stage) };
            }
            let record = record_at(taken);
            if !one_stage {
                self.directory.prefetch_entry(ahead.at(taken + NEAR).1);
            }
            let (home, hash) = ahead.at(taken);
            taken += 1;
            let found = self.find_at_home(keys, record, (hash, home));
            let (mut value, inserted) = match found {
                Some(value) => (value, false),
                None => {
                    let shape = self.directory.shape();
                    let first = |record: &_| first(context, record);
                    let upserted = self.upsert_otherwise(keys, record, (hash, home), first);
                    if self.directory.shape() != shape {
                        way = self.directory.way();
                        // SAFETY: as above.
                        unsafe { ahead.find_again(&way) };
                    }
                    upserted
                }
            };
            // SAFETY: the entry was just found or written; it stays while the table is borrowed.
            if !each(context, record, (unsafe { value.as_mut() }, inserted)) {
                break;
            }
        }
        taken
    }

    /// An entry changes that has not done so yet in this generation.
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
        (hash, home): (KeyHash, Group<K, V>),
    ) -> Option<NonNull<V>> {
        let slot = home.tags().matching(Tag::of(hash)).first()?;
        let place = Place { group: home, slot };
        // SAFETY: `matching` yields occupied slots only, and those hold an entry.
        if !keys.is(&record, unsafe { &place.entry().as_ref().key }) {
            return None;
        }
        if home.generation(slot) != self.changes.generation {
            self.first_touch(hash, place);
        }
        Some(place.value())
    }

    /// Upserts where the first candidate at home is not the entry. Takes the record by value: otherwise every one would
    /// be written to the stack, for the sake of this one.
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

/// The homes of the records between the one that is looked at and the one that is upserted, by number.
struct Ahead<K, V>([(Group<K, V>, KeyHash); ROOM]);

impl<K, V> Ahead<K, V> {
    /// # Safety
    /// The way is that of the directory as it is now.
    #[inline(always)]
    unsafe fn new(way: &Way<K, V>) -> Self {
        let hash = KeyHash::default();
        // SAFETY: as the caller promises. Some home stands everywhere, should there be fewer hashes than records.
        Ahead([(unsafe { way.home(hash) }, hash); ROOM])
    }

    /// Looks for the home of the record of number `index`, and asks for its cache line.
    ///
    /// # Safety
    /// The way is that of the directory as it is now.
    #[inline(always)]
    unsafe fn look(&mut self, index: usize, hash: KeyHash, way: &Way<K, V>, one_stage: bool) {
        // SAFETY: as the caller promises.
        let home = unsafe { way.home(hash) };
        home.prefetch(one_stage);
        self.0[index % ROOM] = (home, hash);
    }

    /// Looks for all of them again.
    ///
    /// # Safety
    /// The way is that of the directory as it is now.
    #[cold]
    #[inline(never)]
    unsafe fn find_again(&mut self, way: &Way<K, V>) {
        for (home, hash) in &mut self.0 {
            // SAFETY: as the caller promises; any hash has a home.
            *home = unsafe { way.home(*hash) };
        }
    }

    #[inline(always)]
    fn at(&self, index: usize) -> (Group<K, V>, KeyHash) {
        self.0[index % ROOM]
    }
}
