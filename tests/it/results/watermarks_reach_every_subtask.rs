//! Watermarks never go back; they are held by the slowest input but not by an idle one, and tracked per split.

use thalweg::connectors::{Sequence, inlet};
use thalweg::datastream::Environment;
use thalweg::operator::{BoxError, Collector, Push, Source, SourceReader, SourceStatus};
use thalweg::runtime::Step;
use thalweg::time::{ManualClock, Monotonous, Timestamp, WatermarkStrategy, secs};

use crate::observer::{Observer, Seen};
use crate::schedule::Schedule;

fn watermarks(seen: &[Seen]) -> Vec<i64> {
    let watermark = |seen: &Seen| match seen {
        Seen::Watermark(at) => Some(*at),
        Seen::Record(_) => None,
    };
    seen.iter().filter_map(watermark).collect()
}

#[test]
fn no_record_is_late_behind_any_exchange_and_time_ends_everywhere() {
    for schedule in Schedule::all() {
        let env = schedule.environment();
        let observer = Observer::default();
        env.source("numbers", Sequence::new(0..2_000))
            .parallelism(1)
            .timestamps(Monotonous, |n| Timestamp(*n as i64))
            .rebalance()
            .map(|n| *n)
            .shuffle()
            .sink("observer", observer.clone());
        schedule.run(&env);
        for subtask in 0..schedule.parallelism {
            let seen = observer.take(subtask);
            let watermarks = watermarks(&seen);
            assert!(watermarks.is_sorted(), "{schedule:?}: {watermarks:?}");
            assert_eq!(watermarks.last(), Some(&i64::MAX), "{schedule:?}");
            let mut reached = i64::MIN;
            for seen in seen {
                match seen {
                    Seen::Watermark(at) => reached = at,
                    Seen::Record(n) => assert!(n as i64 > reached, "{schedule:?}: {n} is late"),
                }
            }
        }
    }
}

#[test]
fn watermarks_come_along_though_every_batch_fills_its_rings() {
    for schedule in [
        Schedule::steps(2, 0, 1024).rings(4096),
        Schedule::steps(2, 1, 100).rings(512),
        Schedule::threads(2).rings(4096),
    ] {
        const RECORDS: u64 = 40_000;
        let env = schedule.environment();
        let observer = Observer::default();
        env.source("numbers", Sequence::new(0..RECORDS))
            .timestamps(Monotonous, |n| Timestamp(*n as i64))
            .rebalance()
            .sink("observer", observer.clone());
        schedule.run(&env);
        for subtask in 0..schedule.parallelism {
            let seen = observer.take(subtask);
            // A run of half of the records without a watermark could not be chance.
            let runs = seen.split(|seen| matches!(seen, Seen::Watermark(_)));
            let longest = runs.map(|run| run.len()).max();
            let records = RECORDS as usize / schedule.parallelism as usize;
            assert!(longest < Some(records / 2), "{schedule:?}: {longest:?}");
        }
    }
}

#[test]
fn an_idle_input_holds_no_watermark_back() {
    for parallelism in [1, 2] {
        let env = Environment::new().parallelism(parallelism);
        let (mut busy, busy_source) = inlet::<u64>(1 << 12);
        let (mut quiet, quiet_source) = inlet::<u64>(1 << 12);
        let observer = Observer::default();
        let strategy = Monotonous.with_idleness(secs(1));
        let timed = |n: &u64| Timestamp(*n as i64);
        let busy_stream = env
            .source("busy", busy_source)
            .timestamps(Monotonous, timed);
        let quiet_stream = env
            .source("quiet", quiet_source)
            .timestamps(strategy, timed);
        busy_stream
            .global()
            .union(quiet_stream.global())
            .sink("observer", observer.clone());
        let clock = ManualClock::new(Timestamp::from_secs(1));
        let mut job = env.stepper("idle", clock.clone()).expect("deploys");
        busy.push(&100).expect("room");
        quiet.push(&10).expect("room");
        assert_eq!(job.run().expect("runs"), Step::Idle);
        assert_eq!(watermarks(&observer.take(0)).last(), Some(&9));
        busy.push(&200).expect("room");
        assert_eq!(job.run().expect("runs"), Step::Idle);
        assert!(
            watermarks(&observer.take(0)).is_empty(),
            "the quiet input holds it"
        );
        for _ in 0..4 {
            clock.advance(secs(1));
            assert_eq!(job.run().expect("runs"), Step::Idle);
        }
        assert_eq!(
            watermarks(&observer.take(0)),
            [199],
            "the quiet input is idle"
        );
        quiet.push(&50).expect("room");
        busy.push(&300).expect("room");
        assert_eq!(job.run().expect("runs"), Step::Idle);
        let seen = watermarks(&observer.take(0));
        assert!(seen.iter().all(|at| *at >= 199), "never back: {seen:?}");
        drop((busy, quiet));
        assert_eq!(job.run().expect("runs"), Step::Finished);
        assert_eq!(watermarks(&observer.take(0)), [i64::MAX]);
    }
}

/// A source of two splits, read alternately, one of them a hundred ahead of the other.
#[derive(Clone)]
struct TwoSplits;

struct TwoSplitsReader {
    next: u64,
}

const ROUNDS: u64 = 40;

impl Source for TwoSplits {
    type Out = u64;
    type Reader = TwoSplitsReader;

    fn max_parallelism(&self) -> u32 {
        1
    }

    fn reader(&self, _index: u32, _parallelism: u32) -> TwoSplitsReader {
        TwoSplitsReader { next: 0 }
    }
}

impl SourceReader for TwoSplitsReader {
    type Out = u64;

    /// One record of each split per poll; the slow split ends halfway.
    fn poll<D: Push<u64>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        if self.next == ROUNDS {
            return Ok(SourceStatus::Finished);
        }
        out.start_split::<u64>(1);
        out.emit(&(self.next + 100));
        if self.next < ROUNDS / 2 {
            out.start_split::<u64>(2);
            out.emit(&self.next);
        } else if self.next == ROUNDS / 2 {
            out.end_split::<u64>(2);
        }
        self.next += 1;
        Ok(SourceStatus::More)
    }
}

#[test]
fn the_slowest_split_makes_the_watermark_until_it_ends() {
    for schedule in [
        Schedule::threads(1),
        Schedule::threads(2),
        Schedule::steps(2, 4, 1),
    ] {
        let env = schedule.environment();
        let observer = Observer::default();
        env.source("splits", TwoSplits)
            .timestamps(Monotonous, |n| Timestamp(*n as i64))
            .broadcast()
            .sink("observer", observer.clone());
        schedule.run(&env);
        for subtask in 0..schedule.parallelism {
            let mut slow_left = ROUNDS / 2;
            let seen = observer.take(subtask);
            for seen in &seen {
                match seen {
                    Seen::Record(n) if *n < 100 => slow_left -= 1,
                    Seen::Watermark(at) if slow_left > 0 => {
                        let slow = ROUNDS / 2 - slow_left;
                        assert!(*at < slow as i64, "{at} is past the slow split's {slow}");
                    }
                    _ => {}
                }
            }
            let before_the_end = watermarks(&seen).into_iter().rfind(|at| *at != i64::MAX);
            assert_eq!(
                before_the_end,
                Some((100 + ROUNDS - 2) as i64),
                "{schedule:?}"
            );
        }
    }
}

#[test]
fn splits_do_not_cross_an_exchange_whether_or_not_it_vanishes() {
    for vanishes in [true, false] {
        let env = Environment::new();
        let observer = Observer::default();
        let mut records = env.source("splits", TwoSplits).rebalance();
        if !vanishes {
            records = records.start_new_chain();
        }
        records
            .timestamps(Monotonous, |n| Timestamp(*n as i64))
            .sink("observer", observer.clone());
        let clock = ManualClock::new(Timestamp(0));
        let mut job = env.stepper("splits", clock).expect("deploys").batch(2);
        assert_eq!(job.run().expect("runs"), Step::Finished);
        let seen = observer.take(0);
        let slow = |seen: &Seen| matches!(seen, Seen::Record(n) if *n < 100);
        let last = seen.iter().rposition(slow).expect("the slow split's last");
        let reached = watermarks(&seen[..last]);
        assert!(
            reached.last() >= Some(&100),
            "one generator sees both: {reached:?}"
        );
    }
}
