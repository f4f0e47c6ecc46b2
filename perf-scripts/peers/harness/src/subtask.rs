//! Threads that start together, timed from the first start to the last end.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::digest::Digest;
use crate::report::{Outcome, Stopwatch};

/// Runs `body` on a thread of its own for each of `contexts` and adds up the answers. What prepares a
/// subtask (tables, rings) belongs into its context, which is made before the clock starts.
pub fn run_subtasks<C: Send>(
    records: usize,
    contexts: Vec<C>,
    body: impl Fn(usize, &mut C) -> Digest + Sync,
) -> Outcome {
    let barrier = Barrier::new(contexts.len() + 1);
    let mut stopwatch = None;
    let mut digest = Digest::default();
    let (mut started, mut ended, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let start = |(index, mut context)| {
            let (barrier, body) = (&barrier, &body);
            scope.spawn(move || {
                pin(index);
                barrier.wait();
                let started = Instant::now();
                let digest = body(index, &mut context);
                // What the context holds is given back after the clock has stopped.
                (started, Instant::now(), digest, context)
            })
        };
        let threads: Vec<_> = contexts.into_iter().enumerate().map(start).collect();
        stopwatch = Some(Stopwatch::start());
        barrier.wait();
        for thread in threads {
            let (from, to, part, context) = thread.join().expect("a subtask does not panic");
            started.push(from);
            ended.push(to);
            digest.merge(part);
            kept.push(context);
        }
    });
    let wall = match (started.iter().min(), ended.iter().max()) {
        (Some(&from), Some(&to)) => to - from,
        _ => Duration::ZERO,
    };
    let outcome = stopwatch
        .expect("the scope has run")
        .stop_after(wall, records, digest);
    drop(kept);
    outcome
}

/// Pins the calling thread to the `index`-th of the cores the process may use, if there is one.
pub fn pin(index: usize) {
    // SAFETY: all-zero bytes are a valid (empty) set, and the calls touch nothing else.
    unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut allowed);
        let cores = (0..libc::CPU_SETSIZE as usize).filter(|&core| libc::CPU_ISSET(core, &allowed));
        if let Some(core) = cores.into_iter().nth(index) {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(core, &mut one);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &one);
        }
    }
}
