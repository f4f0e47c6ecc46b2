//! Mailboxes: control letters from the job master to a worker, read between batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::ring::Waker;

use super::head::Notice;

/// What a job master asks of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Letter {
    /// Close every subtask that still runs.
    Cancel,
    /// Close every subtask: the job has come to its end.
    Finish,
    /// Give every subtask a turn, though nothing may have arrived.
    Turn,
    /// Something about a checkpoint.
    Notice(Notice),
}

/// The job master's end. Clones post to the same mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    letters: Sender<Letter>,
    waiting: Arc<AtomicBool>,
    waker: Waker,
}

impl Post {
    /// Posts a letter and wakes the worker. A worker that has ended does not mind.
    pub(crate) fn send(&self, letter: Letter) {
        if self.letters.send(letter).is_ok() {
            self.waiting.store(true, Ordering::Release);
            self.waker.wake();
        }
    }
}

/// The worker's end.
#[derive(Debug)]
pub(crate) struct Mailbox {
    letters: Receiver<Letter>,
    waiting: Arc<AtomicBool>,
}

/// A mailbox for the worker that `waker` wakes.
pub(crate) fn mailbox(waker: Waker) -> (Post, Mailbox) {
    let (sender, letters) = channel();
    let waiting = Arc::new(AtomicBool::new(false));
    (
        Post {
            letters: sender,
            waiting: Arc::clone(&waiting),
            waker,
        },
        Mailbox { letters, waiting },
    )
}

impl Mailbox {
    /// Whether a letter waits: one load, asked in every round.
    #[inline]
    pub(crate) fn has_letter(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    /// The next letter.
    pub(crate) fn take(&self) -> Option<Letter> {
        if !self.has_letter() {
            return None;
        }
        let letter = self.letters.try_recv().ok();
        if letter.is_none() {
            self.waiting.store(false, Ordering::Release);
            // One that came in between is taken now, not forgotten.
            return self.letters.try_recv().ok();
        }
        letter
    }
}
