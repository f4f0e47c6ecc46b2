//! `thalweg latency`: every record is measured, in every mode, and the report is well-formed.

use serde_json::Value;

use crate::program::{assert_fails, succeed_silently};

/// Runs the command, which must succeed; returns its standard output.
#[track_caller]
fn latency(arguments: &[&str]) -> String {
    succeed_silently(&[&["latency"], arguments].concat())
}

/// The findings of a short run with `arguments`, as JSON.
#[track_caller]
fn measured(arguments: &[&str]) -> Value {
    let short = "--rate 4000 --seconds 0.5 --warm-up 0.25 --format json";
    let arguments: Vec<&str> = short.split(' ').chain(arguments.iter().copied()).collect();
    serde_json::from_str(&latency(&arguments)).expect("one JSON object")
}

/// The run of `mode`.
#[track_caller]
fn run_of<'a>(found: &'a Value, mode: &str) -> &'a Value {
    let mut runs = found["runs"].as_array().expect("runs").iter();
    let run = runs.find(|run| run["mode"] == mode);
    run.unwrap_or_else(|| panic!("no {mode} in {found}"))
}

#[track_caller]
fn assert_is_whole(run: &Value) {
    // 0.25 s of warm-up and 0.5 s recorded, at 4,000 records per second.
    assert_eq!(
        (&run["records"], &run["recorded"]),
        (&3000.into(), &2000.into()),
        "{run}"
    );
    let fields = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];
    let nanos = fields.map(|field| {
        run[format!("{field}_nanos")]
            .as_u64()
            .unwrap_or_else(|| panic!("no {field} in {run}"))
    });
    assert!(nanos.is_sorted(), "{run}");
    assert!(nanos[5] > 0, "{run}");
    for field in ["mean_nanos", "behind_nanos"] {
        assert!(run[field].is_number(), "{field}: {run}");
    }
    assert!(run["cpu"]["threads"].is_array(), "{run}");
}

#[test]
fn every_mode_counts_every_record() {
    let found = measured(&["--mode", "all"]);
    assert_eq!(
        (&found["rate"], &found["wait"]),
        (&4000.into(), &"backoff".into())
    );
    assert!(found["clock_reading_nanos"].as_f64().expect("a number") > 0.0);
    let runs = found["runs"].as_array().expect("runs");
    runs.iter().for_each(assert_is_whole);
    let lines = runs
        .iter()
        .map(|run| (run["mode"].as_str(), run["workers"].as_u64()));
    let expected = [
        ("rtrb", 0),
        ("rtrb", 0),
        ("ring", 0),
        ("fused", 1),
        ("hop", 2),
        ("embedded", 1),
    ];
    assert!(
        lines.eq(expected.map(|(mode, workers)| (Some(mode), Some(workers)))),
        "{found}"
    );
}

#[test]
fn hop_stands_between_two_measurements_of_its_floor() {
    let found = measured(&["--mode", "hop"]);
    let runs = found["runs"].as_array().expect("runs");
    runs.iter().for_each(assert_is_whole);
    let modes = runs.iter().map(|run| run["mode"].as_str());
    assert!(modes.eq(["rtrb", "rtrb", "hop"].map(Some)), "{found}");
}

#[test]
fn every_wait_strategy_and_number_of_workers_counts_every_record() {
    for wait in ["spin", "backoff", "park"] {
        for (mode, workers) in [("hop", "1"), ("hop", "2"), ("embedded", "2")] {
            let options = ["--wait", wait, "--mode", mode, "--workers", workers];
            let found = measured(&options);
            assert_eq!(found["wait"], wait);
            let run = run_of(&found, mode);
            assert_is_whole(run);
            assert_eq!(run["workers"].to_string(), workers);
        }
    }
}

/// The share of a core used by each thread whose name starts with `thalweg-` and a digit.
fn workers(cpu: &Value) -> Vec<f64> {
    let threads = cpu["threads"].as_array().expect("threads").iter();
    let is_worker = |name: &str| {
        name.strip_prefix("thalweg-")
            .is_some_and(|rest| rest.parse::<u32>().is_ok())
    };
    threads
        .filter(|thread| thread["name"].as_str().is_some_and(is_worker))
        .map(|thread| thread["cores"].as_f64().expect("a number"))
        .collect()
}

#[test]
fn processor_time_is_told_by_thread_where_the_system_tells_it() {
    if !std::path::Path::new("/proc/self/schedstat").exists() {
        return;
    }
    let found = measured(&["--mode", "hop", "--wait", "spin"]);
    let run = run_of(&found, "hop");
    assert_eq!(workers(&run["cpu"]).len(), 2, "{run}");
    assert!(
        run["waited"].is_number() && run["steal"].is_number(),
        "{run}"
    );
}

#[test]
fn idle_job_is_measured_without_records() {
    let idle = |wait| {
        let arguments = [
            "--idle",
            "--seconds",
            "0.3",
            "--wait",
            wait,
            "--format",
            "json",
        ];
        let found: Value = serde_json::from_str(&latency(&arguments)).expect("one JSON object");
        let told = (&found["idle"], &found["workers"], &found["wait"]);
        assert_eq!(told, (&true.into(), &2.into(), &wait.into()));
        workers(&found["cpu"])
    };
    let (spinning, parking) = (idle("spin"), idle("park"));
    if !spinning.is_empty() {
        let sum = |cores: &[f64]| cores.iter().sum::<f64>();
        assert!(sum(&spinning) > 0.05, "{spinning:?}");
        assert!(sum(&parking) < 0.02, "{parking:?}");
    }
    let text = latency(&["--idle", "--seconds", "0.1", "--workers", "1"]);
    let told = ["idle job (workers: 1, wait: backoff)", "not available"];
    assert!(told.iter().any(|told| text.contains(told)), "{text}");
}

#[test]
fn table_names_every_mode_and_the_plot_draws_each() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("latency.svg");
    let short = "--rate 4000 --seconds 0.2 --warm-up 0 --plot";
    let mut arguments: Vec<&str> = short.split(' ').collect();
    arguments.push(path.to_str().expect("text"));
    let text = latency(&arguments);
    let plot = std::fs::read_to_string(&path).expect("a plot");
    assert!(
        plot.starts_with("<svg") && plot.trim_end().ends_with("</svg>"),
        "{plot}"
    );
    for mode in ["rtrb", "ring", "fused", "hop", "embedded"] {
        assert!(
            text.lines().any(|line| line.trim_start().starts_with(mode)),
            "{text}"
        );
        assert!(plot.contains(mode), "{mode}: {plot}");
    }
    for word in ["4,000 records/s", "p99.99", "steal", "times as long"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn bad_options_are_clear_errors() {
    let cases: &[(&[&str], &str)] = &[
        (&["--rate", "0"], "0 is not in 1..=50000000"),
        (&["--seconds", "0"], "nothing can be recorded in no time"),
        (&["--seconds", "soon"], "not a number of seconds"),
        (&["--warm-up", "-1"], "from 0 to 86400 seconds"),
        (&["--warm-up", "NaN"], "from 0 to 86400 seconds"),
        (&["--wait", "sleep"], "'sleep' for '--wait <WAIT>'"),
        (&["--workers", "3"], "3 is not in 1..=2"),
        (
            &["--mode", "fused", "--workers", "2"],
            "'--workers' cannot be used with '--mode fused': it is all on one worker",
        ),
        (
            &["--mode", "ring", "--workers", "1"],
            "'--workers' cannot be used with '--mode ring': it has no workers",
        ),
        (
            &["--idle", "--rate", "5"],
            "cannot be used with '--rate <R>'",
        ),
        (
            &["--idle", "--plot", "a.svg"],
            "cannot be used with '--plot <FILE.svg>'",
        ),
    ];
    for (arguments, expected) in cases {
        let told = assert_fails(&[&["latency"], *arguments].concat(), 2, &[expected]);
        assert_eq!(told, "", "{arguments:?}");
    }
    let plot = "/no/such/directory/plot.svg";
    let cannot = format!("cannot write {plot}: ");
    assert_fails(&["latency", "--plot", plot], 1, &[&cannot]);
}
