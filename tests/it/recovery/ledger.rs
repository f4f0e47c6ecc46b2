//! A ledger outside the job: what a transactional sink commits to, and what survives the job's process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thalweg::operator::{OpenContext, Outcome, Prepared, Sink, SinkWriter};
use thalweg::time::Timestamp;

type Rows = Vec<[u64; 2]>;

/// Identifies a transaction: the subtask that began it, and its checkpoint.
type Id = [u64; 2];

/// What was committed, by transaction: committing is idempotent.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    committed: Arc<Mutex<BTreeMap<Id, Rows>>>,
}

impl Ledger {
    fn committed(&self) -> MutexGuard<'_, BTreeMap<Id, Rows>> {
        self.committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All committed rows, in order.
    pub(crate) fn rows(&self) -> Rows {
        let mut rows: Rows = self.committed().values().flatten().copied().collect();
        rows.sort_unstable();
        rows
    }

    fn commit(&self, id: Id, rows: &Rows) {
        let mut committed = self.committed();
        let before = committed.entry(id).or_insert_with(|| rows.clone());
        assert_eq!(before, rows, "committed output never changes");
    }
}

impl Sink<[u64; 2]> for Ledger {
    type Writer = Entry;

    fn writer(&self, index: u32, _parallelism: u32) -> Entry {
        Entry {
            ledger: self.clone(),
            subtask: index,
            rows: Vec::new(),
            pending: Vec::new(),
        }
    }
}

/// The ledger's target for one subtask.
pub(crate) struct Entry {
    ledger: Ledger,
    subtask: u32,
    rows: Rows,
    pending: Vec<(Id, Rows)>,
}

fn encode((id, rows): &(Id, Rows)) -> Vec<u8> {
    let numbers = id.iter().chain(rows.iter().flatten());
    numbers.flat_map(|number| number.to_le_bytes()).collect()
}

fn decode(bytes: &[u8]) -> (Id, Rows) {
    let (pairs, rest) = bytes.as_chunks::<16>();
    assert!(rest.is_empty());
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let mut pairs = pairs
        .iter()
        .map(|pair| [number(&pair[..8]), number(&pair[8..])]);
    (pairs.next().expect("an id"), pairs.collect())
}

impl SinkWriter<[u64; 2]> for Entry {
    fn open(&mut self, _cx: &OpenContext) -> Outcome {
        Ok(())
    }

    fn write(&mut self, row: &[u64; 2], _at: Timestamp) -> Outcome {
        self.rows.push(*row);
        Ok(())
    }

    fn prepare(&mut self, checkpoint: u64, prepared: &mut Prepared) -> Outcome {
        if !self.rows.is_empty() {
            let id = [u64::from(self.subtask), checkpoint];
            self.pending.push((id, std::mem::take(&mut self.rows)));
        }
        self.pending
            .iter()
            .for_each(|pending| prepared.keep(encode(pending)));
        Ok(())
    }

    fn commit(&mut self, checkpoint: u64) -> Outcome {
        let ready = |pending: &mut (Id, Rows)| pending.0[1] <= checkpoint;
        for (id, rows) in self.pending.extract_if(.., ready) {
            self.ledger.commit(id, &rows);
        }
        Ok(())
    }

    fn recover(&mut self, transactions: Vec<Vec<u8>>) -> Outcome {
        for (id, rows) in transactions.iter().map(|bytes| decode(bytes)) {
            self.ledger.commit(id, &rows);
        }
        Ok(())
    }
}
