//! Two threads, each on a core of its own if the process may use two.

use std::sync::{Barrier, Once};
use std::time::{Duration, Instant};

use core_affinity::CoreId;

static UNPINNED: Once = Once::new();

/// Pins the calling thread to a core; without one, or where pinning is not permitted, says so and goes on.
fn pin(core: Option<CoreId>) {
    if !core.is_some_and(core_affinity::set_for_current) {
        UNPINNED
            .call_once(|| eprintln!("threads run unpinned: two cores are needed for two threads"));
    }
}

/// Runs each side on its own core; returns what they return, and the time from the common start until both are done.
pub(crate) fn on_two_cores<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B, Duration) {
    // Those that the process may use, which need not be the first ones. One that both would share is left to the
    // scheduler.
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let core = |index: usize| cores.get(index).filter(|_| cores.len() > 1).copied();
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        let timed_first = scope.spawn(|| timed(core(0), &start, first));
        let timed_second = scope.spawn(|| timed(core(1), &start, second));
        let (first, first_took) = timed_first.join().unwrap();
        let (second, second_took) = timed_second.join().unwrap();
        (first, second, first_took.max(second_took))
    })
}

fn timed<R>(core: Option<CoreId>, start: &Barrier, run: impl FnOnce() -> R) -> (R, Duration) {
    pin(core);
    start.wait();
    let begin = Instant::now();
    let result = run();
    (result, begin.elapsed())
}
