//! What handles can do, for every kind of state, and that they reach the current key only.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;
use crate::record::{KeyGroupAssignment, MaxParallelism};
use crate::state::{Count, Sum};

/// A scope that is moved from key to key by hand.
struct At<'a> {
    key: &'a str,
    hasher: KeyHasher,
    backend: KeyedBackend<str>,
}

impl KeyedScope for At<'_> {
    type Key = str;

    fn scope(&self) -> Scope<'_, str> {
        Scope::new(self.key, self.hasher.hash(self.key), &self.backend)
    }

    fn scope_mut(&mut self) -> ScopeMut<'_, str> {
        let hash = self.hasher.hash(self.key);
        ScopeMut::new(self.key, hash, &mut self.backend)
    }
}

fn at_key_a() -> At<'static> {
    let groups = MaxParallelism::default_for(1);
    let hasher = KeyHasher::new(KeyGroupAssignment::Flink, groups);
    At {
        key: "a",
        hasher,
        backend: KeyedBackend::new(hasher),
    }
}

/// How many keys each state holds, in the order of registration.
fn lengths(cx: &At<'_>) -> Vec<usize> {
    cx.backend.tables().map(|table| table.len()).collect()
}

#[test]
fn value_is_of_the_current_key_only() {
    let mut cx = at_key_a();
    let count = cx.backend.value_state::<u64>("count").unwrap();
    assert_eq!(count.get(&cx), None);
    count.set(&mut cx, 5);
    count.set(&mut cx, 6);
    cx.key = "b";
    assert_eq!(count.value(&cx), None);
    assert_eq!(
        count.update(&mut cx, |count| *count + 1),
        1,
        "from the default"
    );
    count.clear(&mut cx);
    assert_eq!(count.value(&cx), None);
    cx.key = "a";
    assert_eq!(count.value(&cx), Some(6));
    count.update(&mut cx, |count| *count *= 2);
    assert_eq!(count.get(&cx), Some(&12));
    assert_eq!(lengths(&cx), [1]);
}

#[test]
fn list_keeps_the_order_of_addition() {
    let mut cx = at_key_a();
    let seen = cx.backend.list_state::<u32>("seen").unwrap();
    assert!(seen.get(&cx).is_empty());
    seen.add_all(&mut cx, []);
    assert_eq!(lengths(&cx), [0], "nothing is kept for nothing");
    seen.add(&mut cx, 3);
    seen.add_all(&mut cx, [1, 2]);
    assert_eq!(seen.get(&cx), [3, 1, 2]);
    cx.key = "b";
    assert!(seen.get(&cx).is_empty());
    seen.replace(&mut cx, vec![9]);
    assert_eq!(seen.get(&cx), [9]);
    seen.replace(&mut cx, vec![]);
    assert_eq!(lengths(&cx), [1]);
    cx.key = "a";
    seen.clear(&mut cx);
    assert!(seen.get(&cx).is_empty());
    assert_eq!(lengths(&cx), [0]);
}

#[test]
fn map_is_ordered_by_its_keys_and_goes_with_its_last_entry() {
    let mut cx = at_key_a();
    let prices = cx.backend.map_state::<String, u32>("prices").unwrap();
    assert!(prices.is_empty(&cx));
    for (name, price) in [("pear", 2), ("apple", 3), ("fig", 1)] {
        assert_eq!(prices.put(&mut cx, name.to_owned(), price), None);
    }
    assert_eq!(prices.put(&mut cx, "fig".to_owned(), 4), Some(1));
    assert_eq!(prices.get(&cx, "fig"), Some(&4));
    assert!(prices.contains(&cx, "pear") && !prices.contains(&cx, "plum"));
    let entries: Vec<_> = prices
        .iter(&cx)
        .map(|(name, price)| (name.as_str(), *price))
        .collect();
    assert_eq!(entries, [("apple", 3), ("fig", 4), ("pear", 2)]);
    cx.key = "b";
    assert!(prices.is_empty(&cx) && prices.iter(&cx).next().is_none());
    assert_eq!(prices.remove(&mut cx, "fig"), None);
    cx.key = "a";
    for name in ["apple", "fig", "pear"] {
        assert!(prices.remove(&mut cx, name).is_some());
    }
    assert!(prices.is_empty(&cx));
    assert_eq!(lengths(&cx), [0]);
    prices.put(&mut cx, "fig".to_owned(), 1);
    prices.clear(&mut cx);
    assert!(prices.is_empty(&cx));
}

#[test]
fn values_of_a_map_are_changed_in_place() {
    let mut cx = at_key_a();
    let stock = cx.backend.map_state::<String, u32>("stock").unwrap();
    stock.put_all(&mut cx, []);
    assert_eq!(stock.get_mut(&mut cx, "fig"), None);
    assert_eq!(lengths(&cx), [0], "nothing is kept for nothing");
    stock.put_all(&mut cx, [("pear".to_owned(), 2), ("fig".to_owned(), 1)]);
    let more = |count: &mut u32| {
        *count += 5;
        *count
    };
    assert_eq!(stock.update(&mut cx, "fig".to_owned(), more), 6);
    assert_eq!(stock.update(&mut cx, "apple".to_owned(), more), 5);
    *stock.get_mut(&mut cx, "pear").unwrap() -= 1;
    assert!(stock.keys(&cx).eq(["apple", "fig", "pear"]));
    assert!(stock.values(&cx).eq(&[5, 6, 1]));
    cx.key = "b";
    assert_eq!(stock.get_mut(&mut cx, "pear"), None);
    assert!(stock.keys(&cx).next().is_none() && stock.values(&cx).next().is_none());
}

#[test]
fn reducing_and_aggregating_state_combine_what_is_added() {
    let mut cx = at_key_a();
    let max = cx
        .backend
        .reducing_state("max", |a: &i64, b: &i64| *a.max(b))
        .unwrap();
    let both = (Count, Sum::of(|v: &i64| *v));
    let both = cx
        .backend
        .aggregating_state::<i64, _>("both", both)
        .unwrap();
    assert_eq!((max.get(&cx), both.get(&cx)), (None, None));
    for v in [3, 7, 5] {
        max.add(&mut cx, v);
        both.add(&mut cx, &v);
    }
    assert_eq!((max.get(&cx), both.get(&cx)), (Some(&7), Some((3, 15))));
    cx.key = "b";
    assert_eq!((max.get(&cx), both.get(&cx)), (None, None));
    cx.key = "a";
    max.clear(&mut cx);
    both.clear(&mut cx);
    assert_eq!((max.get(&cx), both.get(&cx)), (None, None));
    assert_eq!(lengths(&cx), [0, 0]);
}

#[test]
fn same_registration_gives_the_same_state_and_another_type_is_refused() {
    let mut cx = at_key_a();
    let one = cx.backend.value_state::<u64>("count").unwrap();
    let other = cx.backend.value_state::<u64>("count").unwrap();
    one.set(&mut cx, 5);
    assert_eq!(other.value(&cx), Some(5));
    let error = cx.backend.value_state::<i64>("count").unwrap_err();
    let expected = "state `count` is registered as value state of `u64` and cannot be value state \
                    of `i64` as well";
    assert_eq!(error.to_string(), expected);
    let error = cx
        .backend
        .reducing_state("count", |a: &u64, _: &u64| *a)
        .unwrap_err();
    let is_told = matches!(
        error,
        StateError::TypeConflict {
            requested_kind: StateKind::Reducing,
            ..
        }
    );
    assert!(is_told, "{error}");
    assert_eq!(lengths(&cx), [1]);
}

#[test]
#[should_panic(expected = "did not register")]
fn default_handle_is_registered_nowhere() {
    let cx = at_key_a();
    let _ = ValueState::<u64>::default().get(&cx);
}

#[test]
#[should_panic(expected = "did not register")]
fn handle_of_another_operator_is_refused() {
    let mut other = KeyedBackend::<str>::new(KeyHasher::default());
    let foreign = other.value_state::<i8>("count").unwrap();
    let mut cx = at_key_a();
    cx.backend.value_state::<u64>("count").unwrap();
    let _ = foreign.get(&cx);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

    #[test]
    fn states_of_many_keys_are_plain_maps(
        steps in prop::collection::vec((0u8..6, 0u8..40, 0u8..8), 0..400),
    ) {
        let names: Vec<String> = (0..40).map(|n| format!("key {n}")).collect();
        let mut cx = at_key_a();
        let value = cx.backend.value_state::<u8>("value").unwrap();
        let list = cx.backend.list_state::<u8>("list").unwrap();
        let map = cx.backend.map_state::<u8, u8>("map").unwrap();
        type Kept = (Option<u8>, Vec<u8>, BTreeMap<u8, u8>);
        let mut oracle: HashMap<u8, Kept> = HashMap::new();
        for (step, key, number) in steps {
            cx.key = &names[usize::from(key)];
            let kept = oracle.entry(key).or_default();
            match step {
                0 => {
                    value.set(&mut cx, number);
                    kept.0 = Some(number);
                }
                1 => {
                    value.clear(&mut cx);
                    kept.0 = None;
                }
                2 => {
                    list.add(&mut cx, number);
                    kept.1.push(number);
                }
                3 if number == 0 => {
                    list.clear(&mut cx);
                    kept.1.clear();
                }
                4 => prop_assert_eq!(map.put(&mut cx, number, key), kept.2.insert(number, key)),
                _ => prop_assert_eq!(map.remove(&mut cx, &number), kept.2.remove(&number)),
            }
        }
        for (key, kept) in &oracle {
            cx.key = &names[usize::from(*key)];
            prop_assert_eq!(value.value(&cx), kept.0);
            prop_assert_eq!(list.get(&cx), &kept.1[..]);
            prop_assert!(map.iter(&cx).eq(&kept.2));
        }
        let count = |has: fn(&Kept) -> bool| oracle.values().filter(|kept| has(kept)).count();
        let expected = [
            count(|kept| kept.0.is_some()),
            count(|kept| !kept.1.is_empty()),
            count(|kept| !kept.2.is_empty()),
        ];
        prop_assert_eq!(lengths(&cx), expected);
    }
}
