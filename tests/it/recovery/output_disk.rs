//! Part files on a simulated disk: what is visible never changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use thalweg::checkpoint::{Faults, Loss, SimulatedStorage, Storage};
use thalweg::connectors::{FileFormat, FileSink};

/// A disk on which a job writes its rows.
#[derive(Clone)]
pub(super) struct OutputDisk {
    disk: SimulatedStorage,
    /// The part files seen so far, and their contents.
    seen: Arc<Mutex<BTreeMap<String, String>>>,
}

impl OutputDisk {
    pub(super) fn new(seed: u64) -> Self {
        OutputDisk {
            disk: SimulatedStorage::new(!seed),
            seen: Arc::default(),
        }
    }

    pub(super) fn sink(&self) -> FileSink<impl FileFormat<[u64; 2]> + use<>> {
        FileSink::lines("rows")
            .with(|row: &[u64; 2], f| write!(f, "{} {}", row[0], row[1]))
            .to_storage(Arc::new(self.disk.clone()))
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.disk.set_faults(faults);
    }

    /// Replaces the disk with what is found after a power loss.
    pub(super) fn power_loss(&mut self, loss: Loss) {
        self.look();
        self.disk = self.disk.power_loss(loss);
    }

    /// Checks that every visible part file has the contents it had when it was first seen.
    fn look(&self) -> Vec<String> {
        self.disk.set_faults(Faults::default());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut texts = Vec::new();
        for name in self.disk.list().expect("a list") {
            if name.starts_with('.') {
                continue;
            }
            let file = self.disk.open(&name).expect("it is listed");
            let mut bytes = vec![0; file.length() as usize];
            file.read_at(0, &mut bytes).expect("it is read");
            let text = String::from_utf8(bytes).expect("text");
            let first = seen.entry(name).or_insert_with(|| text.clone());
            assert_eq!(*first, text, "committed output never changes");
            texts.push(text);
        }
        texts
    }

    /// All visible rows, in order.
    pub(super) fn rows(&self) -> Vec<[u64; 2]> {
        let number = |text: &str| text.parse().expect("a number");
        let row = |line: &str| {
            let (key, count) = line.split_once(' ').expect("two numbers");
            [number(key), number(count)]
        };
        let texts = self.look();
        let mut rows: Vec<[u64; 2]> = texts
            .iter()
            .flat_map(|text| text.lines())
            .map(row)
            .collect();
        rows.sort_unstable();
        rows
    }
}
