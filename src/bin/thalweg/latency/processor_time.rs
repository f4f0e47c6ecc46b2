//! Processor time: how much of the cores the process used, thread by thread, and how much was stolen from them.
//!
//! Linux reports it in `/proc`; on other systems nothing is known or shown.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::schedule::Schedule;
use super::stopwatch::Stopwatch;

/// The system's counters at one moment.
#[derive(Debug)]
pub(crate) struct Reading {
    at: Instant,
    process: Option<ProcessTicks>,
    machine: Option<MachineTicks>,
    threads: Vec<Thread>,
}

/// The counters are read this long before recording starts, so that it does not disturb the recording.
const LEAD_NANOS: i64 = 20_000_000;

/// Ticks per second in what the kernel reports, whatever its own timer frequency.
const TICKS_PER_SEC: f64 = 100.0;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct ProcessTicks {
    user: u64,
    system: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct MachineTicks {
    steal: u64,
    total: u64,
}

#[derive(Debug)]
struct Thread {
    id: u64,
    name: String,
    nanos: u64,
    waited_nanos: u64,
}

/// The difference between two readings.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessorTime {
    /// Every thread that existed throughout and was active.
    pub(crate) threads: Vec<ThreadTime>,
    /// The number of cores used by the whole process, in user and kernel mode.
    pub(crate) user_and_system: Option<(f64, f64)>,
    /// The share of the machine's time that the hypervisor gave to others, from 0 to 1.
    pub(crate) steal: Option<f64>,
}

/// The activity of one thread.
#[derive(Clone, Debug)]
pub(crate) struct ThreadTime {
    /// The thread's name.
    pub(crate) name: String,
    /// The share of a core that it used, from 0 to 1.
    pub(crate) cores: f64,
    /// The share of the time in which it was runnable but others had its core, from 0 to 1.
    pub(crate) waited: f64,
}

impl Reading {
    /// Reads all counters. Takes a good part of a millisecond, so not while latencies are recorded.
    pub(crate) fn now() -> Self {
        let text = |path: &str| fs::read_to_string(path).ok();
        Reading {
            at: Instant::now(),
            process: text("/proc/self/stat").and_then(|stat| process_ticks(&stat)),
            machine: text("/proc/stat").and_then(|stat| machine_ticks(&stat)),
            threads: threads().unwrap_or_default(),
        }
    }

    /// The difference between this reading and `before`.
    pub(crate) fn since(&self, before: &Reading) -> ProcessorTime {
        let seconds = (self.at - before.at).as_secs_f64().max(1e-9);
        let threads = self.threads.iter().filter_map(|thread| {
            let same = before.threads.iter().find(|other| other.id == thread.id)?;
            let nanos = thread.nanos.saturating_sub(same.nanos);
            let waited_nanos = thread.waited_nanos.saturating_sub(same.waited_nanos);
            (nanos > 0).then(|| ThreadTime {
                name: thread.name.clone(),
                cores: nanos as f64 / 1e9 / seconds,
                waited: waited_nanos as f64 / 1e9 / seconds,
            })
        });
        let cores =
            |after: u64, before: u64| after.saturating_sub(before) as f64 / TICKS_PER_SEC / seconds;
        let process = self.process.zip(before.process);
        let machine = self.machine.zip(before.machine);
        ProcessorTime {
            threads: threads.collect(),
            user_and_system: process
                .map(|(new, old)| (cores(new.user, old.user), cores(new.system, old.system))),
            steal: machine.map(|(new, old)| {
                let total = new.total.saturating_sub(old.total).max(1);
                new.steal.saturating_sub(old.steal) as f64 / total as f64
            }),
        }
    }
}

impl ProcessorTime {
    /// Sleeps until every record of a schedule was due; returns what the processors did while latencies were recorded.
    ///
    /// The calling thread does nothing between the readings: on two cores it would interfere.
    pub(crate) fn while_recorded(schedule: &Schedule, stopwatch: Stopwatch) -> Self {
        stopwatch.sleep_until(schedule.recorded_from_nanos() - LEAD_NANOS);
        let before = Reading::now();
        stopwatch.sleep_until(schedule.end_nanos());
        Reading::now().since(&before)
    }

    /// The number of cores used by all threads together; `None` if it is not reported.
    pub(crate) fn cores(&self) -> Option<f64> {
        let known = !self.threads.is_empty();
        known.then(|| self.threads.iter().map(|thread| thread.cores).sum())
    }

    /// The largest share of the time that any one thread waited for a core that others had.
    pub(crate) fn waited(&self) -> Option<f64> {
        let waited = self.threads.iter().map(|thread| thread.waited);
        waited.max_by(f64::total_cmp)
    }
}

/// Every thread of this process: the first number of `schedstat` is its time on a processor, the second its time in a
/// run queue.
fn threads() -> Option<Vec<Thread>> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let thread = |task: &Path| {
        let id = task.file_name()?.to_str()?.parse().ok()?;
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let times = fs::read_to_string(task.join("schedstat")).ok()?;
        let mut nanos = times.split_whitespace().map(|nanos| nanos.parse().ok());
        Some(Thread {
            id,
            name: name.trim().to_owned(),
            nanos: nanos.next()??,
            waited_nanos: nanos.next()??,
        })
    };
    // A thread that has ended in the meantime can no longer be read.
    let found = tasks.filter_map(|task| thread(&task.ok()?.path()));
    Some(found.collect())
}

/// User and system time from `/proc/self/stat`, whose second field, the name, may contain any characters.
fn process_ticks(stat: &str) -> Option<ProcessTicks> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    Some(ProcessTicks {
        user: fields.next()?.parse().ok()?,
        system: fields.next()?.parse().ok()?,
    })
}

/// Stolen and total time of all cores from the first line of `/proc/stat`: user, nice, system, idle, iowait, irq,
/// softirq, steal; the guest times that follow are already part of user time.
fn machine_ticks(stat: &str) -> Option<MachineTicks> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks = line.split_whitespace().take(8).map(str::parse::<u64>);
    let ticks: Vec<u64> = ticks.collect::<Result<_, _>>().ok()?;
    Some(MachineTicks {
        steal: *ticks.get(7)?,
        total: ticks.iter().sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_from_the_kernels_text() {
        let stat = "cpu  10 20 30 40 50 60 70 80 5 5\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        let (steal, total) = (80, 360);
        assert_eq!(machine_ticks(stat), Some(MachineTicks { steal, total }));
        assert_eq!(machine_ticks("cpu  1 2 3"), None);
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 7 3 0 0 20 0 1 0 5";
        let (user, system) = (7, 3);
        assert_eq!(process_ticks(stat), Some(ProcessTicks { user, system }));
        assert_eq!(process_ticks("42 (a) S 1"), None);
    }

    #[test]
    fn thread_that_works_is_seen_to_work() {
        let before = Reading::now();
        let begin = Instant::now();
        let busy = std::time::Duration::from_millis(60);
        while begin.elapsed() < busy {
            std::hint::spin_loop();
        }
        let time = Reading::now().since(&before);
        if let Some(cores) = time.cores() {
            assert!(cores > 0.0);
            assert!(
                time.waited()
                    .is_some_and(|waited| (0.0..=1.1).contains(&waited))
            );
            assert!(time.steal.is_some_and(|steal| (0.0..=1.0).contains(&steal)));
        }
    }
}
