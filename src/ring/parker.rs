//! Parking: how a worker sleeps until one of its rings has something for it.
//!
//! The *worker* parks, not the ring: it has many inputs and outputs, any of which may end its sleep. No wake-up is
//! lost, because each side writes first and reads second, with a fence in between (Dekker's argument; a model in
//! `tests/loom.rs` tries every order):
//!
//! ```text
//!   worker: parked = true │ fence │ look at every input │ park
//!   other:  publish       │ fence │ parked? ─ yes ─▶ unpark
//! ```
//! Whichever fence comes second, the side that executes it sees what the other wrote before: either the worker sees the
//! frames and does not park, or the other side sees the flag and wakes it. While the worker is awake the other side
//! only pays for the fence, once per publish.

use super::sync::{
    Arc, AtomicBool, Mutex, Ordering, Thread, ThreadId, fence, park_timeout, thread,
};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::PoisonError;
use std::time::Duration;

/// The state that parker and wakers share.
#[derive(Debug)]
struct Parking {
    /// Whether the worker sleeps or is about to.
    parked: AtomicBool,
    /// The thread to wake: the last one that parked.
    thread: Mutex<Option<Thread>>,
}

/// A worker's own end: parks the thread that calls it.
#[derive(Debug)]
pub struct Parker {
    parking: Arc<Parking>,
    /// The thread stored in `parking`, so that the mutex is locked once per thread and not per park.
    bound: Option<ThreadId>,
    /// One worker, one thread at a time: `Send`, not `Sync`.
    not_sync: PhantomData<Cell<()>>,
}

/// The other end: wakes the worker if and only if it is parked. Clones are cheap and wake the same worker.
#[derive(Clone, Debug)]
pub struct Waker {
    parking: Arc<Parking>,
}

/// A worker that has announced that it will park: it must now check its inputs once more, and [`park`](Prepared::park)
/// if they are empty. Dropping it is the same as [`cancel`](Prepared::cancel).
#[derive(Debug)]
#[must_use = "look at the inputs again, then park or cancel"]
pub struct Prepared<'a> {
    parking: &'a Parking,
}

impl Parker {
    /// A parker that has no wakers yet.
    #[must_use]
    pub fn new() -> Self {
        Parker {
            parking: Arc::new(Parking {
                parked: AtomicBool::new(false),
                thread: Mutex::new(None),
            }),
            bound: None,
            not_sync: PhantomData,
        }
    }

    /// Returns a waker of this worker, to be given to the far end of every ring it reads or writes.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker {
            parking: Arc::clone(&self.parking),
        }
    }

    /// Announces that the worker will park. Everything published after this wakes it; everything published before is
    /// visible when it checks its inputs from now on.
    pub fn prepare(&mut self) -> Prepared<'_> {
        let current = thread::current();
        if self.bound != Some(current.id()) {
            self.bound = Some(current.id());
            *self.parking.thread() = Some(current);
        }
        // A swap rather than a store, so that it is ordered after that of a late waker for the previous sleep; on x86
        // it costs the same.
        self.parking.parked.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        Prepared {
            parking: &self.parking,
        }
    }
}

impl Default for Parker {
    fn default() -> Self {
        Parker::new()
    }
}

impl Prepared<'_> {
    /// Sleeps until woken, or for about `timeout`. Returns whether a waker ended the sleep; without a timeout that is
    /// always so.
    ///
    /// With a timeout it may return early for no reason, as [`park_timeout`](std::thread::park_timeout) does: the
    /// caller checks its inputs anyway.
    pub fn park(self, timeout: Option<Duration>) -> bool {
        match timeout {
            None => {
                while self.parking.parked.load(Ordering::Acquire) {
                    thread::park();
                }
            }
            Some(timeout) => {
                if self.parking.parked.load(Ordering::Acquire) {
                    park_timeout(timeout);
                }
            }
        }
        !self.parking.parked.swap(false, Ordering::AcqRel)
    }

    /// Withdraws the announcement, because the inputs held something.
    pub fn cancel(self) {}
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        self.parking.parked.store(false, Ordering::Relaxed);
    }
}

impl Waker {
    /// Wakes the worker if it is parked or about to park; whatever the caller wrote before this call is visible to the
    /// worker's next check of its inputs.
    ///
    /// Costs a fence and a load while the worker is awake, a system call when it sleeps.
    #[inline]
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.parking.parked.load(Ordering::Relaxed) {
            self.parking.unpark();
        }
    }
}

impl Parking {
    /// Of several wakers, only the one that clears the flag makes the system call.
    #[cold]
    #[inline(never)]
    fn unpark(&self) {
        if self.parked.swap(false, Ordering::AcqRel) {
            // The guard is dropped before the call, so that the woken thread never waits for it.
            let thread = self.thread().clone();
            if let Some(thread) = thread {
                thread.unpark();
            }
        }
    }

    #[cfg(not(loom))]
    fn thread(&self) -> std::sync::MutexGuard<'_, Option<Thread>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(loom)]
    fn thread(&self) -> loom::sync::MutexGuard<'_, Option<Thread>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn wake_before_park_is_not_lost() {
        let mut parker = Parker::new();
        let waker = parker.waker();
        let prepared = parker.prepare();
        waker.wake();
        assert!(prepared.park(None));
    }

    #[test]
    fn wake_of_an_awake_worker_leaves_nothing_behind() {
        let mut parker = Parker::new();
        parker.waker().wake();
        assert!(!parker.prepare().park(Some(Duration::from_millis(1))));
    }

    #[test]
    fn cancelled_park_is_not_woken() {
        let mut parker = Parker::new();
        parker.prepare().cancel();
        assert!(!parker.parking.parked.load(Ordering::Relaxed));
    }

    #[test]
    fn parked_worker_is_woken_from_another_thread() {
        let count = if cfg!(miri) { 5 } else { 200 };
        let mut parker = Parker::new();
        let waker = parker.waker();
        let sent = std::sync::Arc::new(AtomicU64::new(0));
        let seen = std::sync::Arc::clone(&sent);
        let other = std::thread::spawn(move || {
            for _ in 0..count {
                sent.fetch_add(1, Ordering::Release);
                waker.wake();
                std::thread::yield_now();
            }
        });
        let mut last = 0;
        while last < count {
            let prepared = parker.prepare();
            let now = seen.load(Ordering::Acquire);
            if now == last {
                prepared.park(None);
            }
            last = seen.load(Ordering::Acquire);
        }
        other.join().unwrap();
    }
}
