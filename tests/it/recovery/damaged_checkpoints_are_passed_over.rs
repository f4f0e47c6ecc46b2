//! A job whose newest checkpoint is damaged goes on from the one before it, and says so.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use thalweg::prelude::*;
use thalweg::runtime::CheckpointEvent;

/// Starts a job that counts without end, with checkpoints in `directory`; also returns what happens to them.
fn start(directory: &Path, from: RestoreFrom) -> (JobHandle, Receiver<CheckpointEvent>) {
    let (events, happened) = channel();
    let checkpoints = Checkpoints::on_request()
        .to(directory)
        .retained(2)
        .observed_by(move |event| {
            // The receiver may be gone.
            let _ = events.send(event.clone());
        });
    let env = Environment::new().checkpoints(checkpoints).restore(from);
    env.source("numbers", Generator::new(|n| n).rate(10_000))
        .uid("numbers")
        .key_by(|n| n % 7)
        .aggregate(Count)
        .uid("counts")
        .sink("nowhere", Discard::new())
        .uid("nowhere");
    (env.spawn("counts").expect("a job"), happened)
}

#[test]
fn a_job_tells_which_checkpoint_it_passes_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let (job, _) = start(directory.path(), RestoreFrom::Nothing);
    for _ in 0..2 {
        job.checkpoint().expect("a checkpoint");
    }
    job.cancel();
    assert!(job.wait().is_err(), "it was cancelled");

    let manifest = directory.path().join("manifest-0000000002");
    let mut bytes = fs::read(&manifest).expect("there");
    bytes[40] ^= 1;
    fs::write(&manifest, bytes).expect("writable");
    let (job, happened) = start(directory.path(), RestoreFrom::Latest);
    job.cancel();
    assert!(job.wait().is_err(), "it was cancelled");
    let events: Vec<CheckpointEvent> = happened.iter().collect();
    assert!(
        matches!(
            &events[..],
            [
                CheckpointEvent::PassedOver { checkpoint: 2, reason },
                CheckpointEvent::Restored { checkpoint: 1 },
                ..
            ] if reason.contains("manifest-0000000002")
        ),
        "{events:?}"
    );
}
