//! One measurement as a JSON object.

use serde_json::{Map, Value, json};

use super::processor_time::ProcessorTime;
use super::recorder::{Latencies, PERCENTILES};

/// What was measured as `mode`, with so many workers.
pub(crate) fn run(
    mode: &str,
    workers: u32,
    latencies: &Latencies,
    time: &ProcessorTime,
) -> Map<String, Value> {
    let mut run = Map::new();
    run.insert("mode".to_owned(), json!(mode));
    run.insert("workers".to_owned(), json!(workers));
    run.insert("records".to_owned(), json!(latencies.records));
    run.insert("recorded".to_owned(), json!(latencies.histogram.len()));
    for (name, percentile) in PERCENTILES {
        let nanos = latencies.at_percentile(percentile);
        run.insert(format!("{name}_nanos"), json!(nanos));
    }
    run.insert("max_nanos".to_owned(), json!(latencies.histogram.max()));
    run.insert("mean_nanos".to_owned(), json!(latencies.histogram.mean()));
    run.insert("behind_nanos".to_owned(), json!(latencies.last_nanos));
    run.insert("cpu".to_owned(), cpu(time));
    run.insert("waited".to_owned(), json!(time.waited()));
    run.insert("steal".to_owned(), json!(time.steal));
    run
}

/// The cores used, by all threads and by each.
pub(crate) fn cpu(time: &ProcessorTime) -> Value {
    let threads = time.threads.iter();
    json!({
        "cores": time.cores(),
        "user_cores": time.user_and_system.map(|(user, _)| user),
        "system_cores": time.user_and_system.map(|(_, system)| system),
        "threads": threads
            .map(|thread| json!({
                "name": thread.name, "cores": thread.cores, "waited": thread.waited,
            }))
            .collect::<Vec<_>>(),
    })
}
