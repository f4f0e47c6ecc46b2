//! The queue's rules, and the queue against an ordered set.

use std::collections::BTreeSet;

use compact_str::CompactString;

use super::*;
use crate::record::{KeyHash, KeyHasher};
use crate::state::{Drained, DurableTable, Extent};
use crate::time::Timestamp;
use proptest::prelude::*;

type Queue = TimerQueue<u64, u8>;

fn hash(key: u64) -> KeyHash {
    KeyHash::of_u64(key)
}

fn register(queue: &mut Queue, key: u64, at: i64) -> bool {
    register_in(queue, hash(key), (key, 0), at)
}

fn register_in(queue: &mut Queue, hash: KeyHash, (key, namespace): (u64, u8), at: i64) -> bool {
    queue.register(
        hash,
        |known| *known == key,
        || key,
        namespace,
        Timestamp(at),
    )
}

fn delete(queue: &mut Queue, key: u64, at: i64) -> bool {
    delete_in(queue, hash(key), (key, 0), at)
}

fn delete_in(queue: &mut Queue, hash: KeyHash, (key, namespace): (u64, u8), at: i64) -> bool {
    queue.delete(hash, |known| *known == key, namespace, Timestamp(at))
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
    assert!(register_in(&mut queue, hash(1), (1, 9), 10), "a namespace");
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
        assert!(register_in(&mut queue, KeyHash(7), (key, 0), 5));
    }
    assert!(delete_in(&mut queue, KeyHash(7), (50, 0), 5));
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
fn timers_that_are_set_again_to_the_same_time_do_not_pile_up() {
    for at in [10, 5_000] {
        let mut queue = Queue::new();
        register(&mut queue, 0, 1_000);
        assert_eq!(pop(&mut queue, 1_000), Some((1_000, 0)));
        (0..500).for_each(|key| assert!(register(&mut queue, key, at)));
        for round in 0..200_000_u64 {
            assert!(delete(&mut queue, round % 500, at));
            assert!(register(&mut queue, round % 500, at));
        }
        let entries = queue.entry_count();
        assert!(entries < 2_000, "{entries} entries at {at}");
        let mut fired: Vec<_> = std::iter::from_fn(|| pop(&mut queue, at)).collect();
        fired.sort_unstable();
        assert_eq!(fired, (0..500).map(|key| (at, key)).collect::<Vec<_>>());
    }
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

/// Drains from the frozen generation: the keys of timers removed and set.
fn drain(queue: &mut Queue) -> (Vec<u64>, Vec<u64>) {
    let (mut removed, mut set) = (Vec::new(), Vec::new());
    while !queue.drain_frozen(1, |t| set.push(t.key), |t| removed.push(t.key)) {}
    set.sort_unstable();
    (removed, set)
}

#[test]
fn what_changed_is_handed_out_and_nothing_that_came_and_went() {
    let mut queue = Queue::new();
    register(&mut queue, 1, 10);
    register(&mut queue, 2, 20);
    queue.note_changes(true);
    register(&mut queue, 3, 30);
    register(&mut queue, 4, 40);
    delete(&mut queue, 4, 40);
    assert_eq!(pop(&mut queue, 10), Some((10, 1)));
    queue.freeze(Extent::Changes);
    assert_eq!(drain(&mut queue), (vec![1], vec![3]));
    delete(&mut queue, 3, 30);
    register(&mut queue, 3, 30);
    queue.restore([]);
    queue.freeze(Extent::Changes);
    assert_eq!(drain(&mut queue), (vec![3], vec![3]));
    queue.freeze(Extent::Changes);
    assert_eq!(drain(&mut queue), (vec![], vec![]));
    queue.freeze(Extent::Whole);
    assert_eq!(drain(&mut queue), (vec![], vec![2, 3]));
}

#[test]
fn timers_that_go_while_they_are_frozen_are_handed_out_and_removed_in_the_next_generation() {
    for extent in [Extent::Changes, Extent::Whole] {
        let mut queue = Queue::new();
        queue.note_changes(true);
        register(&mut queue, 1, 10);
        register(&mut queue, 2, 20);
        queue.freeze(extent);
        assert_eq!(pop(&mut queue, 10), Some((10, 1)));
        // Takes the slot of the removed one.
        register(&mut queue, 3, 30);
        assert_eq!(drain(&mut queue), (vec![], vec![1, 2]));
        queue.freeze(Extent::Changes);
        assert_eq!(drain(&mut queue), (vec![1], vec![3]));
    }
}

#[test]
fn encoded_timers_are_put_back_by_the_hashes_of_their_keys() {
    let hasher = KeyHasher::default();
    let stored = |n: u64| CompactString::from(format!("key {n}"));
    let hash = |n: u64| hasher.hash(stored(n).as_str());
    let mut queue = TimerQueue::new();
    queue.note_changes(true);
    for n in 0..300 {
        let is_key = |known: &CompactString| *known == stored(n);
        queue.register(hash(n), is_key, || stored(n), (), Timestamp(n as i64 % 7));
    }
    let mut drained = Drained::default();
    let mut timers = DurableTimers::new(&mut queue, hasher);
    timers.freeze(Extent::Changes);
    while !timers.drain_frozen(7, &mut drained) {}
    assert_eq!((drained.set.count(), drained.removed_count), (300, 0));
    let set = drained.set.to_bytes();
    assert!(timer_schema::<CompactString>("t").key.length.is_none());
    let length = u32::from_ne_bytes(set[..4].try_into().unwrap()) as usize;
    let first = hash_of_timer::<CompactString>(&hasher, &set[4..4 + length]).unwrap();
    let mut restored = BTreeSet::new();
    for half in 0..2_u64 {
        let hashes = KeyHash(half << 63)..=KeyHash((half << 63) + (u64::MAX >> 1));
        let mut part = TimerQueue::<CompactString, ()>::new();
        part.note_changes(true);
        let mut timers = DurableTimers::new(&mut part, hasher);
        timers.restore_set(&set, &hashes).unwrap();
        assert!(part.iter().all(|t| hashes.contains(&t.hash)));
        let is_here = part.iter().any(|t| t.hash == first);
        assert_eq!(is_here, hashes.contains(&first));
        restored.extend(part.iter().map(|t| (t.at.0, t.key.clone())));
        let mut timers = DurableTimers::new(&mut part, hasher);
        timers.freeze(Extent::Changes);
        let mut none = Drained::default();
        while !timers.drain_frozen(1, &mut none) {}
        assert!(none.is_empty(), "what is restored is no change");
        timers.restore_removed(&set, &hashes).unwrap();
        assert!(part.is_empty());
    }
    let all = queue.iter().map(|t| (t.at.0, t.key.clone())).collect();
    assert_eq!(restored, all);
    let cut = DurableTimers::new(&mut queue, hasher)
        .restore_set(&set[..9], &(KeyHash(0)..=KeyHash(u64::MAX)));
    assert!(cut.is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Register(u64, u8, i64),
    Delete(u64, u8, i64),
    DeleteNext,
    Pass(i64, Vec<i64>),
    Peek,
    Freeze(Extent),
    Drain(usize),
}

/// Times around zero at several scales, and the extremes.
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
        1 => Just(Step::Freeze(Extent::Changes)),
        1 => Just(Step::Freeze(Extent::Whole)),
        4 => (1..20_usize).prop_map(Step::Drain),
    ]
}

/// A time, a key and a namespace: ordered as timers fire, except for ties.
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
            let is_new = register_in(queue, timer.hash, (timer.key, 9), at);
            prop_assert_eq!(is_new, naive.insert((at, timer.key, 9)));
        }
    }
    prop_assert!(naive.first().is_none_or(|first| first.0 > watermark));
    Ok(())
}

/// The queue as seen through checkpoints.
#[derive(Default)]
struct Image {
    timers: Naive,
    /// The generation being drained, and what the queue held at the freeze.
    frozen: Option<(Extent, Naive)>,
    removed: Vec<(i64, u64, u8)>,
    set: Vec<(i64, u64, u8)>,
}

impl Image {
    fn freeze(&mut self, queue: &mut Queue, extent: Extent, naive: &Naive) {
        queue.freeze(extent);
        self.frozen = Some((extent, naive.clone()));
    }

    fn drain(&mut self, queue: &mut Queue, budget: usize) -> Result<(), TestCaseError> {
        let (removed, set) = (&mut self.removed, &mut self.set);
        let done = queue.drain_frozen(
            budget,
            |timer| set.push(identity(timer)),
            |timer| removed.push(identity(timer)),
        );
        let Some((extent, at_freeze)) = self.frozen.take_if(|_| done) else {
            return Ok(());
        };
        if extent == Extent::Whole {
            prop_assert!(self.removed.is_empty());
            self.timers.clear();
        }
        for timer in self.removed.drain(..) {
            prop_assert!(self.timers.remove(&timer));
        }
        for timer in self.set.drain(..) {
            prop_assert!(self.timers.insert(timer));
        }
        prop_assert_eq!(&self.timers, &at_freeze);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 1_000 }))]
    #[test]
    fn queue_is_an_ordered_set(steps in prop::collection::vec(step(), 0..250)) {
        let (mut queue, mut naive) = (Queue::new(), Naive::new());
        queue.note_changes(true);
        let mut image = Image::default();
        for step in steps {
            match step {
                Step::Register(key, namespace, at) => {
                    let is_new = register_in(&mut queue, hash(key), (key, namespace), at);
                    prop_assert_eq!(is_new, naive.insert((at, key, namespace)));
                }
                Step::Delete(key, namespace, at) => {
                    let was_there = delete_in(&mut queue, hash(key), (key, namespace), at);
                    prop_assert_eq!(was_there, naive.remove(&(at, key, namespace)));
                }
                Step::DeleteNext => if let Some((at, key, namespace)) = naive.pop_first() {
                    prop_assert!(delete_in(&mut queue, hash(key), (key, namespace), at));
                }
                Step::Pass(watermark, rearmed) => pass(&mut queue, &mut naive, watermark, rearmed)?,
                Step::Peek => {
                    let next = naive.first().map(|first| Timestamp(first.0));
                    prop_assert_eq!(queue.peek(), next);
                }
                Step::Freeze(extent) => {
                    image.drain(&mut queue, usize::MAX)?;
                    image.freeze(&mut queue, extent, &naive);
                }
                Step::Drain(budget) => image.drain(&mut queue, budget)?,
            }
            prop_assert_eq!(queue.len(), naive.len());
        }
        let all: Naive = queue.iter().map(identity).collect();
        prop_assert_eq!(&all, &naive);
        pass(&mut queue, &mut naive, i64::MAX, vec![])?;
        prop_assert!(queue.is_empty() && naive.is_empty());
    }
}
