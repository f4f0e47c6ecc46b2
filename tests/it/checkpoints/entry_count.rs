//! How much a restoring subtask allocates in advance, and what it can skip reading.

use thalweg::checkpoint::{Contents, SimulatedStorage, SubtaskReport};
use thalweg::record::MaxParallelism;

use super::world::{self, Changes, SUBTASKS, open, operator, take, words};

fn set(keys: std::ops::Range<u64>) -> Changes {
    Changes {
        set: keys.map(|key| ((0, key), b"word".to_vec())).collect(),
        ..Changes::default()
    }
}

#[test]
fn an_entry_counts_once_however_often_it_was_written() {
    let storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    // Ten entries, all written by every checkpoint; a subtask's claim is believed up to the number written.
    let counted = [(None, 10), (Some(5), 10), (Some(4), 8), (Some(1000), 40)];
    for (number, (said, expected)) in (1..).zip(counted) {
        let mut pending = store.begin(number).expect("the next one");
        for (subtask, keys) in [(0, 0..5), (1, 5..10)] {
            for piece in set(keys).pieces(subtask) {
                pending.append(&piece).expect("written");
            }
        }
        let report = |subtask| {
            let mut report = world::report(&words(), number == 1);
            report.entries = said;
            SubtaskReport {
                subtask,
                states: vec![report],
            }
        };
        let contents = Contents {
            parent: store.newest(),
            operators: vec![operator()],
            reports: (0..SUBTASKS).map(report).collect(),
            ..Contents::default()
        };
        store.complete(pending, contents).expect("complete");
        let restored = store.restore_newest().expect("undamaged").expect("there");
        assert_eq!(restored.entry_count(&words()), expected, "{said:?}");
    }
}

#[test]
fn pieces_of_subtasks_that_had_none_of_the_keys_are_not_read() {
    let storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    take(&mut store, 1, None, &set(0..100)).expect("complete");
    let restored = store.restore_newest().expect("undamaged").expect("there");
    let groups = MaxParallelism::new(operator().max_parallelism).expect("there are some");
    for (subtask, parallelism, read) in [
        (0, 2, vec![0]),
        (1, 2, vec![1]),
        (0, 1, vec![0, 1]),
        (1, 3, vec![0, 1]),
        (3, 4, vec![1]),
    ] {
        let mut subtasks = Vec::new();
        let hashes = groups.hashes(&groups.range(subtask, parallelism));
        let visited = restored.visit_keys(&words(), &hashes, |piece| {
            subtasks.push(piece.subtask);
            Ok(())
        });
        visited.expect("undamaged");
        subtasks.dedup();
        assert_eq!(subtasks, read, "{subtask} of {parallelism}");
    }
}
