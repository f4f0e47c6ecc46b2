//! What a worker does when none of its inputs has data and none of its outputs has room.
//!
//! A worker that finds nothing to do calls [`Idle::wait`] and checks again; one that found something calls
//! [`Idle::reset`]. Each call is one *step* of waiting, so a worker checks its inputs between any two steps.

use super::parker::Parker;
use super::sync::{spin_loop, thread};
use std::time::Duration;

/// How a worker waits. The choice trades latency for processor time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitStrategy {
    /// Never yields the core: the lowest latency, about 100 ns. Needs a core for every worker; with more workers than
    /// cores it is slower by orders of magnitude.
    Spin,
    /// Yields the core to any other thread, and continues if there is none: the core is always busy, but more workers
    /// than cores still make progress.
    Yield,
    /// Spins a little, yields a little, then parks until woken. The default: an idle worker costs nothing, and one that
    /// waits for less than a few microseconds is not put to sleep.
    Backoff {
        /// How many steps spin: about 30 ns each, plus the worker's check of its inputs.
        spins: u32,
        /// How many steps yield: about half a microsecond each if nobody else wants the core.
        yields: u32,
    },
    /// Parks at once. The least processor time; each hand-over to a sleeping worker costs a system call on one side and
    /// tens of microseconds of latency on the other.
    Park,
}

impl WaitStrategy {
    /// Whether a worker with this strategy ever parks, and so needs to be woken. If not, give its rings no waker: that
    /// saves them a fence per publish.
    #[must_use]
    pub const fn parks(self) -> bool {
        matches!(self, WaitStrategy::Backoff { .. } | WaitStrategy::Park)
    }
}

impl Default for WaitStrategy {
    fn default() -> Self {
        WaitStrategy::Backoff {
            spins: 64,
            yields: 20,
        }
    }
}

/// The outcome of one step of waiting, for a worker's metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// It spun for a few cycles.
    Spun,
    /// It yielded the core to other threads.
    Yielded,
    /// About to sleep, the worker found that it has something to do.
    Ready,
    /// It slept until a waker woke it.
    Woken,
    /// It slept until the timeout, or about that long.
    TimedOut,
}

/// A worker's waiting state: the strategy, its progress, and the parker.
#[derive(Debug)]
pub struct Idle {
    strategy: WaitStrategy,
    parker: Parker,
    /// Steps since the last [`Idle::reset`], capped at what matters.
    steps: u32,
}

impl Idle {
    /// Waits by `strategy`, parking with `parker`.
    #[must_use]
    pub fn new(strategy: WaitStrategy, parker: Parker) -> Self {
        Idle {
            strategy,
            parker,
            steps: 0,
        }
    }

    /// Returns the strategy.
    #[must_use]
    pub fn strategy(&self) -> WaitStrategy {
        self.strategy
    }

    /// Called when the worker found something to do: the next wait starts from the beginning.
    #[inline(always)]
    pub fn reset(&mut self) {
        self.steps = 0;
    }

    /// Takes one step of waiting: [`Idle::wait_awake`], or else [`Idle::sleep`].
    pub fn wait(&mut self, ready: impl FnMut() -> bool, timeout: Option<Duration>) -> Rest {
        match self.wait_awake() {
            Some(rest) => rest,
            None => self.sleep(ready, timeout),
        }
    }

    /// Takes one step of waiting without sleeping; `None` if it is time to sleep. Computing how long a sleep may last
    /// costs more than such a step, so that is left until later.
    #[inline]
    pub fn wait_awake(&mut self) -> Option<Rest> {
        match self.strategy {
            WaitStrategy::Spin => Some(spin()),
            WaitStrategy::Yield => Some(yield_core()),
            WaitStrategy::Backoff { spins, yields } => {
                let step = self.steps;
                if step >= spins.saturating_add(yields) {
                    return None;
                }
                self.steps += 1;
                Some(if step < spins { spin() } else { yield_core() })
            }
            WaitStrategy::Park => None,
        }
    }

    /// Sleeps, unless there is something to do.
    ///
    /// `ready` checks whether there is anything to do. It is called right before sleeping, when whatever happens from
    /// then on is sure to wake the worker; it must check everything that can do so. `timeout` bounds the sleep, `None`
    /// sleeps until woken: only the caller knows the time of its next timer, and which events cannot wake it. Zero
    /// never sleeps, but yields.
    pub fn sleep(&mut self, mut ready: impl FnMut() -> bool, timeout: Option<Duration>) -> Rest {
        if timeout == Some(Duration::ZERO) {
            return yield_core();
        }
        let prepared = self.parker.prepare();
        if ready() {
            prepared.cancel();
            return Rest::Ready;
        }
        if prepared.park(timeout) {
            Rest::Woken
        } else {
            Rest::TimedOut
        }
    }
}

fn spin() -> Rest {
    spin_loop();
    Rest::Spun
}

fn yield_core() -> Rest {
    thread::yield_now();
    Rest::Yielded
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn backoff_spins_then_yields_then_parks_and_starts_over_on_reset() {
        let strategy = WaitStrategy::Backoff {
            spins: 2,
            yields: 1,
        };
        let mut idle = Idle::new(strategy, Parker::new());
        let timeout = Some(Duration::from_micros(1));
        let step = |idle: &mut Idle| idle.wait(|| false, timeout);
        for _ in 0..2 {
            assert_eq!(step(&mut idle), Rest::Spun);
            assert_eq!(step(&mut idle), Rest::Spun);
            assert_eq!(step(&mut idle), Rest::Yielded);
            assert_eq!(step(&mut idle), Rest::TimedOut);
            assert_eq!(step(&mut idle), Rest::TimedOut);
            idle.reset();
        }
    }

    #[test]
    fn worker_with_something_to_do_does_not_sleep() {
        let mut idle = Idle::new(WaitStrategy::Park, Parker::new());
        assert_eq!(idle.wait(|| true, None), Rest::Ready);
    }

    #[test]
    fn woken_while_looking_does_not_sleep() {
        let parker = Parker::new();
        let waker = parker.waker();
        let mut idle = Idle::new(WaitStrategy::Park, parker);
        let rest = idle.wait(
            || {
                waker.wake();
                false
            },
            None,
        );
        assert_eq!(rest, Rest::Woken);
    }

    #[test]
    fn only_strategies_that_park_need_a_waker() {
        assert!(WaitStrategy::default().parks() && WaitStrategy::Park.parks());
        assert!(!WaitStrategy::Spin.parks() && !WaitStrategy::Yield.parks());
    }
}
