//! Whatever is done to a store, the restored state is what a map would hold.

use proptest::prelude::*;
use thalweg::checkpoint::{FoldTask, Loss, SimulatedStorage};

use super::world::{Changes, Entries, contents, open, take};

#[derive(Clone, Debug)]
enum Step {
    /// An incremental checkpoint.
    Changed(Changes),
    /// A full checkpoint.
    Whole(Changes),
    /// A checkpoint that is started and aborted.
    Abandon,
    /// A fold starts.
    Plan,
    /// The fold is attached.
    Attach,
    /// The process restarts after a power loss.
    Restart(u64),
}

fn key() -> impl Strategy<Value = (i64, u64)> {
    (0..3i64, 0..20u64)
}

fn some_changes() -> impl Strategy<Value = Changes> {
    let value = prop::collection::vec(any::<u8>(), 0..40);
    let set = prop::collection::btree_map(key(), value, 0..12);
    let dropped = prop::collection::vec(0..3i64, 0..2);
    let removed = prop::collection::vec(key(), 0..4);
    (dropped, removed, set).prop_map(|(dropped, removed, set)| Changes {
        dropped,
        removed,
        set: set.into_iter().collect(),
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => some_changes().prop_map(Step::Changed),
        1 => some_changes().prop_map(Step::Whole),
        1 => Just(Step::Abandon),
        3 => Just(Step::Plan),
        3 => Just(Step::Attach),
        1 => any::<u64>().prop_map(Step::Restart),
    ]
}

fn restored_is(store: &mut thalweg::checkpoint::CheckpointStore, wanted: &Entries) {
    if let Some(restored) = store.restore_newest().expect("undamaged") {
        assert_eq!(contents(&restored).expect("undamaged"), *wanted);
    }
    assert!(store.rejected().is_empty());
}

fn run(steps: Vec<Step>) {
    let mut storage = SimulatedStorage::new(1);
    let mut store = open(&storage).expect("empty");
    let mut entries = Entries::new();
    let mut fold: Option<FoldTask> = None;
    for step in steps {
        let (next, newest) = (store.next_checkpoint(), store.newest());
        match step {
            Step::Changed(changes) => {
                changes.apply(&mut entries);
                take(&mut store, next, newest, &changes).expect("complete");
            }
            Step::Whole(changes) => {
                changes.apply(&mut entries);
                take(&mut store, next, None, &Changes::of(&entries)).expect("complete");
            }
            Step::Abandon => {
                let mut pending = store.begin(next).expect("the next");
                for piece in Changes::of(&entries).pieces(0) {
                    pending.append(&piece).expect("written");
                }
                store.abandon(pending);
            }
            Step::Plan => fold = store.plan_fold().or(fold),
            Step::Attach => {
                if let Some(task) = fold.take() {
                    store.attach(task.run().expect("no faults"));
                }
            }
            Step::Restart(seed) => {
                fold = None;
                drop(store);
                storage = storage.power_loss(Loss::Some(seed));
                store = open(&storage).expect("undamaged");
            }
        }
        restored_is(&mut store, &entries);
    }
}

proptest! {
    #[test]
    fn what_is_restored_is_what_a_map_would_hold(steps in prop::collection::vec(step(), 0..40)) {
        run(steps);
    }
}
