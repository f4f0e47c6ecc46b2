//! The job that exists to be killed: keyed state, timers, part files.

use super::trial::{Random, assert_killed_runs_give, kills_wanted, undisturbed};

#[test]
fn state_timers_and_part_files_are_those_of_an_undisturbed_run() {
    let records = ["soak", "--records", "60000"];
    let expected = undisturbed(&[&records[..], &["--parallelism", "2"]].concat());
    let paced = [&records[..], &["--rate", "20000"]].concat();
    let kills = kills_wanted(50);
    assert_killed_runs_give(&expected, &paced, &mut Random::new(1), kills);
}

#[test]
fn windows_are_those_of_an_undisturbed_run() {
    let records = ["soak", "--windows", "--records", "60000"];
    let expected = undisturbed(&[&records[..], &["--parallelism", "2"]].concat());
    let paced = [&records[..], &["--rate", "20000"]].concat();
    let kills = kills_wanted(35);
    assert_killed_runs_give(&expected, &paced, &mut Random::new(2), kills);
}
