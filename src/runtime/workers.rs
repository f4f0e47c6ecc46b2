//! The workers of one attempt: threads that do not outlive it, however it ends.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use super::config::Config;
use super::deployment::WorkerParts;
use super::error::JobError;
use super::mailbox::{Letter, Post, mailbox};
use super::worker::{Event, Worker};

/// The threads of an attempt and their mailboxes. Dropping them cancels those that still run and waits for them.
#[derive(Debug, Default)]
pub(super) struct Workers {
    posts: Vec<Post>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts one for each of `parts`.
    ///
    /// # Errors
    /// [`JobError::Thread`] if the operating system refuses one: then none is left.
    pub(super) fn start(
        parts: Vec<WorkerParts>,
        config: &Arc<Config>,
        events: &Sender<Event>,
    ) -> Result<Self, JobError> {
        let mut workers = Workers::default();
        for (index, part) in (0..).zip(parts) {
            let (post, mailbox) = mailbox(part.waker);
            let worker = Worker {
                index,
                subtasks: part.subtasks,
                mailbox,
                parker: part.parker,
                events: events.clone(),
                busy_rounds: 0,
            };
            let config = Arc::clone(config);
            let builder = std::thread::Builder::new().name(format!("thalweg-{index}"));
            let thread = builder.spawn(move || worker.run(&config));
            workers.threads.push(thread.map_err(JobError::Thread)?);
            workers.posts.push(post);
        }
        Ok(workers)
    }

    /// How many were started.
    pub(super) fn count(&self) -> usize {
        self.posts.len()
    }

    /// Posts a letter to each of them.
    pub(super) fn post(&self, letter: Letter) {
        self.posts.iter().for_each(|post| post.send(letter));
    }

    /// Waits for their end.
    pub(super) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A subtask that panics fails the job, not its thread.
            drop(thread.join());
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.post(Letter::Cancel);
            self.join();
        }
    }
}
