//! A simulation of a durable inlet: one seed determines what is pushed and when it is synced, the order of the job's
//! turns, when checkpoints are taken, when the process is killed or the power fails, what survives on the disks, and
//! which accesses to them fail.
//!
//! Two things must hold: everything that a sync has returned for is present, whatever happens; and the committed rows
//! are those of an undisturbed run over everything in the log, each record complete and exactly once.

use std::sync::Arc;
use std::time::Duration;

use thalweg::checkpoint::{Faults, Loss, SimulatedStorage, Storage};
use thalweg::connectors::{DurableInlet, DurableInletSource, durable_inlet_in};
use thalweg::prelude::*;
use thalweg::runtime::Step;

use super::ledger::Ledger;
use super::power_loss_loses_and_doubles_nothing::{Dice, seeds};

/// The number of seeds in a run of the tests.
const SEEDS: u64 = 1_000;
/// The minimum number of records at the end.
const RECORDS: u64 = 100;
const KEYS: u64 = 5;
/// More steps than a job that makes progress takes.
const STEPS_MAX: u64 = 20_000;
const STEP: Duration = Duration::from_millis(1);

/// A record: its number, and padding whose length depends on the number, so that it spans several disk sectors.
fn record(number: u64) -> String {
    format!("{number}:{}", "x".repeat((number * 137 % 1500) as usize))
}

/// The number of a complete record.
fn number(text: &str) -> Option<u64> {
    let number = text.split(':').next()?.parse().ok()?;
    (record(number) == text).then_some(number)
}

/// Running sums by key.
fn job(
    parallelism: u32,
    disk: &SimulatedStorage,
    source: DurableInletSource<str>,
    ledger: &Ledger,
) -> Environment {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let checkpoints = Checkpoints::on_request().tolerable_failures(u32::MAX);
    let env = Environment::new()
        .parallelism(parallelism)
        .ring_capacity(1024)
        .checkpoints(checkpoints.to_storage(storage))
        .restore(RestoreFrom::Latest);
    env.source("accepted", source)
        .map(|text: &str| number(text).unwrap_or(u64::MAX))
        .key_by(|n| n % KEYS)
        .aggregate_with(Sum::of(|n: &u64| *n), |key, sum| [*key, sum])
        .uid("sums")
        .sink("ledger", ledger.clone());
    env
}

fn expected(records: u64) -> Vec<[u64; 2]> {
    let of_key = |key: u64| {
        let numbers = (key..records).step_by(KEYS as usize);
        numbers.scan(0, move |sum, n| {
            *sum += n;
            Some([key, *sum])
        })
    };
    let mut rows: Vec<_> = (0..KEYS).flat_map(of_key).collect();
    rows.sort_unstable();
    rows
}

/// The disks of the log and of the checkpoints.
struct Disks {
    log: SimulatedStorage,
    checkpoints: SimulatedStorage,
}

impl Disks {
    /// If `crash_in` is set, the power fails during that many accesses to the log from now.
    fn set_faults(&self, faults: Faults, crash_in: Option<u64>) {
        self.checkpoints.set_faults(faults);
        self.log.set_faults(Faults {
            crash_at: crash_in.map(|operations| self.log.operations() + operations),
            ..faults
        });
    }

    /// What is found when the program is restarted.
    fn found(&self, dice: &mut Dice) -> Self {
        let loss = match dice.roll(4) {
            0 => {
                return Disks {
                    log: self.log.killed(),
                    checkpoints: self.checkpoints.killed(),
                };
            }
            1 => Loss::All,
            2 => Loss::None,
            _ => Loss::Some(dice.roll(u64::MAX)),
        };
        Disks {
            log: self.log.power_loss(loss),
            checkpoints: self.checkpoints.power_loss(loss),
        }
    }
}

/// The program: pushes records, whose number is their position in the log.
struct Program {
    /// The number of the next record to push.
    next: u64,
    /// The number of records that are guaranteed to be in the log.
    accepted: u64,
}

impl Program {
    /// Determines how much of what was pushed is in the log.
    fn begin(&mut self, inlet: &mut DurableInlet<str>) {
        let found = inlet.sync().expect("nothing is pushed yet");
        assert!(found >= self.accepted, "{found} of {}", self.accepted);
        assert!(found <= self.next, "{found} of {} pushed", self.next);
        (self.next, self.accepted) = (found, found);
    }

    /// Pushes some records, and syncs them or not. Returns whether the inlet accepts more.
    fn push(&mut self, inlet: &mut DurableInlet<str>, dice: &mut Dice) -> bool {
        for _ in 0..dice.roll(4) {
            if inlet.push(&record(self.next)).is_err() {
                return false;
            }
            self.next += 1;
        }
        if dice.roll(3) > 0 {
            match inlet.sync() {
                Ok(accepted) => self.accepted = accepted,
                Err(_) => return false,
            }
        }
        true
    }
}

/// One run of the program and its job. Returns whether the job has finished.
fn live(
    (dice, program): (&mut Dice, &mut Program),
    (disks, ledger): (&Disks, &Ledger),
    (steps, faults, crash_in): (u64, Faults, Option<u64>),
) -> bool {
    let opened = durable_inlet_in::<str>(Arc::new(disks.log.clone()));
    let (mut inlet, source) = opened.expect("what is left of a log is a log");
    program.begin(&mut inlet);
    let mut inlet = Some(inlet);
    let env = job(1 + dice.roll(3) as u32, &disks.checkpoints, source, ledger);
    let clock = ManualClock::new(Timestamp(0));
    let job = env.stepper("sums", clock.clone());
    let mut job = job.expect("a job").seeded(dice.0).batch(8);
    for taken in 0..steps {
        if taken == 1 {
            disks.set_faults(faults, crash_in);
        }
        assert!(taken < STEPS_MAX, "the job does not end: {job:?}");
        if let Some(open) = &mut inlet
            && dice.roll(3) == 0
            && !program.push(open, dice)
        {
            return false;
        }
        if program.accepted >= RECORDS && steps == u64::MAX {
            inlet = None;
        }
        if dice.roll(4) == 0 {
            job.checkpoint();
        }
        clock.advance(STEP);
        match job.step() {
            Ok(Step::Finished) => return true,
            Ok(_) => {}
            // The log could not be read.
            Err(error) if steps < u64::MAX => {
                assert!(!error.to_string().contains("damaged"), "{error}");
                return false;
            }
            Err(error) => panic!("{error}"),
        }
    }
    false
}

fn simulate(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let faulty = dice.roll(2) == 0;
    let mut disks = Disks {
        log: SimulatedStorage::new(seed),
        checkpoints: SimulatedStorage::new(!seed),
    };
    let (mut program, ledger) = (
        Program {
            next: 0,
            accepted: 0,
        },
        Ledger::default(),
    );
    for life in 0.. {
        let last = life >= 4;
        let mut faults = Faults::default();
        if faulty && !last {
            faults.failed_per_million = 20_000;
            faults.capacity = (dice.roll(3) == 0).then(|| 4_000 + dice.roll(60_000));
        }
        let steps = if last { u64::MAX } else { dice.roll(60) };
        let crash_in = (!last && dice.roll(2) == 0).then(|| dice.roll(60));
        let ended = live(
            (&mut dice, &mut program),
            (&disks, &ledger),
            (steps, faults, crash_in),
        );
        if ended {
            break;
        }
        disks = disks.found(&mut dice);
    }
    let rows = ledger.rows();
    assert!(
        rows == expected(program.accepted),
        "records are lost, doubled or torn: {} rows of {}",
        rows.len(),
        program.accepted
    );
}

#[test]
fn what_a_durable_inlet_has_accepted_is_there_once_after_loss_of_power_and_on_disks_that_fail() {
    seeds(SEEDS, simulate);
}
