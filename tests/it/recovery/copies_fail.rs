//! Savepoints whose copy fails: their callers are told, and nobody else is disturbed.

use std::io;
use std::sync::Arc;

use thalweg::checkpoint::{DirectoryLock, HeapStorage, ReadAt, Storage, WriteOnce};
use thalweg::prelude::*;

/// Storage that cannot be copied from.
#[derive(Debug, Default)]
struct Uncopied(HeapStorage);

impl Storage for Uncopied {
    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>> {
        let thread = std::thread::current();
        assert_ne!(thread.name(), Some("thalweg-export"), "not from here");
        self.0.open(name)
    }

    fn create(&self, name: &str, expected: u64) -> io::Result<Box<dyn WriteOnce>> {
        self.0.create(name, expected)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.sync_directory()
    }

    fn lock(&self) -> io::Result<Box<dyn DirectoryLock>> {
        self.0.lock()
    }

    fn place(&self) -> String {
        self.0.place()
    }
}

#[test]
fn copy_that_panics_fails_its_savepoint_and_neither_checkpoints_nor_the_job() {
    let storage = Arc::new(Uncopied::default());
    let env = Environment::new().checkpoints(Checkpoints::on_request().to_storage(storage));
    env.source("numbers", Generator::new(|n| n).rate(100_000))
        .key_by(|n| n % 10)
        .aggregate_with(Count, |key, count| [*key, count])
        .uid("counts")
        .sink("nowhere", Discard::new());
    let job = env.spawn("counts").expect("a job");
    let directory = tempfile::tempdir().expect("a directory");
    std::thread::scope(|scope| {
        for name in ["one", "two", "three"] {
            let (job, path) = (&job, directory.path().join(name));
            scope.spawn(move || {
                let error = job.savepoint(path).expect_err("it cannot be copied");
                assert!(error.to_string().contains("not from here"), "{error}");
            });
            scope.spawn(move || job.checkpoint().expect("this is not copied"));
        }
    });
    job.cancel();
    let ended = job.wait().expect_err("it has no end of its own");
    assert!(matches!(ended, JobError::Cancelled { .. }), "{ended}");
}
