//! The table against a plain map: contents, drops, order, and what each freeze must hand out.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use proptest::prelude::*;

use super::{Drained, EncodeChange, Extent, RunKeys, Table, TableKey, TableOptions};
use crate::record::KeyHash;

/// How the keys of one run are distributed: evenly, or as badly as a hash can.
#[derive(Debug, Clone, Copy)]
enum Spread {
    Even,
    /// Four hashes in all, whose groups and tags are the same.
    FourHashes,
    /// Everything in one segment's group range, tags all equal.
    TopBitsOnly,
    /// Nothing in the top bits: no split can help.
    LowBitsOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    id: u16,
    spread: u8,
}

impl TableKey for Key {
    fn key_hash(&self) -> KeyHash {
        let even = KeyHash::of_u64(u64::from(self.id));
        match self.spread {
            0 => even,
            1 => KeyHash(u64::from(self.id) << 62),
            2 => KeyHash(even.0 & !0 << 48),
            _ => KeyHash(even.0 & 0xffff_ffff),
        }
    }
}

/// Counts its copies. With its key it takes 16 bytes and `BULK` times eight.
#[repr(C, packed(4))]
struct Value<const BULK: usize> {
    number: u32,
    _bulk: [u64; BULK],
    _alive: Rc<()>,
}

#[derive(Debug, Clone)]
enum Step {
    Upsert {
        first: u16,
        count: u16,
        number: u32,
    },
    /// Takes `wanted` records, and looks all of them up ahead.
    UpsertRun {
        ids: Vec<u16>,
        wanted: usize,
        number: u32,
    },
    Change(u16, u32),
    Remove {
        first: u16,
        count: u16,
    },
    Freeze {
        whole: bool,
    },
    ExpectWhole,
    DrainFrozen(usize),
    Retain(u32),
    Clear,
}

fn encode<const BULK: usize>() -> EncodeChange<Key, Value<BULK>> {
    EncodeChange {
        set: |entries, out| {
            for (key, value) in entries {
                out.extend(key.id.to_le_bytes());
                out.extend(value.number.to_le_bytes());
            }
        },
        removed: |key, out| out.extend(key.id.to_le_bytes()),
    }
}

/// Keys by number, distributed like this.
struct Ids(u8);

impl RunKeys<Key> for Ids {
    type Record = u16;

    fn hash(&self, id: &u16) -> KeyHash {
        self.stored(id).key_hash()
    }

    fn is(&self, id: &u16, key: &Key) -> bool {
        self.stored(id) == *key
    }

    fn stored(&self, id: &u16) -> Key {
        Key {
            id: *id,
            spread: self.0,
        }
    }
}

/// What a frozen generation must contain, the keys it owes, and what was drained so far.
type Frozen = (Extent, HashMap<u16, u32>, HashSet<u16>, Drained);

struct Model<const BULK: usize> {
    spread: u8,
    table: Table<Key, Value<BULK>>,
    alive: Rc<()>,
    map: HashMap<u16, u32>,
    /// Keys inserted or changed since the last freeze.
    changed: HashSet<u16>,
    /// More may count as changed: the next freeze was announced to be of the whole table.
    expects_whole: bool,
    /// What may be drained although it is not owed.
    may_come: HashSet<u16>,
    frozen: Option<Frozen>,
    /// What a reader of all generations so far knows.
    replica: HashMap<u16, u32>,
}

impl<const BULK: usize> Model<BULK> {
    fn new(spread: Spread) -> Self {
        Model {
            spread: spread as u8,
            table: Table::new(TableOptions {
                changes: Some(encode()),
                ..TableOptions::default()
            }),
            alive: Rc::new(()),
            map: HashMap::new(),
            changed: HashSet::new(),
            expects_whole: false,
            may_come: HashSet::new(),
            frozen: None,
            replica: HashMap::new(),
        }
    }

    fn key(&self, id: u16) -> Key {
        Key {
            id,
            spread: self.spread,
        }
    }

    fn value(&self, number: u32) -> Value<BULK> {
        Value {
            number,
            _bulk: [0; BULK],
            _alive: Rc::clone(&self.alive),
        }
    }

    fn upsert(&mut self, id: u16, number: u32) {
        let key = self.key(id);
        let first = self.value(number);
        let make = || (key, first);
        let (value, inserted) = self
            .table
            .find_or_insert_with(key.key_hash(), |k| *k == key, make);
        value.number = number;
        assert_eq!(inserted, self.map.insert(id, number).is_none());
        self.changed.insert(id);
    }

    fn upsert_run(&mut self, ids: &[u16], wanted: usize, number: u32) {
        let (keys, alive) = (Ids(self.spread), Rc::clone(&self.alive));
        let (map, changed) = (&mut self.map, &mut self.changed);
        let first = |_: &mut usize, _: &u16| Value {
            number,
            _bulk: [0; BULK],
            _alive: Rc::clone(&alive),
        };
        let each = |left: &mut usize, id, (value, inserted): (&mut Value<BULK>, bool)| {
            value.number = number;
            assert_eq!(inserted, map.insert(id, number).is_none());
            changed.insert(id);
            *left = left.saturating_sub(1);
            *left > 0
        };
        let context = (&keys, &mut { wanted });
        let taken = if number.is_multiple_of(2) {
            let records = |numbers: Range<usize>| ids[numbers].iter().copied();
            let records = (records, ids.len());
            (self.table).upsert_looking_ahead(context, records, records, first, each)
        } else {
            let mut records = ids.iter().copied();
            (self.table).upsert_run(context, &mut records, first, each);
            ids.len() - records.len()
        };
        assert_eq!(taken, wanted.clamp(1, ids.len()));
    }

    fn remove(&mut self, id: u16) {
        let key = self.key(id);
        let removed = self.table.remove(key.key_hash(), |k| *k == key);
        assert_eq!(
            removed.map(|(k, v)| (k.id, v.number)),
            self.map.remove(&id).map(|n| (id, n))
        );
        self.changed.remove(&id);
    }

    /// What a checkpoint records: an entry, or that there is none.
    fn restore(&mut self, id: u16, number: Option<u32>) {
        let key = self.key(id);
        match number {
            Some(number) => {
                let value = self.value(number);
                self.table.restore_entry(key.key_hash(), key, value);
                self.map.insert(id, number);
            }
            None => {
                let removed = self.table.restore_removal(key.key_hash(), |k| *k == key);
                assert_eq!(removed, self.map.remove(&id).is_some());
            }
        }
        self.replica.clone_from(&self.map);
    }

    fn change(&mut self, id: u16, number: u32) {
        let key = self.key(id);
        let found = self.table.get_mut(key.key_hash(), |k| *k == key);
        assert_eq!(
            found.as_ref().map(|value| value.number),
            self.map.get(&id).copied()
        );
        if let Some(value) = found {
            value.number = number;
            self.map.insert(id, number);
            self.changed.insert(id);
        }
    }

    fn freeze(&mut self, extent: Extent) {
        if self.frozen.is_none() {
            self.table.freeze(extent);
            let mut owed = std::mem::take(&mut self.changed);
            let others = self.map.keys().copied().filter(|id| !owed.contains(id));
            let others: HashSet<u16> = others.collect();
            self.may_come.clear();
            if extent == Extent::Whole {
                owed.extend(others);
            } else if self.expects_whole {
                // Every entry may come, changed or not; none may come twice, or differ from what it was.
                self.may_come = others;
            }
            self.expects_whole = false;
            self.frozen = Some((extent, self.map.clone(), owed, Drained::default()));
        }
    }

    fn drain_frozen(&mut self, budget: usize) {
        let Some((extent, at_freeze, owed, drained)) = &mut self.frozen else {
            let mut nothing = Drained::default();
            assert!(self.table.drain_frozen(budget, &mut nothing) && nothing.is_empty());
            return;
        };
        if !self.table.drain_frozen(budget, drained) {
            return;
        }
        if *extent == Extent::Whole {
            self.replica.clear();
            assert_eq!(drained.removed_count, 0);
        }
        assert_eq!(drained.removed.len() as u64, 2 * drained.removed_count);
        let set = drained.set.to_bytes();
        assert_eq!(set.len() as u64, 6 * drained.set.count());
        for key in drained.removed.chunks(2) {
            let id = u16::from_le_bytes(key.try_into().unwrap());
            self.replica.remove(&id);
        }
        for entry in set.chunks(6) {
            let id = u16::from_le_bytes([entry[0], entry[1]]);
            let may_come = owed.remove(&id) || self.may_come.remove(&id);
            assert!(may_come, "{id} was not owed, or came twice");
            self.replica
                .insert(id, u32::from_le_bytes(entry[2..6].try_into().unwrap()));
        }
        assert!(owed.is_empty(), "never handed out: {owed:?}");
        assert_eq!(self.replica, *at_freeze);
        self.frozen = None;
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Upsert {
                first,
                count,
                number,
            } => {
                (first..first + count).for_each(|id| self.upsert(id, number + u32::from(id)));
            }
            Step::UpsertRun {
                ids,
                wanted,
                number,
            } => self.upsert_run(&ids, wanted, number),
            Step::Change(id, number) => self.change(id, number),
            Step::Remove { first, count } => (first..first + count).for_each(|id| self.remove(id)),
            Step::Freeze { whole: true } => self.freeze(Extent::Whole),
            Step::Freeze { whole: false } => self.freeze(Extent::Changes),
            Step::ExpectWhole => {
                self.table.expect_whole();
                self.expects_whole = true;
            }
            Step::DrainFrozen(budget) => self.drain_frozen(budget),
            Step::Retain(divisor) => {
                self.table.retain(|_, value| value.number % divisor == 0);
                self.map.retain(|_, number| *number % divisor == 0);
                self.changed.retain(|id| self.map.contains_key(id));
            }
            Step::Clear => {
                self.table.clear();
                self.map.clear();
                self.changed.clear();
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.table.len(), self.map.len());
        assert_eq!(self.table.is_empty(), self.map.is_empty());
        assert_eq!(Rc::strong_count(&self.alive), self.map.len() + 1);
        let listed: HashMap<u16, u32> = self.table.iter().map(|(k, v)| (k.id, v.number)).collect();
        assert_eq!(listed, self.map);
        for id in 0..2 * UNIVERSE {
            let key = self.key(id);
            let found = self.table.get(key.key_hash(), |k| *k == key);
            assert_eq!(found.map(|value| value.number), self.map.get(&id).copied());
        }
    }
}

const UNIVERSE: u16 = if cfg!(miri) { 160 } else { 1200 };
const RUN: u16 = UNIVERSE / 4;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0..UNIVERSE - RUN;
    let step = prop_oneof![
        6 => (id.clone(), 1..RUN, 0..50u32)
            .prop_map(|(first, count, number)| Step::Upsert { first, count, number }),
        6 => (prop::collection::vec(id.clone(), 1..2 * RUN as usize), 0..3 * RUN as usize, 0..50u32)
            .prop_map(|(ids, wanted, number)| Step::UpsertRun { ids, wanted, number }),
        6 => (id.clone(), 0..50u32).prop_map(|(id, number)| Step::Change(id, number)),
        3 => (id, 1..RUN).prop_map(|(first, count)| Step::Remove { first, count }),
        4 => any::<bool>().prop_map(|whole| Step::Freeze { whole }),
        2 => Just(Step::ExpectWhole),
        8 => (1..400usize).prop_map(Step::DrainFrozen),
        1 => (2..5u32).prop_map(Step::Retain),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 12 } else { 60 })
}

/// The contents of a checkpoint, in pieces: later ones win.
type Pieces = Vec<(u16, u16, Option<u32>)>;

fn pieces() -> impl Strategy<Value = Pieces> {
    let number = prop::option::weighted(0.7, 0..50u32);
    prop::collection::vec((0..UNIVERSE - RUN, 1..RUN, number), 0..4)
}

fn spreads() -> impl Strategy<Value = Spread> {
    prop_oneof![
        3 => Just(Spread::Even),
        1 => Just(Spread::FourHashes),
        1 => Just(Spread::TopBitsOnly),
        1 => Just(Spread::LowBitsOnly),
    ]
}

/// Takes a table of such values and its model through the steps.
fn check_steps<const BULK: usize>(spread: Spread, pieces: &Pieces, steps: &[Step]) {
    let mut model = Model::<BULK>::new(spread);
    for (first, count, number) in pieces {
        (*first..first + count).for_each(|id| model.restore(id, *number));
    }
    for step in steps {
        model.step(step.clone());
    }
    model.check();
    model.drain_frozen(usize::MAX);
    model.freeze(Extent::Changes);
    model.drain_frozen(usize::MAX);
    model.check();
    let alive = Rc::clone(&model.alive);
    drop(model);
    assert_eq!(Rc::strong_count(&alive), 1);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 64 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn table_behaves_like_a_map_and_generations_are_exact(
        spread in spreads(),
        pieces in pieces(),
        steps in steps(),
    ) {
        // Groups of one line, of two with four and with three slots, and of many with seven: these are so large that
        // segments have few and split early.
        check_steps::<0>(spread, &pieces, &steps);
        check_steps::<1>(spread, &pieces, &steps);
        check_steps::<2>(spread, &pieces, &steps);
        check_steps::<40>(spread, &pieces, &steps);
    }
}
