//! The ways in which a job may run, none of which may affect its results.

use thalweg::datastream::Environment;
use thalweg::runtime::{BatchSize, Step};
use thalweg::time::{ManualClock, Timestamp};

/// How a job is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) parallelism: u32,
    /// The seed of a stepper; `None` to run on threads.
    seed: Option<u64>,
    batch: u32,
    ring_capacity: usize,
}

impl Schedule {
    /// Runs on threads at a given parallelism.
    pub(crate) fn threads(parallelism: u32) -> Self {
        Schedule {
            parallelism,
            seed: None,
            batch: 1024,
            ring_capacity: 16 * 1024,
        }
    }

    /// Runs step by step in the order that a seed determines.
    pub(crate) fn steps(parallelism: u32, seed: u64, batch: u32) -> Self {
        Schedule {
            seed: Some(seed),
            batch,
            ..Self::threads(parallelism)
        }
    }

    /// Sets the size of the rings.
    pub(crate) fn rings(self, bytes: usize) -> Self {
        Schedule {
            ring_capacity: bytes,
            ..self
        }
    }

    /// Every parallelism, on threads and in steps of several orders and batch sizes, one of them with rings that are
    /// always full.
    pub(crate) fn all() -> impl Iterator<Item = Schedule> {
        [1, 2, 3, 8].into_iter().flat_map(|parallelism| {
            [
                Schedule::threads(parallelism),
                Schedule::steps(parallelism, 0, 1024),
                Schedule::steps(parallelism, 1, 1),
                Schedule::steps(parallelism, 0xC0FFEE, 17).rings(512),
            ]
        })
    }

    /// A few of them, for jobs that are run with many inputs.
    pub(crate) fn some() -> [Schedule; 4] {
        [
            Schedule::threads(2),
            Schedule::steps(1, 0, 64),
            Schedule::steps(3, 5, 3).rings(512),
            Schedule::steps(8, 9, 16),
        ]
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment::new()
            .parallelism(self.parallelism)
            .batch(BatchSize::Fixed(self.batch))
            .ring_capacity(self.ring_capacity)
    }

    /// Runs the job to its end.
    pub(crate) fn run(&self, env: &Environment) {
        let Some(seed) = self.seed else {
            env.execute("threads")
                .unwrap_or_else(|error| panic!("{self:?}: {error}"));
            return;
        };
        let clock = ManualClock::new(Timestamp(0));
        let stepper = env.stepper("steps", clock).expect("the job deploys");
        let ran = stepper.seeded(seed).batch(self.batch).run();
        assert_eq!(ran.expect("the job runs"), Step::Finished, "{self:?}");
    }
}

/// Sorts records, to compare what arrives in no particular order.
pub(crate) fn sorted<T: Ord>(records: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut records: Vec<T> = records.into_iter().collect();
    records.sort();
    records
}

/// The records by key, those of each key in the order of arrival.
pub(crate) fn by_key<K: Ord + Clone, T>(
    records: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> std::collections::BTreeMap<K, Vec<T>> {
    let mut keys = std::collections::BTreeMap::<K, Vec<T>>::new();
    for record in records {
        keys.entry(key(&record)).or_default().push(record);
    }
    keys
}
