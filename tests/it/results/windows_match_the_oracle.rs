//! Event-time windows with allowed lateness, compared with a naive implementation of Flink's rules, record by record.

use std::collections::BTreeMap;

use proptest::prelude::*;
use thalweg::connectors::{Collected, Collection};
use thalweg::operator::{OutputTag, Sliding, TimeWindow, Tumbling};
use thalweg::state::Count;
use thalweg::time::{Punctuated, Timestamp, nanoseconds};

use crate::schedule::{Schedule, sorted};

/// Key, timestamp, and the watermark that follows, if not 0.
pub(super) type Event = [u64; 3];

/// The counts with which each key and window fired, in order, and the late records.
pub(super) type Fired = (BTreeMap<(u64, i64), Vec<u64>>, Vec<Event>);

/// The windows' size and slide, and the allowed lateness.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) size: i64,
    pub(super) slide: i64,
    pub(super) lateness: i64,
}

impl Shape {
    /// The starts of the windows that contain `at`.
    fn windows(self, at: i64) -> impl Iterator<Item = i64> {
        let last = at.div_euclid(self.slide) * self.slide;
        (0..)
            .map(move |back| last - back * self.slide)
            .take_while(move |start| start + self.size > at)
    }
}

pub(super) fn oracle(events: &[Event], shape: Shape) -> Fired {
    let mut state: BTreeMap<(u64, i64), u64> = BTreeMap::new();
    let (mut fired, mut late) = (BTreeMap::<_, Vec<u64>>::new(), Vec::new());
    let mut watermark = i64::MIN;
    let advance = |to: i64,
                   state: &mut BTreeMap<(u64, i64), u64>,
                   fired: &mut BTreeMap<_, Vec<u64>>,
                   watermark: &mut i64| {
        for ((key, start), count) in &*state {
            let last = start + shape.size - 1;
            if last <= to && last > *watermark {
                fired.entry((*key, *start)).or_default().push(*count);
            }
        }
        state.retain(|(_, start), _| (start + shape.size - 1).saturating_add(shape.lateness) > to);
        *watermark = to;
    };
    for event in events {
        let [key, at, next] = *event;
        let mut in_time = false;
        for start in shape.windows(at as i64) {
            let last = start + shape.size - 1;
            if last + shape.lateness <= watermark {
                continue;
            }
            in_time = true;
            let count = state.entry((key, start)).or_default();
            *count += 1;
            if last <= watermark {
                fired.entry((key, start)).or_default().push(*count);
            }
        }
        if !in_time {
            late.push(*event);
        }
        if next != 0 && next as i64 > watermark {
            advance(next as i64, &mut state, &mut fired, &mut watermark);
        }
    }
    advance(i64::MAX, &mut state, &mut fired, &mut watermark);
    (fired, sorted(late))
}

fn run(schedule: Schedule, events: &[Event], shape: Shape) -> Fired {
    let env = schedule.environment();
    let (counts, late) = (Collected::new(), Collected::new());
    let tag = OutputTag::<Event>::new("late");
    let punctuation =
        |event: &Event, _: Timestamp| (event[2] != 0).then_some(Timestamp(event[2] as i64));
    let keyed = env
        .source("events", Collection::of(events.to_vec()))
        .timestamps(Punctuated::new(punctuation), |event| {
            Timestamp(event[1] as i64)
        })
        .key_by(|event| event[0]);
    let lateness = nanoseconds(shape.lateness as u64);
    let size = nanoseconds(shape.size as u64);
    let result = |key: &u64, window: TimeWindow, count: u64| (*key, window.start.0, count);
    if shape.size == shape.slide {
        let windows = keyed.window(Tumbling::of(size)).allowed_lateness(lateness);
        let counted = windows.late_to(&tag).aggregate_with(Count, result);
        counted.side_output(&tag).sink("late", late.sink());
        counted.sink("counts", counts.sink());
    } else {
        let assigner = Sliding::of(size, nanoseconds(shape.slide as u64));
        let windows = keyed.window(assigner).allowed_lateness(lateness);
        let counted = windows.late_to(&tag).aggregate_with(Count, result);
        counted.side_output(&tag).sink("late", late.sink());
        counted.sink("counts", counts.sink());
    }
    schedule.run(&env);
    let mut fired = BTreeMap::<_, Vec<u64>>::new();
    for (key, start, count) in counts.take() {
        fired.entry((key, start)).or_default().push(count);
    }
    (fired, sorted(late.take()))
}

pub(super) fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0..5_u64, 0..60_u64, 0..4_u64);
    prop::collection::vec(event, 0..120).prop_map(|events| {
        let place = |(n, (key, jitter, punctuated)): (u64, (u64, u64, u64))| {
            let at = 100 + n * 3 + jitter;
            [key, at, if punctuated == 0 { at - 20 } else { 0 }]
        };
        (0..).zip(events).map(place).collect()
    })
}

pub(super) const SHAPES: [Shape; 5] = [
    Shape {
        size: 40,
        slide: 40,
        lateness: 0,
    },
    Shape {
        size: 40,
        slide: 40,
        lateness: 25,
    },
    Shape {
        size: 60,
        slide: 20,
        lateness: 0,
    },
    Shape {
        size: 60,
        slide: 20,
        lateness: 30,
    },
    Shape {
        size: 50,
        slide: 20,
        lateness: 10,
    },
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn windows_fire_as_flinks_do(events in events()) {
        for shape in SHAPES {
            let expected = oracle(&events, shape);
            for schedule in Schedule::some() {
                prop_assert_eq!(run(schedule, &events, shape), expected.clone(), "{:?} {:?}", shape, schedule);
            }
        }
    }
}

#[test]
fn windows_fire_alike_under_every_schedule() {
    let events: Vec<Event> = (0..1_500)
        .map(|n| {
            let at = 1_000 + n * 2 + n * 37 % 190;
            [n * 11 % 23, at, if n % 7 == 0 { at - 2 } else { 0 }]
        })
        .collect();
    for shape in [SHAPES[1], SHAPES[3]] {
        let expected = oracle(&events, shape);
        assert!(!expected.1.is_empty(), "some are late");
        for schedule in Schedule::all() {
            assert_eq!(
                run(schedule, &events, shape),
                expected,
                "{shape:?} {schedule:?}"
            );
        }
    }
}
