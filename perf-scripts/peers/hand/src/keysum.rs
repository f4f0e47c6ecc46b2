//! Running sums per key.

use foldhash::fast::FixedState;
use harness::{
    Digest, HugePages, Inputs, Keyed, Options, Outcome, blocks, fetch_after, h2, pages,
    run_subtasks,
};
use hashbrown::HashMap;

use crate::exchange::{Exchange, owner, share};
use crate::line_table::LineTable;

/// How many records ahead a line is fetched: enough to hide main memory, few enough to stay in L1.
const AHEAD: usize = 128;

fn keys(options: &Options) -> usize {
    options.query.keys().expect("a query over keys")
}

/// One look-up a record, in the fastest general-purpose map, with room for all keys.
pub(crate) fn plain(options: &Options, inputs: &'static Inputs) -> Outcome {
    let records = inputs.keyed();
    let map: HashMap<u64, u64, FixedState, HugePages> =
        HashMap::with_capacity_and_hasher_in(keys(options), FixedState::default(), HugePages);
    run_subtasks(records.len(), vec![map], |_, sums| {
        let mut digest = Digest::default();
        for record in records {
            fetch_after(record);
            // A key is new at most once: looking it up first is cheaper than an entry.
            let sum = match sums.get_mut(&record.key) {
                Some(sum) => sum,
                None => sums.entry(record.key).or_insert(0),
            };
            *sum = sum.wrapping_add(record.value);
            digest.add(h2(record.key, *sum));
        }
        digest
    })
}

/// A table of cache lines, each fetched before it is needed.
pub(crate) fn prefetch(options: &Options, inputs: &'static Inputs) -> Outcome {
    let records = inputs.keyed();
    run_subtasks(
        records.len(),
        vec![LineTable::new(keys(options))],
        |_, table| {
            let mut digest = Digest::default();
            update(table, records, &mut digest);
            digest
        },
    )
}

/// Takes `records` into the table, fetching ahead.
#[inline(always)]
fn update(table: &mut LineTable, records: &[Keyed], digest: &mut Digest) {
    let ahead = AHEAD.min(records.len());
    for record in &records[..ahead] {
        table.prefetch(record.key);
    }
    let (most, last) = records.split_at(records.len() - ahead);
    for (record, later) in most.iter().zip(&records[ahead..]) {
        fetch_after(later);
        table.prefetch(later.key);
        digest.add(h2(record.key, table.add(record.key, record.value)));
    }
    for record in last {
        digest.add(h2(record.key, table.add(record.key, record.value)));
    }
}

/// Each subtask reads its blocks, keeps the records whose keys it owns and sends the others to theirs.
pub(crate) fn exchange(options: &Options, inputs: &'static Inputs) -> Outcome {
    let (records, parallelism) = (inputs.keyed(), options.parallelism);
    let table = || LineTable::new(share(keys(options), parallelism));
    let contexts = Exchange::new(parallelism)
        .map(|exchange| (exchange, table()))
        .collect();
    run_subtasks(records.len(), contexts, |index, (exchange, table)| {
        let mut digest = Digest::default();
        for block in blocks(records, index, parallelism) {
            let deal = |record: &Keyed| (owner(record.key, parallelism), *record);
            for page in pages(block) {
                exchange.send(page, deal, |_, arrived| update(table, arrived, &mut digest));
            }
        }
        exchange.finish(|_, arrived| update(table, arrived, &mut digest));
        digest
    })
}
