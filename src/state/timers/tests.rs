//! The queue's rules, and the queue against an ordered set.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::record::KeyHash;
use crate::time::Timestamp;
use proptest::prelude::*;

type Queue = TimerQueue<u64, u8>;

fn hash(key: u64) -> KeyHash {
    KeyHash::of_u64(key)
}

fn register(queue: &mut Queue, key: u64, at: i64) -> bool {
    queue.register(hash(key), key, 0, Timestamp(at))
}

fn delete(queue: &mut Queue, key: u64, at: i64) -> bool {
    queue.delete(hash(key), &key, 0, Timestamp(at))
}

fn pop(queue: &mut Queue, watermark: i64) -> Option<(i64, u64)> {
    let timer = queue.pop_due(Timestamp(watermark))?;
    Some((timer.at.0, timer.key))
}

#[test]
fn timer_registered_twice_fires_once() {
    let mut queue = Queue::new();
    assert!(register(&mut queue, 1, 10));
    assert!(!register(&mut queue, 1, 10));
    assert!(queue.register(hash(1), 1, 9, Timestamp(10)), "a namespace");
    assert!(register(&mut queue, 1, 11), "another time");
    assert!(register(&mut queue, 2, 10), "another key");
    assert_eq!(queue.len(), 4);
    let fired = std::iter::from_fn(|| queue.pop_due(Timestamp(20)));
    assert_eq!(fired.count(), 4);
    assert!(queue.is_empty());
    assert!(
        register(&mut queue, 1, 10),
        "it may come again after firing"
    );
}

#[test]
fn deleting_an_absent_timer_is_nothing() {
    let mut queue = Queue::new();
    assert!(!delete(&mut queue, 1, 10));
    register(&mut queue, 1, 10);
    assert!(!delete(&mut queue, 1, 11));
    assert!(delete(&mut queue, 1, 10));
    assert!(!delete(&mut queue, 1, 10));
    assert_eq!((queue.len(), queue.peek()), (0, None));
    assert_eq!(pop(&mut queue, i64::MAX), None);
}

#[test]
fn keys_of_one_hash_are_told_apart() {
    let mut queue = Queue::new();
    for key in 0..100 {
        assert!(queue.register(KeyHash(7), key, 0, Timestamp(5)));
    }
    assert!(queue.delete(KeyHash(7), &50, 0, Timestamp(5)));
    assert_eq!(queue.len(), 99);
    let fired: BTreeSet<u64> = std::iter::from_fn(|| pop(&mut queue, 5))
        .map(|(_, key)| key)
        .collect();
    assert_eq!(fired.len(), 99);
    assert!(!fired.contains(&50));
}

#[test]
fn timers_fire_in_time_order_up_to_and_at_the_watermark() {
    let mut queue = Queue::new();
    let times = [i64::MAX, 30, -5, 10, 20, i64::MIN, 0];
    for (key, &at) in times.iter().enumerate() {
        register(&mut queue, key as u64, at);
    }
    assert_eq!(queue.peek(), Some(Timestamp::MIN));
    assert_eq!(pop(&mut queue, 20), Some((i64::MIN, 5)));
    assert_eq!(pop(&mut queue, 20), Some((-5, 2)));
    assert_eq!(pop(&mut queue, 20), Some((0, 6)));
    assert_eq!(pop(&mut queue, 20), Some((10, 3)));
    assert_eq!(pop(&mut queue, 19), None);
    assert_eq!(pop(&mut queue, 20), Some((20, 4)));
    assert_eq!(pop(&mut queue, 29), None);
    assert_eq!(queue.peek(), Some(Timestamp(30)));
    assert_eq!(pop(&mut queue, i64::MAX), Some((30, 1)));
    assert_eq!(pop(&mut queue, i64::MAX), Some((i64::MAX, 0)));
    assert_eq!(pop(&mut queue, i64::MAX), None);
}

#[test]
fn timer_registered_while_firing_fires_in_the_same_pass_in_its_place() {
    let mut queue = Queue::new();
    register(&mut queue, 1, 10);
    register(&mut queue, 2, 30);
    assert_eq!(pop(&mut queue, 30), Some((10, 1)));
    register(&mut queue, 3, 20);
    register(&mut queue, 4, 5);
    register(&mut queue, 5, 31);
    assert_eq!(pop(&mut queue, 30), Some((5, 4)));
    assert_eq!(pop(&mut queue, 30), Some((20, 3)));
    delete(&mut queue, 2, 30);
    assert_eq!(pop(&mut queue, 30), None, "deleted before its turn");
    assert_eq!(queue.peek(), Some(Timestamp(31)));
}

#[test]
fn churn_of_deleted_timers_does_not_pile_up() {
    let mut queue = Queue::new();
    for round in 0..200_000_i64 {
        let key = (round % 500) as u64;
        assert!(register(&mut queue, key, 1_000_000 + round));
        if round >= 500 {
            assert!(delete(&mut queue, key, 1_000_000 + round - 500));
        }
    }
    assert_eq!(queue.len(), 500);
    assert!(
        queue.entry_count() < 2_000,
        "{} entries",
        queue.entry_count()
    );
    let fired: Vec<_> = std::iter::from_fn(|| pop(&mut queue, i64::MAX)).collect();
    assert!(fired.is_sorted());
    assert_eq!(fired.len(), 500);
}

#[test]
fn churn_before_the_watermark_does_not_pile_up() {
    let mut queue = Queue::new();
    register(&mut queue, 1, 1_000);
    assert_eq!(pop(&mut queue, 1_000), Some((1_000, 1)));
    for _ in 0..10_000 {
        assert!(register(&mut queue, 1, 10));
        assert!(delete(&mut queue, 1, 10));
    }
    assert!(queue.entry_count() < 200);
}

#[test]
fn many_timers_at_many_scales_fire_in_order() {
    let mut queue = Queue::new();
    let mut state = 1_u64;
    let mut times = Vec::new();
    for key in 0..40_000 {
        state = hash(state).0;
        let at = (state >> (state % 64)) as i64;
        assert!(register(&mut queue, key, at));
        times.push(at);
    }
    times.sort_unstable();
    let mut fired = Vec::new();
    for watermark in [-1, 10, 1_000, 1_000_000_000, i64::MAX - 1, i64::MAX] {
        fired.extend(std::iter::from_fn(|| pop(&mut queue, watermark)).map(|(at, _)| at));
        assert!(fired.iter().all(|&at| at <= watermark));
    }
    assert_eq!(fired, times);
}

#[test]
fn timers_come_by_key_group_and_are_restored() {
    let mut queue = Queue::new();
    for key in 0..300 {
        register(&mut queue, key, (key % 7) as i64);
    }
    let group_of = |hash: KeyHash| (hash.0 >> 61) as usize;
    let groups = queue.by_key_group(8, group_of);
    let mut restored = Queue::new();
    for group in 0..8 {
        let timers = groups.group(group);
        assert!(!timers.is_empty());
        assert!(timers.iter().all(|timer| group_of(timer.hash) == group));
        restored.restore(timers.iter().map(|&timer| *timer));
    }
    let all = |queue: &Queue| queue.iter().map(|t| (t.at.0, t.key)).collect();
    let (before, after): (BTreeSet<_>, BTreeSet<_>) = (all(&queue), all(&restored));
    assert_eq!(before, after);
    assert_eq!(restored.len(), 300);
}

#[test]
fn freeze_gives_what_changed_and_nothing_that_came_and_went() {
    let mut queue = Queue::new();
    register(&mut queue, 1, 10);
    register(&mut queue, 2, 20);
    queue.note_changes(true);
    register(&mut queue, 3, 30);
    register(&mut queue, 4, 40);
    delete(&mut queue, 4, 40);
    assert_eq!(pop(&mut queue, 10), Some((10, 1)));
    let changes = queue.freeze();
    let keys = |timers: &[Timer<u64, u8>]| timers.iter().map(|t| t.key).collect::<Vec<_>>();
    assert_eq!(keys(&changes.removed), [1]);
    assert_eq!(keys(&changes.registered), [3]);
    delete(&mut queue, 3, 30);
    register(&mut queue, 3, 30);
    queue.restore([]);
    let changes = queue.freeze();
    assert_eq!(keys(&changes.removed), [3]);
    assert_eq!(keys(&changes.registered), [3]);
    assert_eq!(queue.freeze().registered, []);
}

#[derive(Clone, Debug)]
enum Step {
    Register(u64, u8, i64),
    Delete(u64, u8, i64),
    DeleteNext,
    Pass(i64, Vec<i64>),
    Peek,
    Freeze,
}

/// Times around zero at several scales, and the ends.
fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        20 => -20..100_i64,
        10 => -5_000..20_000_i64,
        5 => any::<i32>().prop_map(i64::from),
        2 => any::<i64>(),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX)],
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let (key, namespace) = (0..12_u64, 0..3_u8);
    prop_oneof![
        16 => (key.clone(), namespace.clone(), time()).prop_map(|(k, n, t)| Step::Register(k, n, t)),
        4 => (key, namespace, -20..100_i64).prop_map(|(k, n, t)| Step::Delete(k, n, t)),
        3 => Just(Step::DeleteNext),
        3 => (-30..120_i64, prop::collection::vec(time(), 0..4)).prop_map(|(w, r)| Step::Pass(w, r)),
        1 => (time(), Just(vec![])).prop_map(|(w, r)| Step::Pass(w, r)),
        3 => Just(Step::Peek),
        1 => Just(Step::Freeze),
    ]
}

/// A time, a key and a namespace: ordered as timers fire, but for ties.
type Naive = BTreeSet<(i64, u64, u8)>;

fn identity(timer: &Timer<u64, u8>) -> (i64, u64, u8) {
    assert_eq!(timer.hash, hash(timer.key));
    (timer.at.0, timer.key, timer.namespace)
}

/// One firing pass; each fired timer may register one of `rearmed`.
fn pass(
    queue: &mut Queue,
    naive: &mut Naive,
    watermark: i64,
    mut rearmed: Vec<i64>,
) -> Result<(), TestCaseError> {
    while let Some(timer) = queue.pop_due(Timestamp(watermark)) {
        let earliest = naive.first().map(|first| first.0);
        prop_assert_eq!(earliest, Some(timer.at.0), "in time order");
        prop_assert!(timer.at.0 <= watermark);
        prop_assert!(naive.remove(&identity(&timer)), "known, and only once");
        if let Some(at) = rearmed.pop() {
            let is_new = queue.register(timer.hash, timer.key, 9, Timestamp(at));
            prop_assert_eq!(is_new, naive.insert((at, timer.key, 9)));
        }
    }
    prop_assert!(naive.first().is_none_or(|first| first.0 > watermark));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 1_000 }))]
    #[test]
    fn queue_is_an_ordered_set(steps in prop::collection::vec(step(), 0..250)) {
        let (mut queue, mut naive) = (Queue::new(), Naive::new());
        queue.note_changes(true);
        let mut image = BTreeMap::new();
        for step in steps {
            match step {
                Step::Register(key, namespace, at) => {
                    let is_new = queue.register(hash(key), key, namespace, Timestamp(at));
                    prop_assert_eq!(is_new, naive.insert((at, key, namespace)));
                }
                Step::Delete(key, namespace, at) => {
                    let was_there = queue.delete(hash(key), &key, namespace, Timestamp(at));
                    prop_assert_eq!(was_there, naive.remove(&(at, key, namespace)));
                }
                Step::DeleteNext => if let Some((at, key, namespace)) = naive.pop_first() {
                    prop_assert!(queue.delete(hash(key), &key, namespace, Timestamp(at)));
                }
                Step::Pass(watermark, rearmed) => pass(&mut queue, &mut naive, watermark, rearmed)?,
                Step::Peek => {
                    let next = naive.first().map(|first| Timestamp(first.0));
                    prop_assert_eq!(queue.peek(), next);
                }
                Step::Freeze => {
                    let changes = queue.freeze();
                    for timer in &changes.removed {
                        prop_assert!(image.remove(&identity(timer)).is_some());
                    }
                    for timer in &changes.registered {
                        prop_assert!(image.insert(identity(timer), ()).is_none());
                    }
                    prop_assert!(image.keys().eq(naive.iter()));
                }
            }
            prop_assert_eq!(queue.len(), naive.len());
        }
        let all: Naive = queue.iter().map(identity).collect();
        prop_assert_eq!(&all, &naive);
        pass(&mut queue, &mut naive, i64::MAX, vec![])?;
        prop_assert!(queue.is_empty() && naive.is_empty());
    }
}
