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
            // Exchanged, not stored: whoever lowers the flag has then seen the letters of all who have raised it.
            self.waiting.swap(true, Ordering::Release);
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
        // Lowered before looking, so that the flag of a letter that arrives meanwhile stays; and raised again as long
        // as something is found, because one flag stands for all letters that have come.
        self.waiting.swap(false, Ordering::Acquire);
        let letter = self.letters.try_recv().ok();
        if letter.is_some() {
            self.waiting.store(true, Ordering::Release);
        }
        letter
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::ring::Parker;

    #[test]
    fn no_letter_is_left_behind_however_they_arrive() {
        let pairs = if cfg!(miri) { 20 } else { 200_000 };
        let (post, mailbox) = mailbox(Parker::new().waker());
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for pair in 0..pairs {
                    post.send(Letter::Turn);
                    post.send(Letter::Finish);
                    while taken.load(Ordering::Acquire) < 2 * (pair + 1) {
                        std::thread::yield_now();
                    }
                }
            });
            let mut last = Instant::now();
            while taken.load(Ordering::Relaxed) < 2 * pairs {
                // As a worker does: it sleeps while the flag is down.
                while mailbox.take().is_some() {
                    taken.fetch_add(1, Ordering::Release);
                    last = Instant::now();
                }
                if last.elapsed() > Duration::from_secs(20) {
                    let left = mailbox.letters.try_iter().count();
                    taken.store(u64::MAX, Ordering::Release);
                    panic!("{left} letters were left behind");
                }
            }
        });
        assert!(mailbox.take().is_none() && !mailbox.has_letter());
    }
}
