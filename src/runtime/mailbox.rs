//! Mailboxes: control messages from the job master to a worker, read between batches.

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
    /// Close every subtask: the job is ending.
    Finish,
    /// Give every subtask a turn, even if nothing has arrived.
    Turn,
    /// Something about a checkpoint.
    Notice(Notice),
}

/// The job master's end. Clones send to the same mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    letters: Sender<Letter>,
    waiting: Arc<AtomicBool>,
    waker: Waker,
}

impl Post {
    /// Sends a letter and wakes the worker. Sending to a worker that has ended has no effect.
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

/// Creates a mailbox for the worker that `waker` wakes.
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
    /// Whether a letter is waiting: one load, checked in every round.
    #[inline]
    pub(crate) fn has_letter(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    /// Takes the next letter.
    pub(crate) fn take(&self) -> Option<Letter> {
        if !self.has_letter() {
            return None;
        }
        let letter = self.letters.try_recv().ok();
        if letter.is_none() {
            self.waiting.store(false, Ordering::Release);
            // A letter that arrived in between is taken now rather than lost.
            return self.letters.try_recv().ok();
        }
        letter
    }
}
