//! Running sums per key: dealt out by key, a map on every worker.

use foldhash::fast::FixedState;
use harness::{HugePages, Inputs, Keyed, Options, Outcome, h2, mix64};
use hashbrown::HashMap;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Operator;

use crate::run::{Pace, run};

/// Sums are written into the containers that brought the values.
pub(crate) fn keysum(options: &Options, inputs: &'static Inputs) -> Outcome {
    run(
        options,
        inputs,
        |_| inputs.keyed().len(),
        |scope, run| {
            let records = run.blocks(scope, run.inputs.keyed(), Pace::COUNTED, |_| 0);
            let share = run.keys / run.parallelism;
            let by_key = Exchange::new(|record: &Keyed| mix64(record.key));
            let sums = records.unary::<CapacityContainerBuilder<Vec<Keyed>>, _, _, _>(
                by_key,
                "sum",
                |_, _| {
                    let mut sums: HashMap<u64, u64, FixedState, HugePages> =
                        HashMap::with_capacity_and_hasher_in(
                            share + share / 20,
                            FixedState::default(),
                            HugePages,
                        );
                    move |input, output| {
                        input.for_each(|capability, records| {
                            for record in records.iter_mut() {
                                let sum = match sums.get_mut(&record.key) {
                                    Some(sum) => sum,
                                    None => sums.entry(record.key).or_insert(0),
                                };
                                *sum = sum.wrapping_add(record.value);
                                record.value = *sum;
                            }
                            output.session(&capability).give_container(records);
                        });
                    }
                },
            );
            run.sink(sums, |row| h2(row.key, row.value));
        },
    )
}
