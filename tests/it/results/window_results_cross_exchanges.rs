//! What windows come to is a record: other subtasks read it, and so does a host.

use thalweg::connectors::{Collected, Collection, outlet};
use thalweg::datastream::WindowResult;
use thalweg::operator::{Elements, TimeWindow, Tumbling};
use thalweg::record::{Key, View};
use thalweg::state::{Count, Mean};
use thalweg::time::{Monotonous, Timestamp, nanoseconds};

use crate::schedule::{Schedule, sorted};

/// A mean with the key of texts, in the form in which a result has it.
type WordMean = WindowResult<<str as Key>::Stored, Option<f64>>;

/// Words of any length, each with its time, of which there are twenty.
fn words() -> Vec<(String, u64)> {
    let word = |at: u64| "a".repeat(1 + 20 * (at as usize % 3));
    (0..20).map(|at| (word(at), at)).collect()
}

/// The window of ten times that holds `at`.
fn window(at: u64) -> TimeWindow {
    let start = Timestamp((at / 10 * 10) as i64);
    TimeWindow {
        start,
        end: start + nanoseconds(10),
    }
}

/// The means of the times of each word and window: of the word's length, the window and the mean.
fn expected() -> Vec<(usize, TimeWindow, f64)> {
    let mean = |word: u64, first: u64| {
        let times: Vec<_> = (first..first + 10).filter(|at| at % 3 == word).collect();
        times.iter().sum::<u64>() as f64 / times.len() as f64
    };
    let of_word = |word: u64| {
        let length = 1 + 20 * word as usize;
        [0, 10].map(|first| (length, window(first), mean(word, first)))
    };
    (0..3).flat_map(of_word).collect()
}

#[test]
fn results_are_read_behind_exchanges_and_by_the_host() {
    for schedule in Schedule::some() {
        let env = schedule.environment();
        let (mut means, sink) = outlet::<WordMean>(1 << 16);
        let (lengths, counts) = (Collected::new(), Collected::new());
        let results = env
            .source("words", Collection::of(words()))
            .timestamps(Monotonous, |word| Timestamp(word.1 as i64))
            .key_by_ref(|word| word.0.as_str())
            .window(Tumbling::of(nanoseconds(10)))
            .aggregate(Mean::of(|word: &View<(String, u64)>| {
                word.1.to_native() as f64
            }));
        let [first, second, third] = results.fork();
        first.sink("means", sink);
        second
            .rebalance()
            .map(|mean| mean.to_owned().key.len())
            .sink("lengths", lengths.sink());
        third
            .key_by(|mean| mean.window.to_native())
            .window(Tumbling::of(nanoseconds(10)))
            .aggregate(Count)
            .sink("counts", counts.sink());
        schedule.run(&env);

        let mut found = Vec::new();
        means.poll(|mean, at| {
            let mean = mean.to_owned();
            assert_eq!(at, mean.window.max_timestamp());
            found.push((mean.key.len(), mean.window, mean.value.expect("a mean")));
        });
        found.sort_by_key(|(length, window, _)| (*length, *window));
        assert_eq!(found, expected(), "{schedule:?}");
        assert_eq!(sorted(lengths.take()), [1, 1, 21, 21, 41, 41]);
        let counted = |count: WindowResult<TimeWindow, u64>| (count.key, count.value);
        let counts = sorted(counts.take().into_iter().map(counted));
        assert_eq!(counts, [(window(0), 3), (window(10), 3)], "{schedule:?}");
    }
}

#[test]
fn windows_over_all_are_reduced_and_handed_over_in_one_subtask() {
    for schedule in Schedule::some() {
        let env = schedule.environment();
        let (last, lists) = (Collected::new(), Collected::new());
        let stream = env
            .source("numbers", Collection::of(0..20_u64))
            .timestamps(Monotonous, |at| Timestamp(*at as i64));
        let [first, second] = stream.fork();
        first
            .window_all(Tumbling::of(nanoseconds(10)))
            .reduce(|one, other| *one.max(other))
            .sink("last", last.sink());
        second
            .window_all(Tumbling::of(nanoseconds(10)))
            .process(|window, numbers: &Elements<u64>, emit| {
                emit(&(window, numbers.iter().copied().collect::<Vec<_>>()));
            })
            .sink("lists", lists.sink());
        schedule.run(&env);
        assert_eq!(last.take(), [9, 19], "{schedule:?}");
        let expected = [0, 10].map(|first| (window(first), (first..first + 10).collect()));
        assert_eq!(lists.take(), expected, "{schedule:?}");
    }
}
