//! Joins without windows compared with nested loops over both streams, at every parallelism, including text and
//! archives.

use proptest::prelude::*;
use thalweg::connectors::{Collected, Collection};
use thalweg::operator::Tumbling;
use thalweg::record::{Archived, Record};
use thalweg::time::{Monotonous, Timestamp, nanoseconds};

use crate::schedule::{Schedule, sorted};

type Pair = [u64; 2];
type Joined = [u64; 3];

fn joined(schedule: Schedule, lefts: &[Pair], rights: &[Pair]) -> Vec<Joined> {
    let env = schedule.environment();
    let results = Collected::new();
    let rights = env.source("rights", Collection::of(rights.to_vec()));
    env.source("lefts", Collection::of(lefts.to_vec()))
        .key_by(|left| left[0])
        .join(rights.key_by(|right| right[0]))
        .unbounded()
        .apply(|left, right| [left[0], left[1], right[1]])
        .sink("joined", results.sink());
    schedule.run(&env);
    sorted(results.take())
}

fn oracle(lefts: &[Pair], rights: &[Pair]) -> Vec<Joined> {
    let partners = |left: &Pair| {
        let [key, number] = *left;
        let rights = rights.iter().filter(move |right| right[0] == key);
        rights.map(move |right| [key, number, right[1]])
    };
    sorted(lefts.iter().flat_map(partners))
}

fn pairs() -> impl Strategy<Value = Vec<Pair>> {
    prop::collection::vec(
        (0..12_u64, 0..1_000_u64).prop_map(|(key, n)| [key, n]),
        0..60,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn equal_keys_meet_once(lefts in pairs(), rights in pairs()) {
        let expected = oracle(&lefts, &rights);
        for schedule in Schedule::some() {
            prop_assert_eq!(joined(schedule, &lefts, &rights), expected.clone(), "{:?}", schedule);
        }
    }
}

#[test]
fn equal_keys_meet_once_under_every_schedule() {
    // The key 7 is in a third of the records: each of them has more matches than may be emitted at once.
    let key = |n: u64| if n.is_multiple_of(3) { 7 } else { n % 200 };
    let lefts: Vec<Pair> = (0..900).map(|n| [key(n), n]).collect();
    let rights: Vec<Pair> = (0..600).map(|n| [key(n + 1), 1_000 + n]).collect();
    let expected = oracle(&lefts, &rights);
    for schedule in Schedule::all() {
        assert!(
            joined(schedule, &lefts, &rights) == expected,
            "{schedule:?}"
        );
    }
    assert!(joined(Schedule::threads(2), &lefts, &[]).is_empty());
}

#[test]
fn records_that_are_made_while_pairs_are_emitted_meet_too() {
    // One record becomes many upstream of the join, each with more matches than may be emitted at once.
    let rights: Vec<Pair> = (0..700).map(|n| [7, n]).collect();
    let lefts: Vec<Pair> = (0..150).map(|n| [7, n]).collect();
    let expected = oracle(&lefts, &rights);
    for schedule in Schedule::some() {
        let env = schedule.environment();
        let results = Collected::new();
        let rights = env.source("rights", Collection::of(rights.clone()));
        env.source("lefts", Collection::of([0_u64, 75]))
            .flat_map(|first| (*first..first + 75).map(|n| [7, n]))
            .key_by(|left| left[0])
            .join(rights.key_by(|right| right[0]))
            .unbounded()
            .apply(|left, right| [left[0], left[1], right[1]])
            .sink("joined", results.sink());
        schedule.run(&env);
        assert!(sorted(results.take()) == expected, "{schedule:?}");
    }
}

#[derive(Clone, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Order {
    customer: String,
    at: i64,
    comment: Option<String>,
}

impl Record for Order {
    type Form = Archived;
}

#[test]
fn text_and_archives_join_with_and_without_windows() {
    let names = [
        "ann",
        "ben",
        "a name that is too long to be kept inline",
        "",
    ];
    let order = |n: usize| Order {
        customer: names[n % 3].to_owned(),
        at: n as i64,
        comment: n.is_multiple_of(2).then(|| "x".repeat(n * 7)),
    };
    let orders: Vec<Order> = (0..200).map(order).collect();
    let words: Vec<String> = (0..40).map(|n| names[n % 4].to_owned()).collect();
    for schedule in [
        Schedule::threads(1),
        Schedule::threads(2),
        Schedule::steps(3, 5, 3),
    ] {
        let env = schedule.environment();
        let (windowed, unbounded) = (Collected::new(), Collected::new());
        let streams = || {
            let orders = env
                .source("orders", Collection::of(orders.clone()))
                .timestamps(Monotonous, |order: &Order| Timestamp(order.at));
            let words = env
                .source("words", Collection::of(words.clone()))
                .timestamps(Monotonous, |_| Timestamp(17));
            let orders = orders.key_by_ref(|order| order.customer.as_str());
            orders.join(words.key_by_ref(|word| word))
        };
        streams()
            .window(Tumbling::of(nanoseconds(100)))
            .apply(|order, word, _| (order.at.to_native(), word.len() as u64))
            .sink("windowed", windowed.sink());
        streams()
            .unbounded()
            .apply(|order, word| {
                let comment = order.comment.as_ref().map_or(0, |comment| comment.len());
                (order.at.to_native(), word.len() as u64, comment as u64)
            })
            .sink("unbounded", unbounded.sink());
        schedule.run(&env);
        // Every name occurs ten times among the words.
        let of_order = |at: i64| (at, names[at as usize % 3].len() as u64);
        let expected = (0..1_000).map(|n| of_order(n / 10));
        assert_eq!(sorted(windowed.take()), sorted(expected), "{schedule:?}");
        let unbounded = unbounded.take();
        assert_eq!(unbounded.len(), 2_000, "{schedule:?}");
        let comment = |at: i64| if at % 2 == 0 { at as u64 * 7 } else { 0 };
        assert!(
            unbounded
                .iter()
                .all(|(at, _, length)| *length == comment(*at))
        );
    }
}
