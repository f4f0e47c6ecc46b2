//! `thalweg bench checkpoint` verifies its results and reports on every run.

use serde_json::Value;

use crate::program::succeed;

#[test]
fn checkpoints_are_measured_and_every_sum_is_right_after_the_restart() {
    for (change, parallelism) in [("all", "1"), ("1%", "2")] {
        let options = ["bench", "checkpoint", "--keys", "1000", "--seconds", "1"];
        let more = ["--rounds", "1", "--interval", "50ms", "--format", "json"];
        let varied = ["--change", change, "--parallelism", parallelism];
        let told = succeed(&[&options[..], &more, &varied].concat());
        let told: Value = serde_json::from_str(&told).expect("one object");
        let runs = told["runs"].as_array().expect("an array");
        let legs: Vec<&Value> = runs.iter().map(|run| &run["leg"]).collect();
        assert_eq!(legs, ["plain", "kept", "restore"]);
        assert_eq!(runs[2]["keys"], 1000);
        let count = runs[1]["checkpoints"]["count"].as_u64();
        assert!(count > Some(0), "{told}");
    }
}
