//! Running counts of words: a closure with its count for every word.

use harness::{Inputs, Lines, Options, Outcome, Text, h2};

use crate::run::{by_key, run};

/// `flat_map`, then `rich_map`.
pub(crate) fn wordcount(options: &Options, inputs: &'static Inputs) -> Outcome {
    let text = inputs.text();
    run(
        options,
        |digest| digest.rows as usize,
        |run| {
            let lines = run.source(move |index, parallelism| {
                let runs = Lines::new(text, index, parallelism);
                runs.flat_map(|run| Text(run).lines())
            });
            let words = lines.flat_map(Text::words);
            by_key!(run, words, |word| *word, |keyed| {
                let mut count = 0u64;
                let counts = keyed.rich_map(move |_| {
                    count += 1;
                    count
                });
                run.sink(counts.unkey(), |(word, count)| h2(word.hash, *count));
            });
        },
    )
}
