//! Tests of a durable inlet on a disk that loses power in the middle of an access, with segments so small that they
//! are frequently created and removed.

use std::sync::Arc;

use super::inlet::open;
use crate::checkpoint::{Faults, Loss, SimulatedStorage};
use crate::connectors::test_chain::Chain;
use crate::operator::{Source, SourceReader, SourceStatus};

const SEEDS: u64 = 400;
const LIVES: u64 = 6;
/// The job's disk is separate from the log's: the position that the job resumes from is kept here.
type Position = Vec<Vec<u8>>;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % sides
    }
}

/// What is known when a run starts.
struct Known {
    pushed: u64,
    accepted: u64,
    left: Option<Position>,
    /// The records read before the position.
    read: Vec<u64>,
}

/// Pushes, reads and completes checkpoints until the power fails, or for a while.
fn live(disk: &SimulatedStorage, dice: &mut Dice, known: &mut Known, crash_in: Option<u64>) {
    let segment_bytes = 1 + dice.roll(400);
    let (mut inlet, source) = open::<u64>(Arc::new(disk.clone()), segment_bytes).unwrap();
    let found = inlet.sync().unwrap();
    assert!((known.accepted..=known.pushed).contains(&found));
    (known.pushed, known.accepted) = (found, found);
    let mut chain = Chain::new(u64::clone);
    let mut reader = source.reader(0, 1);
    if let Some(left) = &known.left {
        reader.seek(left, 1).unwrap();
    }
    reader.open(&chain.cx()).unwrap();
    disk.set_faults(Faults {
        crash_at: crash_in.map(|operations| disk.operations() + operations),
        ..Faults::default()
    });
    for checkpoint in 1..12 {
        for _ in 0..dice.roll(6) {
            inlet.push(&known.pushed).unwrap();
            known.pushed += 1;
        }
        match inlet.sync() {
            Ok(accepted) => known.accepted = accepted,
            Err(_) => return,
        }
        chain.room = dice.roll(9) as usize;
        while chain.room > 0 {
            match chain.try_poll(&mut reader) {
                Ok(SourceStatus::More) => {}
                Ok(_) => break,
                Err(_) => return,
            }
        }
        let mut left = Position::new();
        reader.position(checkpoint, &mut left).unwrap();
        if dice.roll(2) == 0 {
            known.left = Some(left);
            let read = chain.take().into_iter().map(|(number, _)| number);
            known.read.extend(read);
            reader.commit(checkpoint);
        }
    }
}

#[test]
fn every_accepted_record_is_read_once_wherever_the_power_fails() {
    for seed in 0..SEEDS {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut disk = SimulatedStorage::new(seed);
        let mut known = Known {
            pushed: 0,
            accepted: 0,
            left: None,
            read: Vec::new(),
        };
        for _ in 0..LIVES {
            let crash_in = (dice.roll(4) > 0).then(|| dice.roll(80));
            live(&disk, &mut dice, &mut known, crash_in);
            let losses = [Loss::All, Loss::None, Loss::Some(dice.roll(u64::MAX))];
            disk = disk.power_loss(losses[dice.roll(3) as usize]);
        }
        let (inlet, source) = open::<u64>(Arc::new(disk), 1).unwrap();
        drop(inlet);
        let mut chain = Chain::new(u64::clone);
        let mut reader = source.reader(0, 1);
        if let Some(left) = &known.left {
            reader.seek(left, 1).unwrap();
        }
        chain.drain(&mut reader);
        known.read.extend(chain.values());
        let length = known.read.len() as u64;
        assert!(
            (known.accepted..=known.pushed).contains(&length),
            "seed {seed}"
        );
        assert!(known.read.iter().copied().eq(0..length), "seed {seed}");
    }
}
