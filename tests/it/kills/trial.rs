//! A job of the program in its own directory, killed and restarted, and what must hold meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::program::{command, succeed};

/// The longest time for which a job runs before it is killed.
const LIFE_MS_MAX: u64 = 250;

/// A random number generator.
pub(super) struct Random(u64);

impl Random {
    /// The numbers of a seed, or of the one given in the environment.
    pub(super) fn new(seed: u64) -> Self {
        let named = std::env::var("THALWEG_KILLS_SEED").ok();
        let seed = named.map_or(seed, |seed| seed.parse().expect("a number"));
        eprintln!("THALWEG_KILLS_SEED={seed}");
        Random(seed.wrapping_mul(2) + 1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// How often a test kills, unless the environment says otherwise.
pub(super) fn kills_wanted(default: u64) -> u64 {
    let named = std::env::var("THALWEG_KILLS").ok();
    named.map_or(default, |kills| kills.parse().expect("a number"))
}

/// What differs between runs of a job, as drawn from the seed.
#[derive(Debug)]
struct Life {
    parallelism: u64,
    /// How its checkpoints are taken.
    checkpoints: Vec<String>,
    /// When it is killed, if it is.
    after: Duration,
}

impl Life {
    fn drawn(random: &mut Random) -> Self {
        let interval = [4, 15, 15, 40][random.below(4) as usize];
        let unaligned_after = [None, Some("0s"), Some("2ms")][random.below(3) as usize];
        let mut checkpoints = vec![format!("--interval={interval}ms")];
        checkpoints.extend(unaligned_after.map(|after| format!("--unaligned-after={after}")));
        Life {
            parallelism: 1 + random.below(3),
            checkpoints,
            after: Duration::from_millis(10 + random.below(LIFE_MS_MAX)),
        }
    }
}

/// A job, its checkpoints and its output.
pub(super) struct Trial {
    directory: TempDir,
    arguments: Vec<String>,
    /// The part files seen so far, and their hashes.
    committed: BTreeMap<PathBuf, u64>,
    /// How many bytes of the progress log have been read.
    log_read: usize,
    /// The last acknowledged checkpoint.
    acknowledged: Option<u64>,
    pub(super) kills: u64,
}

impl Trial {
    /// The program with these arguments, in a new directory.
    pub(super) fn new(arguments: &[&str]) -> Self {
        Trial {
            directory: tempfile::tempdir().expect("a directory"),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            committed: BTreeMap::new(),
            log_read: 0,
            acknowledged: None,
            kills: 0,
        }
    }

    fn path(&self, name: &str) -> String {
        let path = self.directory.path().join(name);
        path.to_str().expect("text").to_owned()
    }

    fn all_arguments(&self, life: &Life) -> Vec<String> {
        let own = [
            ("--output", self.path("out")),
            ("--checkpoint", self.path("state")),
            ("--restore", "latest".to_owned()),
            ("--progress-log", self.path("log")),
            ("--parallelism", life.parallelism.to_string()),
        ];
        let own = own
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value]);
        let own = own.chain(life.checkpoints.iter().cloned());
        self.arguments.iter().cloned().chain(own).collect()
    }

    /// Kills the program repeatedly until it finishes anyway, or has been killed often enough and may finish.
    pub(super) fn run(&mut self, random: &mut Random, kills_max: u64) {
        loop {
            let life = Life::drawn(random);
            let may_finish = self.kills >= kills_max;
            let arguments = self.all_arguments(&life);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut program = command(&arguments);
            program.stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = program.spawn().expect("the program starts");
            if !may_finish {
                sleep(life.after);
                // A process that has already ended is not killed.
                child.kill().expect("it is ours");
            }
            let ended = child.wait_with_output().expect("it has started");
            self.check_log();
            self.check_committed();
            if ended.status.success() {
                return;
            }
            let stderr = String::from_utf8_lossy(&ended.stderr);
            assert!(
                ended.status.code().is_none(),
                "it failed by itself, {life:?}: {stderr}"
            );
            self.kills += 1;
        }
    }

    /// Checks that a job resumes from the last acknowledged checkpoint or a later one, and never from none.
    fn check_log(&mut self) {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        for (index, line) in log[self.log_read..].lines().enumerate() {
            let is_first = index == 0;
            let (what, number) = line.split_once(' ').expect("a letter and a number");
            let checkpoint: u64 = number.parse().expect("a number");
            let before = self.acknowledged;
            match what {
                "R" => assert!(
                    is_first && before.is_none_or(|before| checkpoint >= before),
                    "restored {checkpoint} after {before:?} was acknowledged"
                ),
                "A" => {
                    assert!(
                        before.is_none_or(|before| checkpoint > before),
                        "acknowledged {checkpoint} after {before:?}"
                    );
                    assert!(
                        !is_first || before.is_none(),
                        "started anew although {before:?} was acknowledged"
                    );
                    self.acknowledged = Some(checkpoint);
                }
                other => panic!("`{other}` is no line of the protocol"),
            }
        }
        self.log_read = log.len();
    }

    /// Checks that committed files have not changed.
    fn check_committed(&mut self) {
        let found = part_files(&self.directory.path().join("out"));
        for (path, text) in &found {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            let hash = hasher.finish();
            let before = *self.committed.entry(path.clone()).or_insert(hash);
            assert_eq!(before, hash, "{} has changed", path.display());
        }
        for path in self.committed.keys() {
            assert!(found.contains_key(path), "{} is gone", path.display());
        }
    }

    /// The rows of all visible part files, in order.
    pub(super) fn rows(&self) -> Vec<String> {
        rows(&self.directory.path().join("out"))
    }
}

/// The rows of an undisturbed run.
pub(super) fn undisturbed(arguments: &[&str]) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let output = directory.path().to_str().expect("text");
    succeed(&[arguments, &["--output", output]].concat());
    rows(directory.path())
}

fn rows(output: &Path) -> Vec<String> {
    let found = part_files(output);
    let lines = found.values().flat_map(|text| text.lines());
    let mut rows: Vec<String> = lines.map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

/// The visible part files below a directory, with their contents.
fn part_files(output: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(output) else {
        return found;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            found.extend(part_files(&path));
        } else if !name.starts_with('.') {
            let text = fs::read_to_string(&path).expect("text");
            found.insert(path, text);
        }
    }
    found
}

/// Runs trials until there have been enough kills; each must produce the rows of an undisturbed run.
pub(super) fn assert_killed_runs_give(
    expected: &[String],
    arguments: &[&str],
    random: &mut Random,
    kills: u64,
) {
    assert!(!expected.is_empty());
    let mut done = 0;
    while done < kills {
        let mut trial = Trial::new(arguments);
        trial.run(random, kills - done);
        let rows = trial.rows();
        assert!(
            rows == expected,
            "{} rows instead of {} after {} kills; lost {:?}, too many {:?}",
            rows.len(),
            expected.len(),
            trial.kills,
            expected.iter().find(|row| rows.binary_search(row).is_err()),
            rows.iter().find(|row| expected.binary_search(row).is_err()),
        );
        done += trial.kills;
        if kills > 100 {
            eprintln!("{done} of {kills} kills, nothing lost, nothing doubled");
        }
    }
}
