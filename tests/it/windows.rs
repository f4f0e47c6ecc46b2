//! Event-time windows fire with the records that belong to them, whatever the parallelism.

use std::collections::BTreeMap;

use thalweg::connectors::{Collected, Collection, Discard};
use thalweg::datastream::Environment;
use thalweg::operator::{
    BoxError, Collector, OutputTag, Push, Source, SourceReader, SourceStatus, Tumbling,
};
use thalweg::state::Count;
use thalweg::time::{BoundedOutOfOrderness, Timestamp, nanoseconds, secs};

#[test]
fn tumbling_counts_are_the_group_by_and_late_records_go_to_the_side_output() {
    // Keys 0 to 4, one record per 100 ms, every tenth one 5 s late.
    let at = |i: i64| Timestamp::from_millis(i * 100 - if i % 10 == 9 { 5_000 } else { 0 });
    let records: Vec<(u64, i64)> = (0..2_000).map(|i| (i as u64 % 5, at(i).0)).collect();
    let run = |parallelism: u32, bound: u64| {
        let env = Environment::new().parallelism(parallelism);
        let (counts, lates) = (Collected::new(), Collected::new());
        let late = OutputTag::new("late");
        let results = env
            .source("records", Collection::of(records.clone()))
            .timestamps(BoundedOutOfOrderness::of(secs(bound)), |r| Timestamp(r.1))
            .key_by(|r| r.0.to_native())
            .window(Tumbling::of(secs(2)))
            .late_to(&late)
            .aggregate_with(Count, |key, window, count| (*key, window.start.0, count));
        results.side_output(&late).sink(
            "late",
            lates.sink_with(|r: &thalweg::record::View<(u64, i64)>, _| r.1.to_native()),
        );
        results.sink("counts", counts.sink());
        env.execute("windows").expect("the job finishes");
        let mut counts = counts.take();
        counts.sort_unstable();
        (counts, lates.take().len())
    };
    let mut expected: BTreeMap<(u64, i64), u64> = BTreeMap::new();
    for (key, at) in &records {
        *expected
            .entry((*key, at.div_euclid(2_000_000_000) * 2_000_000_000))
            .or_default() += 1;
    }
    let expected: Vec<_> = expected.into_iter().map(|((k, w), n)| (k, w, n)).collect();
    for parallelism in [1, 2, 3, 8] {
        let (counts, late) = run(parallelism, 10);
        assert_eq!(
            (counts, late),
            (expected.clone(), 0),
            "parallelism {parallelism}"
        );
        let (counts, late) = run(parallelism, 0);
        let counted: u64 = counts.iter().map(|c| c.2).sum();
        assert_eq!(counted + late as u64, 2_000);
    }
}

const KEYS: u64 = 5_000;

/// Emits a record of each key in each of three windows, then the watermarks that end these, at once.
struct Bursts;

struct BurstReader(u64);

impl Source for Bursts {
    type Out = u64;
    type Reader = BurstReader;

    fn max_parallelism(&self) -> u32 {
        1
    }

    fn reader(&self, _index: u32, _parallelism: u32) -> BurstReader {
        BurstReader(0)
    }
}

impl SourceReader for BurstReader {
    type Out = u64;

    fn poll<D: Push<u64>>(&mut self, out: &mut Collector<'_, D>) -> Result<SourceStatus, BoxError> {
        while self.0 < 3 * KEYS {
            if !out.ready() {
                return Ok(SourceStatus::More);
            }
            let (key, window) = (self.0 % KEYS, (self.0 / KEYS) as i64);
            out.emit_at(&key, Timestamp(window * 10));
            self.0 += 1;
        }
        for window in 1..=3 {
            out.watermark::<u64>(Timestamp(window * 10));
        }
        Ok(SourceStatus::Finished)
    }
}

#[test]
fn watermarks_that_a_source_emits_at_once_end_their_windows_one_after_the_other() {
    for parallelism in [1, 2] {
        let env = Environment::new().parallelism(parallelism);
        let counts = Collected::new();
        env.source("bursts", Bursts)
            .key_by(|key| *key)
            .window(Tumbling::of(nanoseconds(10)))
            .aggregate_with(Count, |key, window, count| (window.start.0, *key, count))
            .sink("counts", counts.sink());
        env.execute("windows").expect("the job finishes");
        let mut counts = counts.take();
        counts.sort_unstable();
        let expected = (0..3).flat_map(|window| (0..KEYS).map(move |key| (window * 10, key, 1)));
        assert_eq!(counts, expected.collect::<Vec<_>>());
    }
}

#[test]
fn state_of_windows_that_are_gone_is_not_counted() {
    for parallelism in [1, 2] {
        let env = Environment::new().parallelism(parallelism);
        env.source("numbers", Collection::of(0..10_000_i64))
            .timestamps(BoundedOutOfOrderness::of(secs(0)), |n| Timestamp(*n))
            .key_by(|n| n % 10)
            .window(Tumbling::of(nanoseconds(10)))
            .allowed_lateness(nanoseconds(9_000))
            .aggregate(Count)
            .sink("nowhere", Discard::new());
        let result = env.execute("counts").expect("it finishes");
        assert_eq!(result.total("state_entries"), 0);
    }
}
