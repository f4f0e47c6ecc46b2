//! Timers: in event time they fire when the watermark reaches them, in processing time when the clock does.

use std::collections::BTreeSet;

use thalweg::connectors::{Collected, Collection, inlet};
use thalweg::datastream::Environment;
use thalweg::operator::{KeyedProcessContext, KeyedProcessFunction, Outcome, TimeDomain};
use thalweg::runtime::Step;
use thalweg::time::{ManualClock, Monotonous, Timestamp, nanoseconds};

use crate::schedule::{Schedule, by_key, sorted};

/// A timer ten after each record; emits the key and the timer's time.
#[derive(Clone)]
struct TenLater(TimeDomain);

impl KeyedProcessFunction<u64, [u64; 2]> for TenLater {
    type Out = (u64, i64);

    fn process(
        &mut self,
        _: &[u64; 2],
        cx: &mut impl KeyedProcessContext<u64, (u64, i64)>,
    ) -> Outcome {
        match self.0 {
            TimeDomain::Event => {
                let at = cx.timestamp().ok_or("no timestamp")?;
                cx.register_event_timer(at.saturating_add(10));
            }
            TimeDomain::Processing => {
                let at = cx.processing_time();
                cx.register_processing_timer(at.saturating_add(10));
            }
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        at: Timestamp,
        domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, (u64, i64)>,
    ) -> Outcome {
        if domain != self.0 {
            return Err("a timer of another domain".into());
        }
        let reached = match domain {
            TimeDomain::Event => cx.watermark(),
            TimeDomain::Processing => cx.processing_time(),
        };
        if reached < at {
            return Err(format!("a timer at {at} fires at {reached}").into());
        }
        let fired = (*cx.key(), at.0);
        cx.emit(&fired);
        Ok(())
    }
}

#[test]
fn event_timers_fire_once_in_order_at_every_parallelism() {
    let record = |n: u64| [n * 5 % 17, n / 3];
    let records: Vec<[u64; 2]> = (0..1_200).map(record).collect();
    let expected: BTreeSet<(u64, i64)> = records.iter().map(|r| (r[0], r[1] as i64 + 10)).collect();
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let fired = Collected::new();
        env.source("records", Collection::of(records.clone()))
            .timestamps(Monotonous, |record| Timestamp(record[1] as i64))
            .key_by(|record| record[0])
            .process(TenLater(TimeDomain::Event))
            .sink("fired", fired.sink());
        schedule.run(&env);
        let fired = fired.take();
        for times in by_key(fired.clone(), |timer| timer.0).values() {
            assert!(times.is_sorted(), "{schedule:?}");
        }
        assert!(
            sorted(fired).into_iter().eq(expected.iter().copied()),
            "{schedule:?}"
        );
    }
}

#[test]
fn processing_timers_fire_when_the_clock_reaches_them() {
    for parallelism in [1, 3] {
        let env = Environment::new().parallelism(parallelism);
        let (mut records, source) = inlet::<[u64; 2]>(1 << 12);
        let fired = Collected::new();
        env.source("records", source)
            .key_by(|record| record[0])
            .process(TenLater(TimeDomain::Processing))
            .sink("fired", fired.sink());
        let clock = ManualClock::new(Timestamp(100));
        let mut job = env.stepper("timers", clock.clone()).expect("deploys");
        for key in 0..5 {
            records.push(&[key, 0]).expect("room");
        }
        assert_eq!(job.run().expect("runs"), Step::Idle);
        clock.advance(nanoseconds(9));
        assert_eq!(job.run().expect("runs"), Step::Idle);
        assert!(fired.take().is_empty(), "not before its time");
        clock.advance(nanoseconds(1));
        assert_eq!(job.run().expect("runs"), Step::Idle);
        let expected: Vec<(u64, i64)> = (0..5).map(|key| (key, 110)).collect();
        assert_eq!(sorted(fired.take()), expected);
        records.push(&[9, 0]).expect("room");
        drop(records);
        assert_eq!(job.run().expect("runs"), Step::Finished);
        assert!(fired.take().is_empty(), "none is fired by the end of input");
    }
}
