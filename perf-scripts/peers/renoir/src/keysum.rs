//! Running sums per key: a closure with its sum for every key.

use harness::{Inputs, Options, Outcome, h2};

use crate::run::{by_key, run};

/// `rich_map`, which is how Renoir writes it.
pub(crate) fn keysum(options: &Options, inputs: &'static Inputs) -> Outcome {
    let records = inputs.keyed();
    run(
        options,
        |_| records.len(),
        |run| {
            by_key!(run, run.records(records), |record| record.key, |keyed| {
                let mut sum = 0u64;
                let sums = keyed.rich_map(move |(_, record)| {
                    sum = sum.wrapping_add(record.value);
                    sum
                });
                run.sink(sums.unkey(), |(key, sum)| h2(*key, *sum));
            });
        },
    )
}
