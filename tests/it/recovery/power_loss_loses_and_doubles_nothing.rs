//! A simulation of whole jobs: one seed determines the job's shape, the order of its turns, when checkpoints are
//! taken, whether their barriers overtake, when the power fails, what survives on the disk, and which accesses to the
//! disk fail.
//!
//! Three things must hold: the committed rows are those of an undisturbed run, none lost, none duplicated; an
//! acknowledged checkpoint is never taken back; what was committed never changes, in a [`Ledger`] outside or in part
//! files on another disk that loses power too.

use std::sync::Arc;
use std::time::Duration;

use thalweg::checkpoint::{Faults, Loss, SimulatedStorage, Storage};
use thalweg::operator::{KeyedOpenContext, KeyedProcessContext, KeyedProcessFunction};
use thalweg::prelude::*;
use thalweg::runtime::Step;
use thalweg::state::ValueState;

use super::ledger::Ledger;
use super::output_disk::OutputDisk;

/// The number of seeds in a run of the tests.
const SEEDS: u64 = 20_000;
const NUMBERS: u64 = 160;
const KEYS: u64 = 7;
/// More steps than a job that makes progress takes.
const STEPS_MAX: u64 = 20_000;
/// The duration of a step.
const STEP: Duration = Duration::from_millis(1);

/// The random decisions of a seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % sides
    }
}

/// Counts the numbers of a key, using a timer for each: the row is emitted when its timer fires.
#[derive(Clone, Default)]
struct CountedByTimers {
    count: ValueState<u64>,
}

impl KeyedProcessFunction<u64, u64> for CountedByTimers {
    type Out = [u64; 2];

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.count = cx.state().value_state("count")?;
        Ok(())
    }

    fn process(&mut self, n: &u64, cx: &mut impl KeyedProcessContext<u64, [u64; 2]>) -> Outcome {
        cx.register_event_timer(Timestamp(*n as i64 + 5));
        Ok(())
    }

    fn on_timer(
        &mut self,
        _at: Timestamp,
        _domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, [u64; 2]>,
    ) -> Outcome {
        self.count.update(cx, |count| *count += 1);
        let row = [*cx.key(), self.count.value(cx).unwrap_or_default()];
        cx.emit(&row);
        Ok(())
    }
}

/// Where the rows go.
#[derive(Clone)]
enum Output {
    Ledger(Ledger),
    Files(OutputDisk),
}

impl Output {
    fn end(&self, rows: Stream<impl Pipe<Out = [u64; 2]>>) {
        match self {
            Output::Ledger(ledger) => rows.sink("ledger", ledger.clone()),
            Output::Files(disk) => rows.sink("files", disk.sink()),
        };
    }

    fn rows(&self) -> Vec<[u64; 2]> {
        match self {
            Output::Ledger(ledger) => ledger.rows(),
            Output::Files(disk) => disk.rows(),
        }
    }
}

/// Counts by key, in one of several shapes that all produce the same rows.
fn job(
    shape: u64,
    (parallelism, barriers): (u32, u64),
    storage: &SimulatedStorage,
    output: &Output,
) -> Environment {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    let checkpoints = Checkpoints::on_request();
    let checkpoints = match barriers {
        0 => checkpoints,
        1 => checkpoints.unaligned(),
        2 => checkpoints.unaligned_after(4 * STEP),
        // Some expire, and with them those that build on them.
        _ => checkpoints.max_concurrent(3).timeout(100 * STEP),
    };
    let env = Environment::new()
        .parallelism(parallelism)
        .ring_capacity(1024)
        .checkpoints(
            checkpoints
                .tolerable_failures(u32::MAX)
                .retained(1 + (shape % 2) as usize)
                .to_storage(storage),
        )
        .restore(RestoreFrom::Latest);
    let numbers = env.source("numbers", Sequence::new(0..NUMBERS));
    match shape % 3 {
        0 => output.end(
            numbers
                .key_by(|n| n % KEYS)
                .aggregate_with(Count, |key, count| [*key, count])
                .uid("counts"),
        ),
        1 => output.end(
            numbers
                .timestamps(Monotonous, |n| Timestamp(*n as i64))
                .key_by(|n| n % KEYS)
                .process(CountedByTimers::default())
                .uid("counts"),
        ),
        _ => output.end(
            numbers
                .key_by(|n| n % 3)
                .reduce(|_, n| *n)
                .uid("passed on")
                .rebalance()
                .key_by(|n| n % KEYS)
                .aggregate_with(Count, |key, count| [*key, count])
                .uid("counts"),
        ),
    }
    env
}

fn expected() -> Vec<[u64; 2]> {
    let of_key = |key: u64| (1..=(NUMBERS - key).div_ceil(KEYS)).map(move |n| [key, n]);
    (0..KEYS).flat_map(of_key).collect()
}

/// One run of the job: until it ends, `steps` steps are done, or it cannot continue. Returns whether it has ended,
/// and the last acknowledged checkpoint, which was `acknowledged` before.
///
/// The disk starts failing as soon as the job is restored, which its first step does. A failure while a checkpoint is
/// read may make the job resume from the previous one; that is correct, and is tested with the store.
fn live(
    env: &Environment,
    dice: &mut Dice,
    steps: u64,
    (disk, output, faults): (&SimulatedStorage, &Output, Faults),
    mut acknowledged: Option<u64>,
) -> (bool, Option<u64>) {
    let clock = ManualClock::new(Timestamp(0));
    let job = env.stepper("counts", clock.clone());
    let mut job = job
        .expect("a job")
        .seeded(dice.0)
        .batch(1 + dice.roll(24) as u32);
    assert!(
        job.restored_checkpoint() >= acknowledged,
        "an acknowledged checkpoint went back"
    );
    for taken in 0..steps {
        if taken == 1 {
            disk.set_faults(faults);
            if let Output::Files(disk) = output {
                disk.set_faults(faults);
            }
        }
        assert!(taken < STEPS_MAX, "the job does not end: {job:?}");
        if dice.roll(4) == 0 {
            job.checkpoint();
        }
        clock.advance(STEP);
        let step = match (job.step(), output) {
            // A sink whose disk fails makes the job fail.
            (Err(_), Output::Files(_)) => return (false, acknowledged),
            (step, _) => step.expect("failed checkpoints are tolerated"),
        };
        acknowledged = acknowledged.max(job.completed_checkpoint());
        if step == Step::Finished {
            return (true, acknowledged);
        }
    }
    (false, acknowledged)
}

/// Runs the job of a seed to its end, whatever happens on the way.
fn simulate(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (shape, faulty) = (dice.roll(6), dice.roll(3) == 0);
    let mut disk = SimulatedStorage::new(seed);
    let mut output = match dice.roll(4) {
        0 => Output::Files(OutputDisk::new(seed)),
        _ => Output::Ledger(Ledger::default()),
    };
    let mut acknowledged = None;
    for life in 0.. {
        let last = life >= 4;
        let mut faults = Faults::default();
        if faulty && !last {
            faults.failed_per_million = 20_000;
            faults.capacity = (dice.roll(3) == 0).then(|| 2_000 + dice.roll(20_000));
        }
        let manner = (1 + dice.roll(3) as u32, dice.roll(4));
        let env = job(shape, manner, &disk, &output);
        let steps = if last { u64::MAX } else { dice.roll(80) };
        let (ended, newest) = live(
            &env,
            &mut dice,
            steps,
            (&disk, &output, faults),
            acknowledged,
        );
        acknowledged = newest;
        if ended {
            break;
        }
        drop(env);
        let loss = [Loss::All, Loss::None, Loss::Some(dice.roll(u64::MAX))];
        let loss = loss[dice.roll(3) as usize];
        disk = disk.power_loss(loss);
        if let Output::Files(files) = &mut output {
            files.power_loss(loss);
        }
    }
    assert!(output.rows() == expected(), "rows are lost or doubled");
}

/// Simulates `seeds` seeds, or as many as `THALWEG_SEEDS` says, starting with `THALWEG_FIRST_SEED`.
pub(super) fn seeds(seeds: u64, simulate: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    let first: u64 = number("THALWEG_FIRST_SEED").unwrap_or(0);
    let seeds = number("THALWEG_SEEDS").unwrap_or(seeds);
    for seed in first..first + seeds {
        let simulated = std::panic::catch_unwind(|| simulate(seed));
        assert!(
            simulated.is_ok(),
            "replay with THALWEG_FIRST_SEED={seed} THALWEG_SEEDS=1"
        );
    }
}

#[test]
fn simulated_jobs_survive_loss_of_power_and_disks_that_fail() {
    seeds(SEEDS, simulate);
}
