//! Session windows with lateness: a naive implementation of Flink's merging rules, record by record.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use thalweg::connectors::{Collected, Collection};
use thalweg::operator::{OutputTag, Session, TimeWindow};
use thalweg::state::{Count, Sum};
use thalweg::time::{Punctuated, Timestamp, nanoseconds};

use crate::schedule::{Schedule, sorted};

/// Key, timestamp, and the watermark that follows, if not 0.
type Event = [u64; 3];

/// A session's firing: its start, its end, the number of records, and the sum of their timestamps.
type Firing = (i64, i64, u64, u64);

/// The firings of each key, in order, and the late records.
type Fired = (BTreeMap<u64, Vec<Firing>>, Vec<Event>);

/// The gap, or `None` for gaps by [`gap_of`], and the allowed lateness.
#[derive(Clone, Copy, Debug)]
struct Shape {
    gap: Option<i64>,
    lateness: i64,
}

/// A record's own gap.
fn gap_of(event: &Event) -> i64 {
    (event[1] % 9 * 3 + 2) as i64
}

#[derive(Clone, Copy)]
struct Open {
    start: i64,
    end: i64,
    count: u64,
    sum: u64,
}

impl Open {
    fn firing(self) -> Firing {
        (self.start, self.end, self.count, self.sum)
    }
}

fn oracle(events: &[Event], shape: Shape) -> Fired {
    let mut sessions: BTreeMap<u64, Vec<Open>> = BTreeMap::new();
    let (mut fired, mut late) = (BTreeMap::<u64, Vec<Firing>>::new(), Vec::new());
    let mut watermark = i64::MIN;
    let ends = events.iter().chain([&[u64::MAX, 0, i64::MAX as u64]]);
    for event in ends {
        let [key, at, next] = *event;
        if key != u64::MAX {
            let at = at as i64;
            let mut merged = Open {
                start: at,
                end: at + shape.gap.unwrap_or(gap_of(event)),
                count: 1,
                sum: at as u64,
            };
            let open = sessions.entry(key).or_default();
            open.retain(|session| {
                // None overlaps only the union and not the record itself: sessions do not overlap one another.
                let meets = session.start <= merged.end && session.end >= merged.start;
                if meets {
                    merged.start = merged.start.min(session.start);
                    merged.end = merged.end.max(session.end);
                    merged.count += session.count;
                    merged.sum += session.sum;
                }
                !meets
            });
            if merged.end - 1 + shape.lateness <= watermark {
                late.push(*event);
            } else {
                if merged.end - 1 <= watermark {
                    fired.entry(key).or_default().push(merged.firing());
                }
                open.push(merged);
                open.sort_by_key(|session| session.start);
            }
        }
        let next = next as i64;
        if next > watermark {
            for (key, open) in &mut sessions {
                let due = open
                    .iter()
                    .filter(|s| s.end - 1 > watermark && s.end - 1 <= next);
                let due: Vec<Firing> = due.map(|session| session.firing()).collect();
                if !due.is_empty() {
                    fired.entry(*key).or_default().extend(due);
                }
                open.retain(|s| (s.end - 1).saturating_add(shape.lateness) > next);
            }
            watermark = next;
        }
    }
    (fired, sorted(late))
}

fn run(schedule: Schedule, events: &[Event], shape: Shape) -> Fired {
    let env = schedule.environment();
    let (firings, late) = (Collected::new(), Collected::new());
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
    let aggregate = (Count, Sum::of(|event: &Event| event[1]));
    let result = |key: &u64, window: TimeWindow, (count, sum): (u64, u64)| {
        (*key, window.start.0, window.end.0, count, sum)
    };
    match shape.gap {
        Some(gap) => {
            let session = Session::with_gap(nanoseconds(gap as u64));
            let windows = keyed.window(session).allowed_lateness(lateness);
            let results = windows.late_to(&tag).aggregate_with(aggregate, result);
            results.side_output(&tag).sink("late", late.sink());
            results.sink("firings", firings.sink());
        }
        None => {
            let gap = |event: &Event| -> Duration { nanoseconds(gap_of(event) as u64) };
            let session = Session::with_dynamic_gap(gap);
            let windows = keyed.window(session).allowed_lateness(lateness);
            let results = windows.late_to(&tag).aggregate_with(aggregate, result);
            results.side_output(&tag).sink("late", late.sink());
            results.sink("firings", firings.sink());
        }
    }
    schedule.run(&env);
    let mut fired = BTreeMap::<u64, Vec<Firing>>::new();
    for (key, start, end, count, sum) in firings.take() {
        fired.entry(key).or_default().push((start, end, count, sum));
    }
    (fired, sorted(late.take()))
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0..6_u64, 0..60_u64, 0..4_u64);
    prop::collection::vec(event, 0..120).prop_map(|events| {
        let place = |(n, (key, jitter, punctuated)): (u64, (u64, u64, u64))| {
            let at = 100 + n * 3 + jitter;
            [key, at, if punctuated == 0 { at - 20 } else { 0 }]
        };
        (0..).zip(events).map(place).collect()
    })
}

const SHAPES: [Shape; 4] = [
    Shape {
        gap: Some(9),
        lateness: 0,
    },
    Shape {
        gap: Some(20),
        lateness: 25,
    },
    Shape {
        gap: Some(2),
        lateness: 40,
    },
    Shape {
        gap: None,
        lateness: 15,
    },
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn sessions_fire_as_flinks_do(events in events()) {
        for shape in SHAPES {
            let expected = oracle(&events, shape);
            for schedule in Schedule::some().into_iter().chain([Schedule::threads(1), Schedule::threads(3)]) {
                prop_assert_eq!(run(schedule, &events, shape), expected.clone(), "{:?} {:?}", shape, schedule);
            }
        }
    }
}

#[test]
fn sessions_fire_alike_under_every_schedule() {
    let events: Vec<Event> = (0..1_500)
        .map(|n| {
            let at = 1_000 + n * 2 + n * 37 % 190;
            [n * 11 % 223, at, if n % 7 == 0 { at - 2 } else { 0 }]
        })
        .collect();
    for shape in [SHAPES[0], SHAPES[1], SHAPES[3]] {
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

#[test]
fn sessions_fire_once_with_all_that_one_record_becomes() {
    const KEYS: u64 = 2_000;
    // Each key has a session before 20. The last record becomes one whose watermark ends them all, too many to fire
    // at once, followed by one more record for each of them.
    let events = |n: &u64| -> Vec<[u64; 2]> {
        match *n {
            n if n < KEYS => vec![[n, 10]],
            last => [[last, 100]]
                .into_iter()
                .chain((0..KEYS).map(|key| [key, 12]))
                .collect(),
        }
    };
    for schedule in Schedule::all() {
        let (env, firings) = (schedule.environment(), Collected::new());
        let punctuation = |event: &[u64; 2], at| (event[1] == 100).then_some(at);
        env.source("numbers", Collection::of(0..=KEYS))
            .flat_map(events)
            .timestamps(Punctuated::new(punctuation), |event| {
                Timestamp(event[1] as i64)
            })
            .key_by(|event| event[0])
            .window(Session::with_gap(nanoseconds(10)))
            .allowed_lateness(nanoseconds(1_000))
            .aggregate_with(Count, |key, _: TimeWindow, count| [*key, count])
            .sink("firings", firings.sink());
        schedule.run(&env);
        let counts = (0..KEYS).map(|key| [key, 2]).chain([[KEYS, 1]]);
        let expected = counts.collect::<Vec<_>>();
        assert!(sorted(firings.take()) == expected, "{schedule:?}");
    }
}
