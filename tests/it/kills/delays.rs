//! The main job: windows, a broadcast join, part files.

use super::trial::{Random, assert_killed_runs_give, kills_wanted, undisturbed};

#[test]
fn results_are_those_of_an_undisturbed_run() {
    let expected = undisturbed(&["--format", "json", "--parallelism", "2"]);
    let paced = ["--format", "json", "--rate", "12000"];
    let kills = kills_wanted(25);
    assert_killed_runs_give(&expected, &paced, &mut Random::new(3), kills);
}
