//! Every partitioner sends every record where it should, once (broadcast: once to each subtask).

use thalweg::connectors::{Collected, Collection, Sequence};
use thalweg::datastream::{Sourced, Stream};
use thalweg::operator::{Outcome, ProcessContext, ProcessFunction};
use thalweg::record::KeyGroupAssignment;
use thalweg::runtime::Pipe;

use crate::schedule::{Schedule, sorted};

const COUNT: u64 = 6_000;

/// Emits the index of the subtask that processed a number, and the number.
#[derive(Clone)]
struct Place;

impl ProcessFunction<u64> for Place {
    type Out = (u32, u64);

    fn process(&mut self, n: &u64, cx: &mut impl ProcessContext<(u32, u64)>) -> Outcome {
        let subtask = cx.subtask().index;
        cx.emit(&(subtask, *n));
        Ok(())
    }
}

/// The numbers that each subtask received, sorted. Sender `i` of `senders` has the `i`th share.
fn placed<P: Pipe<Out = u64>>(
    schedule: Schedule,
    senders: u32,
    receivers: u32,
    spread: impl Fn(Stream<Sourced<Sequence>>) -> Stream<P>,
) -> Vec<Vec<u64>> {
    let env = schedule.environment();
    let places = Collected::new();
    let numbers = env.source("numbers", Sequence::new(0..COUNT));
    spread(numbers.parallelism(senders))
        .parallelism(receivers)
        .process(Place)
        .sink("places", places.sink());
    schedule.run(&env);
    let mut placed = vec![Vec::new(); receivers as usize];
    for (subtask, n) in places.take() {
        placed[subtask as usize].push(n);
    }
    placed.into_iter().map(sorted).collect()
}

const SHAPES: [(u32, u32); 6] = [(1, 1), (1, 4), (4, 1), (2, 3), (3, 2), (4, 4)];

fn schedules() -> [Schedule; 3] {
    [
        Schedule::threads(1),
        Schedule::steps(1, 0, 1024),
        Schedule::steps(1, 3, 7).rings(512),
    ]
}

/// Runs all shapes; every number must arrive somewhere, once.
fn everywhere<P: Pipe<Out = u64>>(
    spread: impl Fn(Stream<Sourced<Sequence>>) -> Stream<P> + Copy,
    look: impl Fn(u32, u32, &[Vec<u64>]),
) {
    for schedule in schedules() {
        for (senders, receivers) in SHAPES {
            let placed = placed(schedule, senders, receivers, spread);
            let all = sorted(placed.concat());
            assert!(
                all.into_iter().eq(0..COUNT),
                "{schedule:?} {senders} to {receivers}"
            );
            look(senders, receivers, &placed);
        }
    }
}

#[test]
fn rebalance_gives_every_subtask_the_same_number() {
    everywhere(Stream::rebalance, |senders, receivers, placed| {
        let fair = COUNT as usize / receivers as usize;
        for got in placed {
            assert!(
                got.len().abs_diff(fair) <= senders as usize,
                "{}",
                got.len()
            );
        }
    });
}

#[test]
fn rescale_stays_within_a_senders_share() {
    everywhere(Stream::rescale, |senders, receivers, placed| {
        let share = COUNT / u64::from(senders);
        for (receiver, got) in (0..).zip(placed) {
            let mut from: Vec<u64> = got.iter().map(|n| n / share).collect();
            from.dedup();
            let expected: Vec<u64> = match (senders, receivers) {
                (2, 3) => vec![[0, 0, 1][receiver]],
                (3, 2) => [vec![0], vec![1, 2]][receiver].clone(),
                (1, _) => vec![0],
                (_, 1) => (0..u64::from(senders)).collect(),
                _ => vec![receiver as u64],
            };
            assert_eq!(
                from, expected,
                "{senders} to {receivers}, receiver {receiver}"
            );
        }
    });
}

#[test]
fn shuffle_reaches_every_subtask_about_equally() {
    everywhere(Stream::shuffle, |_, receivers, placed| {
        let fair = COUNT as usize / receivers as usize;
        for got in placed {
            assert!(
                got.len().abs_diff(fair) < fair / 4,
                "{} of {fair}",
                got.len()
            );
        }
    });
}

#[test]
fn global_goes_to_the_first_subtask() {
    everywhere(Stream::global, |_, _, placed| {
        assert_eq!(placed[0].len() as u64, COUNT);
    });
}

#[test]
fn custom_goes_where_the_function_says() {
    everywhere(
        |numbers| numbers.partition_custom(|n, subtasks| (*n as usize / 10) % subtasks),
        |_, receivers, placed| {
            for (receiver, got) in (0..).zip(placed) {
                let here = |n: &u64| n / 10 % u64::from(receivers) == receiver;
                assert!(got.iter().all(here));
            }
        },
    );
}

#[test]
fn broadcast_gives_every_subtask_every_record() {
    for schedule in schedules() {
        for (senders, receivers) in SHAPES {
            for got in placed(schedule, senders, receivers, Stream::broadcast) {
                assert!(
                    got.into_iter().eq(0..COUNT),
                    "{schedule:?} {senders} to {receivers}"
                );
            }
        }
    }
}

#[test]
fn forward_keeps_the_subtask() {
    for schedule in schedules() {
        for new_chain in [false, true] {
            let forward = |numbers: Stream<Sourced<Sequence>>| {
                let forwarded = numbers.forward();
                if new_chain {
                    forwarded.start_new_chain()
                } else {
                    forwarded
                }
            };
            let placed = placed(schedule, 3, 3, forward);
            for (subtask, got) in (0..).zip(placed) {
                let share = COUNT / 3;
                assert!(got.into_iter().eq(subtask * share..(subtask + 1) * share));
            }
        }
    }
}

/// Flink's murmur hash puts the `Integer` keys 0 and 1 on the second of two subtasks.
#[test]
fn flinks_key_groups_place_keys_0_and_1_on_the_second_subtask() {
    for schedule in schedules() {
        let env = schedule
            .environment()
            .parallelism(2)
            .key_groups(KeyGroupAssignment::Flink);
        let places = Collected::new();
        env.source("numbers", Collection::of(0..100_u64))
            .key_by(|n| (*n % 2) as i32)
            .process(KeyedPlace)
            .sink("places", places.sink());
        schedule.run(&env);
        let places: Vec<(u32, u64)> = places.take();
        assert_eq!(places.len(), 100);
        assert!(
            places.iter().all(|(subtask, _)| *subtask == 1),
            "{schedule:?}"
        );
    }
}

/// [`Place`] for a keyed stream.
#[derive(Clone)]
struct KeyedPlace;

impl thalweg::operator::KeyedProcessFunction<i32, u64> for KeyedPlace {
    type Out = (u32, u64);

    fn process(
        &mut self,
        n: &u64,
        cx: &mut impl thalweg::operator::KeyedProcessContext<i32, (u32, u64)>,
    ) -> Outcome {
        let subtask = cx.subtask().index;
        cx.emit(&(subtask, *n));
        Ok(())
    }
}
