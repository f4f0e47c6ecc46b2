//! `WriterHandle`: a job master's connection to its checkpoint writer, whose thread it owns; and the committer's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use crate::checkpoint::{CheckpointStore, Restored};
use crate::operator::{CommitTask, Committer, panic_message};

use super::checkpoint_writer::{PieceSender, WriterMessage, Written, checkpoint_writer};
use super::checkpoints::Checkpoints;
use super::error::JobError;
use super::worker::Event;

/// Starts the thread for the commits and slow writes of sinks: separate from the checkpoint writer's, which may have
/// much to write. It ends with the last sink, which has waited for its own work to be done.
pub(super) fn start_committer(events: &Sender<Event>) -> Result<Committer, JobError> {
    let (commits, tasks) = channel::<CommitTask>();
    let events = events.clone();
    std::thread::Builder::new()
        .name("thalweg-commits".to_owned())
        .spawn(move || {
            for task in tasks {
                if task() {
                    let _ = events.send(Event::CommitFailed);
                }
            }
        })
        .map_err(JobError::Thread)?;
    // Once the thread has ended there is nothing left to do: a task sent then is dropped, which its sink notices.
    Ok(Committer::new(move |task| drop(commits.send(task))))
}

/// The part of a master that exists only with checkpoints.
pub(super) struct WriterHandle {
    pub(super) checkpoints: Checkpoints,
    writer: Sender<WriterMessage>,
    pub(super) pieces: PieceSender,
    thread: Option<JoinHandle<()>>,
    /// The number of the job's first checkpoint.
    pub(super) first: u64,
    /// Tells the directory of its checkpoints from all others.
    pub(super) directory: u64,
    /// The number that the next checkpoint will have.
    pub(super) next: u64,
}

impl WriterHandle {
    pub(super) fn start(
        store: CheckpointStore,
        next: u64,
        checkpoints: Checkpoints,
        origin: Option<Restored>,
        events: &Sender<Event>,
    ) -> Result<Self, JobError> {
        let directory = store.identity();
        let (writer, messages, pieces) = checkpoint_writer(store, next, origin);
        let events = events.clone();
        let tell = move |written| {
            let _ = events.send(Event::Written(written));
        };
        let thread = std::thread::Builder::new()
            .name("thalweg-checkpoints".to_owned())
            .spawn(move || {
                let run = || writer.run(tell.clone());
                if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
                    tell(Written::Panicked(panic_message(&*payload)));
                }
            })
            .map_err(JobError::Thread)?;
        Ok(WriterHandle {
            checkpoints,
            writer: messages,
            pieces,
            thread: Some(thread),
            first: next,
            directory,
            next,
        })
    }

    pub(super) fn send(&self, message: WriterMessage) {
        // The writer ends only on request, and that is the last message it is sent.
        let _ = self.writer.send(message);
    }

    /// The checkpoint that the next attempt is restored from.
    pub(super) fn restore(&self, job: &Arc<str>) -> Result<Option<Restored>, JobError> {
        let (reply, answer) = channel();
        self.send(WriterMessage::Restore(reply));
        match answer.recv() {
            Ok(Ok(restored)) => {
                if let Some(restored) = &restored {
                    self.checkpoints.settings.tell_restored(restored);
                }
                Ok(restored)
            }
            Ok(Err(cause)) => Err(JobError::restore(job, cause)),
            Err(_) => Err(JobError::Checkpoint {
                job: Arc::clone(job),
                reason: "the checkpoint writer has ended".to_owned(),
            }),
        }
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        self.send(WriterMessage::Close { discard: None });
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
