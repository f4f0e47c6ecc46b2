//! Windowed joins and co-groups compared with nested loops over all records, following Flink's rules record by
//! record.

use std::collections::BTreeMap;

use proptest::prelude::*;
use thalweg::connectors::{Collected, Collection};
use thalweg::datastream::{Environment, Stream};
use thalweg::operator::{OutputTag, Sliding};
use thalweg::record::Wire;
use thalweg::runtime::Pipe;
use thalweg::time::{BoundedOutOfOrderness, Punctuated, Timestamp, nanoseconds};

use crate::schedule::{Schedule, sorted};

/// Side (0 is left), key, timestamp, number, and the watermark that follows, if not 0.
type Event = [u64; 5];
/// Start and end of the window, key, and the numbers of both records.
type Pair = [u64; 5];
/// Start of the window, key, number of records on each side, and the sum of their positions times their numbers.
type Grouped = [u64; 5];

/// The windows' size and slide, and the allowed lateness.
#[derive(Clone, Copy, Debug)]
struct Shape {
    size: u64,
    slide: u64,
    lateness: u64,
}

const fn shape(size: u64, slide: u64, lateness: u64) -> Shape {
    Shape {
        size,
        slide,
        lateness,
    }
}

impl Shape {
    /// The starts of the windows that contain `at`, latest first.
    fn windows(self, at: u64) -> impl Iterator<Item = u64> {
        let last = at / self.slide * self.slide;
        (0..)
            .map(move |back| last - back * self.slide)
            .take_while(move |start| start + self.size > at)
    }

    fn assigner(self) -> Sliding {
        Sliding::of(nanoseconds(self.size), nanoseconds(self.slide))
    }
}

/// The output of a join or a co-group.
#[derive(Clone, PartialEq, Debug, Default)]
struct Joined {
    pairs: Vec<Pair>,
    groups: Vec<Grouped>,
    late: Vec<Event>,
}

impl Joined {
    fn sorted(self) -> Self {
        Joined {
            pairs: sorted(self.pairs),
            groups: sorted(self.groups),
            late: sorted(self.late),
        }
    }
}

/// Flink's rules applied to a single sequence of events of both sides.
struct Oracle {
    shape: Shape,
    /// The records of both sides in order, by start of window and key.
    windows: BTreeMap<(u64, u64), [Vec<Event>; 2]>,
    watermark: i64,
    joined: Joined,
}

impl Oracle {
    fn of(events: &[Event], shape: Shape) -> Joined {
        let mut oracle = Oracle {
            shape,
            windows: BTreeMap::new(),
            watermark: i64::MIN,
            joined: Joined::default(),
        };
        for event in events {
            oracle.add(*event);
            if event[4] as i64 > oracle.watermark.max(0) {
                oracle.advance(event[4] as i64);
            }
        }
        oracle.advance(i64::MAX);
        oracle.joined.sorted()
    }

    fn last(&self, start: u64) -> i64 {
        (start + self.shape.size) as i64 - 1
    }

    fn add(&mut self, event: Event) {
        let [side, key, at, ..] = event;
        let mut in_time = false;
        for start in self.shape.windows(at) {
            let last = self.last(start);
            if last + self.shape.lateness as i64 <= self.watermark {
                continue;
            }
            in_time = true;
            self.windows.entry((start, key)).or_default()[side as usize].push(event);
            if last <= self.watermark {
                self.fire(start, key);
            }
        }
        let late = (at + self.shape.lateness) as i64 <= self.watermark;
        if !in_time && late {
            self.joined.late.push(event);
        }
    }

    fn advance(&mut self, to: i64) {
        let ends: Vec<(u64, u64)> = self.windows.keys().copied().collect();
        for (start, key) in ends {
            if (self.watermark + 1..=to).contains(&self.last(start)) {
                self.fire(start, key);
            }
        }
        let (size, lateness) = (self.shape.size, self.shape.lateness);
        self.windows
            .retain(|(start, _), _| ((start + size + lateness) as i64 - 1) > to);
        self.watermark = to;
    }

    fn fire(&mut self, start: u64, key: u64) {
        let [lefts, rights] = &self.windows[&(start, key)];
        for left in lefts {
            for right in rights {
                let end = start + self.shape.size;
                (self.joined.pairs).push([start, end, key, left[3], right[3]]);
            }
        }
        // Numbers increase in order of arrival; slices are in time order.
        let slice = |event: &&Event| {
            let rest = self.shape.size % self.shape.slide;
            let into = event[2] % self.shape.slide;
            (
                event[2] / self.shape.slide,
                u64::from(rest > 0 && into >= rest),
            )
        };
        let ordered = |side: &[Event]| {
            let mut side: Vec<&Event> = side.iter().collect();
            side.sort_by_key(slice);
            digest(side.into_iter())
        };
        let (left, right) = (ordered(lefts), ordered(rights));
        (self.joined.groups).push([start, key, lefts.len() as u64, left, right]);
    }
}

/// A number that depends on the order of events.
fn digest<'a>(events: impl Iterator<Item = &'a Event>) -> u64 {
    events.fold(7, |digest, event| (digest * 31 + event[3]) % 1_000_000_007)
}

/// Joins and co-groups two streams, and returns the output after `run`.
fn collect<A, B>(
    env: &Environment,
    shape: Shape,
    mut streams: impl FnMut() -> (Stream<A>, Stream<B>),
    run: impl FnOnce(&Environment),
) -> Joined
where
    A: Pipe<Out = Event>,
    B: Pipe<Out = Event>,
    Event: Wire,
{
    let (pairs, groups) = (Collected::new(), Collected::new());
    let (late, late_groups) = (Collected::new(), Collected::new());
    let (left_tag, right_tag) = (OutputTag::<Event>::new("l"), OutputTag::<Event>::new("r"));
    let mut windowed = || {
        let (left, right) = streams();
        left.key_by(|event| event[1])
            .join(right.key_by(|event| event[1]))
            .window(shape.assigner())
            .allowed_lateness(nanoseconds(shape.lateness))
            .late_left_to(&left_tag)
            .late_right_to(&right_tag)
    };
    let joined = windowed().apply(|left, right, window| {
        let (start, end) = (window.start.0 as u64, window.end.0 as u64);
        [start, end, left[1], left[3], right[3]]
    });
    joined.side_output(&left_tag).sink("late left", late.sink());
    joined
        .side_output(&right_tag)
        .sink("late right", late.sink());
    joined.sink("pairs", pairs.sink());
    let grouped = windowed().co_group(|key, window, lefts, rights, emit| {
        let start = window.start.0 as u64;
        let (left, right) = (digest(lefts.iter()), digest(rights.iter()));
        emit(&[start, *key, lefts.len() as u64, left, right]);
    });
    grouped
        .side_output(&left_tag)
        .sink("late left", late_groups.sink());
    grouped
        .side_output(&right_tag)
        .sink("late right", late_groups.sink());
    grouped.sink("groups", groups.sink());
    run(env);
    let late = late.take();
    assert_eq!(sorted(late.clone()), sorted(late_groups.take()));
    Joined {
        pairs: pairs.take(),
        groups: groups.take(),
        late,
    }
    .sorted()
}

/// Both sides from one source, so that it is known which records are late.
fn from_one_source(schedule: Schedule, events: &[Event], shape: Shape) -> Joined {
    let env = schedule.environment();
    let source_env = env.clone();
    let streams = || {
        let punctuation =
            |event: &Event, _: Timestamp| (event[4] != 0).then_some(Timestamp(event[4] as i64));
        let [left, right] = source_env
            .source("events", Collection::of(events.to_vec()))
            .timestamps(Punctuated::new(punctuation), |event| {
                Timestamp(event[2] as i64)
            })
            .fork();
        (
            left.filter(|event| event[0] == 0),
            right.filter(|event| event[0] == 1),
        )
    };
    collect(&env, shape, streams, |env| schedule.run(env))
}

/// One source per side, with independent watermarks.
fn from_two_sources(schedule: Schedule, events: &[Event], shape: Shape) -> Joined {
    let env = schedule.environment();
    let source_env = env.clone();
    let source = |side: u64| {
        let events: Vec<Event> = events.iter().copied().filter(|e| e[0] == side).collect();
        source_env
            .source("events", Collection::of(events))
            .timestamps(BoundedOutOfOrderness::of(nanoseconds(100)), |event| {
                Timestamp(event[2] as i64)
            })
    };
    let streams = || (source(0), source(1));
    collect(&env, shape, streams, |env| schedule.run(env))
}

/// Up to `count` events with few keys, out of order by up to 60; every fourth is followed by a watermark that makes
/// some later records late.
fn events(count: usize) -> impl Strategy<Value = Vec<Event>> {
    let event = (0..2_u64, 0..4_u64, 0..60_u64, 0..4_u64);
    prop::collection::vec(event, 0..count).prop_map(|events| {
        let place = |(n, (side, key, jitter, punctuated)): (u64, (u64, u64, u64, u64))| {
            let at = 100 + n * 3 + jitter;
            [side, key, at, n, if punctuated == 0 { at - 20 } else { 0 }]
        };
        (0..).zip(events).map(place).collect()
    })
}

/// The same without watermarks.
fn without_watermarks(events: &[Event]) -> Vec<Event> {
    let bare = |&[side, key, at, n, _]: &Event| [side, key, at, n, 0];
    events.iter().map(bare).collect()
}

const SHAPES: [Shape; 6] = [
    shape(40, 40, 0),
    shape(40, 40, 25),
    shape(60, 20, 0),
    shape(60, 20, 30),
    shape(50, 20, 10),
    shape(15, 20, 30),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn joins_fire_as_flinks_do(events in events(120)) {
        for shape in SHAPES {
            let expected = Oracle::of(&events, shape);
            for schedule in [Schedule::threads(1), Schedule::steps(1, 1, 7)] {
                let found = from_one_source(schedule, &events, shape);
                prop_assert_eq!(found, expected.clone(), "{:?} {:?}", shape, schedule);
            }
        }
    }

    #[test]
    fn joins_of_records_in_time_do_not_depend_on_the_parallelism(events in events(100)) {
        for shape in SHAPES {
            let events = without_watermarks(&events);
            let expected = Oracle::of(&events, shape);
            for schedule in Schedule::some() {
                let mut found = from_two_sources(schedule, &events, shape);
                prop_assert_eq!(&found.pairs, &expected.pairs, "{:?} {:?}", shape, schedule);
                let counts = |groups: &[Grouped]| groups.iter().map(|g| [g[0], g[1], g[2]]).collect::<Vec<_>>();
                prop_assert_eq!(sorted(counts(&found.groups)), sorted(counts(&expected.groups)));
                prop_assert!(std::mem::take(&mut found.late).is_empty());
            }
        }
    }
}

#[test]
fn joins_fire_alike_however_they_are_driven() {
    let events: Vec<Event> = (0..600)
        .map(|n| {
            let (now, at) = (1_000 + n * 2, 1_000 + n * 2 + n * n * 31 % 97);
            [
                n * 7 % 3 % 2,
                n * 11 % 13,
                at,
                n,
                if n % 5 == 0 { now + 80 } else { 0 },
            ]
        })
        .collect();
    for shape in [SHAPES[1], SHAPES[3], SHAPES[4]] {
        let expected = Oracle::of(&events, shape);
        assert!(!expected.late.is_empty(), "some are late");
        let mut once = expected.pairs.clone();
        once.dedup();
        assert!(once.len() < expected.pairs.len(), "some windows fire again");
        for schedule in Schedule::all().filter(|schedule| schedule.parallelism == 1) {
            let found = from_one_source(schedule, &events, shape);
            assert_eq!(found, expected, "{shape:?} {schedule:?}");
        }
    }
}

#[test]
fn a_hot_key_on_both_sides_joins_beside_many_others() {
    let event = |n: u64| {
        [
            n % 2,
            if n.is_multiple_of(3) { n } else { 7 },
            5_000 + n,
            n,
            0,
        ]
    };
    let events: Vec<Event> = (0..1_500).map(event).collect();
    let shape = shape(1_000, 500, 0);
    let expected = Oracle::of(&events, shape);
    assert!(expected.pairs.len() > 200_000);
    for schedule in [Schedule::threads(2), Schedule::steps(3, 5, 64).rings(4096)] {
        let found = from_two_sources(schedule, &events, shape);
        assert!(found.pairs == expected.pairs, "{schedule:?}");
    }
}

#[test]
fn an_input_without_records_joins_with_nothing_and_is_grouped() {
    for side in [0, 1] {
        let events: Vec<Event> = (0..50).map(|n| [side, n % 5, 100 + n, n, 0]).collect();
        let found = from_two_sources(Schedule::threads(2), &events, SHAPES[0]);
        let expected = Oracle::of(&events, SHAPES[0]);
        assert_eq!((found.pairs.len(), found.groups), (0, expected.groups));
    }
}
