//! Session windows against Flink's rules: at random against the oracle, and trap by trap.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::harness::{Collect, Harness, Key, WindowResult, harness_in, harness_of};
use super::oracle::{Event, Record, of_key};
use super::restoring::{barrier, context, write};
use super::{Step, busy, lists, steps, sums, sums_of_lists};
use crate::checkpoint::MemorySnapshot;
use crate::operator::window::{
    DynamicGap, FixedGap, Lateness, Session, SessionGap, SessionOperator, WindowFunction,
};
use crate::operator::{Barrier, OperatorError, Signal};
use crate::time::nanoseconds;

type Window = (i64, i64);

fn last(window: Window) -> i64 {
    window.1 - 1
}

/// The windows of one key that are in flight, each with its state window: Flink's `MergingWindowSet`.
type Mapping = BTreeMap<Window, Window>;

/// Flink's `WindowOperator` with `EventTimeSessionWindows`, transcribed.
struct Oracle {
    lateness: i64,
    watermark: i64,
    mappings: BTreeMap<u8, Mapping>,
    contents: BTreeMap<(u8, Window), Vec<u32>>,
    timers: BTreeSet<(i64, u8, Window)>,
    events: Vec<Event>,
}

impl Oracle {
    fn new(lateness: i64) -> Self {
        Oracle {
            lateness,
            watermark: i64::MIN,
            mappings: BTreeMap::new(),
            contents: BTreeMap::new(),
            timers: BTreeSet::new(),
            events: Vec::new(),
        }
    }

    fn cleanup(&self, window: Window) -> i64 {
        last(window).saturating_add(self.lateness)
    }

    /// `TimeWindow.mergeWindows`: the windows that are merged, if there are several.
    fn merge_windows(mut windows: Vec<Window>) -> Vec<(Window, BTreeSet<Window>)> {
        windows.sort_unstable();
        let mut merged: Vec<(Window, BTreeSet<Window>)> = Vec::new();
        for window in windows {
            match merged.last_mut() {
                Some((result, of)) if result.0 <= window.1 && result.1 >= window.0 => {
                    *result = (result.0.min(window.0), result.1.max(window.1));
                    of.insert(window);
                }
                _ => merged.push((window, BTreeSet::from([window]))),
            }
        }
        merged.retain(|(_, of)| of.len() > 1);
        merged
    }

    /// `MergingWindowSet.addWindow` with `WindowOperator`'s merge function.
    fn add_window(&mut self, key: u8, new: Window) -> Window {
        let mapping = self.mappings.entry(key).or_default();
        // Flink would forget what a merged window equal to the new one has in its state window.
        let known = mapping.contains_key(&new);
        let windows = mapping.keys().copied().chain([new]).collect();
        let mut result = new;
        let mut merged_new = false;
        for (merged, mut of) in Self::merge_windows(windows) {
            if of.remove(&new) {
                merged_new = true;
                result = merged;
            }
            let mapping = self.mappings.entry(key).or_default();
            let kept = mapping[of.first().expect("another one was merged")];
            let mut states: Vec<Window> = of.iter().filter_map(|m| mapping.remove(m)).collect();
            mapping.insert(merged, kept);
            states.retain(|state| *state != kept);
            if !(of.contains(&merged) && of.len() == 1) {
                assert!(self.cleanup(merged) > self.watermark, "Flink would refuse");
                if last(merged) > self.watermark {
                    self.timers.insert((last(merged), key, merged));
                }
                for window in of {
                    self.timers.remove(&(last(window), key, window));
                    self.timers.remove(&(self.cleanup(window), key, window));
                }
                for state in states {
                    let moved = self.contents.remove(&(key, state)).unwrap_or_default();
                    self.contents.entry((key, kept)).or_default().extend(moved);
                }
            }
        }
        if !merged_new && !known {
            self.mappings.entry(key).or_default().insert(new, new);
        }
        result
    }

    fn push(&mut self, (key, value): Record, at: i64, gap: i64) {
        let window = self.add_window(key, (at, at + gap));
        if self.cleanup(window) <= self.watermark {
            self.mappings.entry(key).or_default().remove(&window);
            if at.saturating_add(self.lateness) <= self.watermark {
                self.events.push(Event::Late { key, value, at });
            }
            return;
        }
        let state = self.mappings[&key][&window];
        self.contents.entry((key, state)).or_default().push(value);
        if last(window) <= self.watermark {
            self.emit(key, window, state);
        } else {
            self.timers.insert((last(window), key, window));
        }
        if self.cleanup(window) != i64::MAX {
            self.timers.insert((self.cleanup(window), key, window));
        }
    }

    fn emit(&mut self, key: u8, window: Window, state: Window) {
        let mut values = self.contents[&(key, state)].clone();
        // In order of arrival, which is that of the values.
        values.sort_unstable();
        self.events.push(Event::Result {
            key,
            start: window.0,
            end: window.1,
            at: last(window),
            values,
        });
    }

    fn watermark(&mut self, watermark: i64) {
        if watermark <= self.watermark {
            return;
        }
        self.watermark = watermark;
        while let Some(&(time, key, window)) = self.timers.first().filter(|t| t.0 <= watermark) {
            self.timers.pop_first();
            let Some(&state) = self.mappings.get(&key).and_then(|m| m.get(&window)) else {
                continue;
            };
            if time == last(window) {
                self.emit(key, window, state);
            }
            if time == self.cleanup(window) {
                self.contents.remove(&(key, state));
                self.mappings.entry(key).or_default().remove(&window);
            }
        }
        self.events.push(Event::Watermark(watermark));
    }
}

type Sessions<F, G> = SessionOperator<Record, Key, F, Collect, G>;

fn sessions<F, G>(session: Session<G>, lateness: i64, function: F) -> Harness<Sessions<F, G>>
where
    F: WindowFunction<Record, u8, Out = WindowResult>,
    G: SessionGap<Record>,
{
    harness_of(|selector, outputs, tag| {
        SessionOperator::new("s".into(), session, selector, function, outputs)
            .unwrap()
            .allowed_lateness(Lateness::of(nanoseconds(lateness as u64)))
            .late_to(tag)
    })
}

fn fixed(gap: i64) -> Session {
    Session::with_gap(nanoseconds(gap as u64))
}

/// The gap after a record, if records have their own gaps.
fn gap_of(record: &Record) -> i64 {
    i64::from(record.1 % 7 * 5 + 1)
}

fn dynamic() -> Session<DynamicGap<fn(&Record) -> Duration>> {
    Session::with_dynamic_gap((|record| nanoseconds(gap_of(record) as u64)) as fn(&Record) -> _)
}

/// Compares with the oracle; the records' gaps are `gap` or, without one, their own.
fn check<F, G>(
    mut harness: Harness<Sessions<F, G>>,
    gap: Option<i64>,
    lateness: i64,
    steps: &[Step],
    as_sums: bool,
) where
    F: WindowFunction<Record, u8, Out = WindowResult>,
    G: SessionGap<Record>,
{
    let mut oracle = Oracle::new(lateness);
    for step in steps {
        match *step {
            Step::Push(record, at) => {
                oracle.push(record, at, gap.unwrap_or(gap_of(&record)));
                harness.push(record, at);
            }
            Step::Watermark(at) => {
                oracle.watermark(at);
                harness.watermark(at);
            }
        }
    }
    oracle.watermark(i64::MAX);
    harness.watermark(i64::MAX);
    harness.signal(Signal::End);
    let is_late = |event: &&Event| matches!(event, Event::Late { .. });
    let late = oracle.events.iter().filter(is_late).count();
    assert_eq!(harness.metric("late_records"), late as i64);
    if lateness < i64::MAX / 2 {
        assert_eq!(harness.metric("state_entries"), 0);
        assert_eq!(harness.metric("timers"), 0);
    }
    oracle.events.push(Event::End);
    let expected = if as_sums {
        sums_of_lists(oracle.events)
    } else {
        oracle.events
    };
    let found = harness.events();
    for key in 0..5 {
        assert_eq!(of_key(&found, key), of_key(&expected, key), "key {key}");
    }
    assert_eq!(found.len(), expected.len());
    // Between keys there is an order too: what a watermark fires is emitted in time order.
    let (mut watermark, mut latest) = (i64::MIN, i64::MIN);
    for event in &found {
        match event {
            Event::Watermark(at) => watermark = *at,
            Event::Result { at, .. } if *at > watermark => {
                assert!(*at >= latest, "{at} after {latest}");
                latest = *at;
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sessions_are_flinks(
        gap in 1..25_i64, lateness in prop_oneof![Just(0), 1..60_i64, Just(i64::MAX)],
        steps in steps(300), budget in 1..40_u32, busy in busy(),
    ) {
        let mut harness = sessions(fixed(gap), lateness, lists());
        harness.budget = budget;
        harness.down.0.lock().unwrap().busy = busy;
        check(harness, Some(gap), lateness, &steps, false);
    }

    #[test]
    fn aggregated_sessions_with_gaps_of_their_own_are_flinks(
        lateness in prop_oneof![Just(0), 1..60_i64], steps in steps(300), budget in 1..40_u32,
    ) {
        let mut harness = sessions(dynamic(), lateness, sums());
        harness.budget = budget;
        check(harness, None, lateness, &steps, true);
    }
}

fn result(key: u8, start: i64, end: i64, values: &[u32]) -> Event {
    let (at, values) = (end - 1, values.to_vec());
    Event::Result {
        key,
        start,
        end,
        at,
        values,
    }
}

#[test]
fn sessions_that_touch_are_one() {
    let mut sessions = sessions(fixed(10), 0, lists());
    sessions.push((1, 1), 0);
    sessions.push((1, 2), 10);
    sessions.push((1, 3), 21);
    sessions.watermark(100);
    let expected = [
        result(1, 0, 20, &[1, 2]),
        result(1, 21, 31, &[3]),
        Event::Watermark(100),
    ];
    assert_eq!(sessions.events(), expected);
}

#[test]
fn late_record_is_saved_by_a_session_that_it_merges_with() {
    let mut sessions = sessions(fixed(10), 0, lists());
    sessions.push((1, 1), 18);
    sessions.watermark(20);
    sessions.push((1, 2), 9);
    sessions.push((2, 3), 9);
    sessions.watermark(27);
    let late = Event::Late {
        key: 2,
        value: 3,
        at: 9,
    };
    let expected = [
        Event::Watermark(20),
        late,
        result(1, 9, 28, &[1, 2]),
        Event::Watermark(27),
    ];
    assert_eq!(sessions.events(), expected);
}

#[test]
fn sessions_joined_by_a_record_fire_once() {
    let mut sessions = sessions(fixed(10), 0, lists());
    sessions.push((1, 1), 0);
    sessions.push((1, 2), 15);
    sessions.push((1, 3), 7);
    sessions.watermark(24);
    assert_eq!(
        sessions.events(),
        [result(1, 0, 25, &[1, 2, 3]), Event::Watermark(24)]
    );
}

#[test]
fn session_that_has_fired_is_opened_again_by_a_record_beyond_the_watermark() {
    let mut sessions = sessions(fixed(10), 30, lists());
    sessions.push((1, 1), 0);
    sessions.watermark(9);
    sessions.push((1, 2), 8);
    sessions.push((1, 3), 5);
    sessions.watermark(17);
    sessions.push((1, 4), 6);
    sessions.watermark(50);
    let expected = [
        result(1, 0, 10, &[1]),
        Event::Watermark(9),
        result(1, 0, 18, &[1, 2, 3]),
        Event::Watermark(17),
        result(1, 0, 18, &[1, 2, 3, 4]),
        Event::Watermark(50),
    ];
    assert_eq!(sessions.events(), expected);
    assert_eq!(sessions.metric("state_entries"), 0);
}

#[test]
fn a_session_registers_one_timer_however_many_records_it_has() {
    let mut sessions = sessions(fixed(100), 0, sums());
    for at in 0..1000 {
        sessions.push((1, 1), at);
    }
    assert_eq!(sessions.metric("timers"), 1);
    sessions.watermark(1097);
    assert_eq!(sessions.metric("timers"), 1);
    assert_eq!(sessions.events(), [Event::Watermark(1097)]);
    sessions.watermark(1098);
    let fired = result(1, 0, 1099, &[1000, 1000, 1]);
    assert_eq!(sessions.events(), [fired, Event::Watermark(1098)]);
    assert_eq!(sessions.metric("timers"), 0);
}

#[test]
fn sessions_that_have_fired_do_not_fire_again_once_less_lateness_is_allowed() {
    let sessions = |lateness, restored| {
        harness_in(context(0, 1, restored), |selector, outputs, _| {
            SessionOperator::new("s".into(), fixed(10), selector, lists(), outputs)
                .unwrap()
                .allowed_lateness(Lateness::of(nanoseconds(lateness)))
        })
        .unwrap()
    };
    let mut memory = MemorySnapshot::new(1);
    let mut before = sessions(10, None);
    before.push((1, 7), 90);
    before.watermark(105);
    before.signal(barrier(1, Barrier::WHOLE));
    write(&mut before.operator, 1, 0, &mut memory);
    let mut after = sessions(0, Some(memory.restored()));
    after.watermark(110);
    assert_eq!(after.events(), [Event::Watermark(110)]);
    assert_eq!(after.metric("state_entries"), 0);
}

#[test]
fn gap_of_zero_fails_the_subtask() {
    let zero = Session::with_dynamic_gap(|record: &Record| nanoseconds(u64::from(record.1)));
    let mut sessions = sessions(zero, 0, lists());
    sessions.push((1, 5), 0);
    for at in [3, 100] {
        let push = std::panic::AssertUnwindSafe(|| sessions.push((1, 0), at));
        let error = OperatorError::from_panic(std::panic::catch_unwind(push).unwrap_err());
        assert!(error.to_string().contains("gap"), "{error}");
        sessions.down.0.clear_poison();
    }
}

#[test]
fn sessions_without_a_gap_cannot_be() {
    assert!(fixed(0).check::<Record>().is_err());
    assert!(
        Session::<FixedGap>::with_gap(Duration::from_secs(u64::MAX))
            .check::<Record>()
            .is_err()
    );
}
