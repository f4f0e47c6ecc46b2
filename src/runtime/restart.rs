//! Restart strategies: whether and when a failed job restarts (Flink's, with the defaults of 2.0).

use std::collections::VecDeque;
use std::time::Duration;

use crate::record::KeyHash;

/// Whether a failed job restarts, and after which delay.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum RestartStrategy {
    /// Never.
    None,
    /// A limited number of times, after a fixed delay.
    FixedDelay {
        /// How many times the job may restart.
        attempts: u32,
        /// The delay before each restart.
        delay: Duration,
    },
    /// As long as failures are not too frequent.
    FailureRate {
        /// The maximum number of failures per interval: one more ends the job.
        failures_max: u32,
        /// The interval.
        interval: Duration,
        /// The delay before each restart.
        delay: Duration,
    },
    /// After delays that grow with every failure and are reset once the job has run long enough without one.
    ExponentialDelay {
        /// The first delay.
        initial: Duration,
        /// The longest delay.
        longest: Duration,
        /// The factor by which each delay exceeds the previous one; less than 1 counts as 1.
        multiplier: f64,
        /// The share of a delay by which it varies at random, from 0 to 1, so that jobs that failed together do not
        /// all restart together.
        jitter: f64,
        /// After how long without a failure the delay is reset to the first one.
        quiet: Duration,
        /// How many times the job may restart without such a quiet period in between.
        attempts: u32,
    },
}

impl RestartStrategy {
    /// After one second, then after delays that grow by half up to a minute, give or take a tenth; reset once a job has
    /// run for an hour.
    #[must_use]
    pub fn exponential() -> Self {
        RestartStrategy::ExponentialDelay {
            initial: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            multiplier: 1.5,
            jitter: 0.1,
            quiet: Duration::from_secs(3600),
            attempts: u32::MAX,
        }
    }

    /// Restarts `attempts` times, each time after `delay`.
    #[must_use]
    pub fn fixed(attempts: u32, delay: Duration) -> Self {
        RestartStrategy::FixedDelay { attempts, delay }
    }

    /// Restarts, each time after `delay`, while there are not more than `failures_max` failures in any `interval`.
    #[must_use]
    pub fn failure_rate(failures_max: u32, interval: Duration, delay: Duration) -> Self {
        RestartStrategy::FailureRate {
            failures_max,
            interval,
            delay,
        }
    }
}

/// A strategy and its record of the failures so far. All times are of one monotonic clock.
#[derive(Debug)]
pub(crate) struct Restarts {
    strategy: RestartStrategy,
    attempts: u32,
    failures: VecDeque<Duration>,
    delay: Duration,
    last_failure: Option<Duration>,
}

impl Restarts {
    pub(crate) fn new(strategy: RestartStrategy) -> Self {
        Restarts {
            strategy,
            attempts: 0,
            failures: VecDeque::new(),
            delay: Duration::ZERO,
            last_failure: None,
        }
    }

    /// Handles a failure at `now`. Returns the delay until the restart, if there is one.
    pub(crate) fn on_failure(&mut self, now: Duration) -> Option<Duration> {
        let before = self.last_failure.replace(now);
        match self.strategy {
            RestartStrategy::None => None,
            RestartStrategy::FixedDelay { attempts, delay } => {
                self.attempts = self.attempts.saturating_add(1);
                (self.attempts <= attempts).then_some(delay)
            }
            RestartStrategy::FailureRate {
                failures_max,
                interval,
                delay,
            } => {
                self.failures.push_back(now);
                while self
                    .failures
                    .front()
                    .is_some_and(|at| now.saturating_sub(*at) > interval)
                {
                    self.failures.pop_front();
                }
                (self.failures.len() as u64 <= u64::from(failures_max)).then_some(delay)
            }
            RestartStrategy::ExponentialDelay {
                initial,
                longest,
                multiplier,
                jitter,
                quiet,
                attempts,
            } => {
                let ran = before.map(|at| now.saturating_sub(at.saturating_add(self.delay)));
                if ran.is_none_or(|ran| ran >= quiet) {
                    (self.attempts, self.delay) = (0, initial);
                } else {
                    self.delay = times(self.delay, multiplier.max(1.0)).min(longest);
                }
                self.attempts = self.attempts.saturating_add(1);
                let delay = times(self.delay, 1.0 + jitter.clamp(0.0, 1.0) * chance(now));
                (self.attempts <= attempts).then_some(delay.min(longest))
            }
        }
    }
}

/// As long as there are durations for.
fn times(delay: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

/// Some number from -1 to 1, another one at every time.
fn chance(now: Duration) -> f64 {
    let bits = KeyHash::of_u64(now.as_nanos() as u64).0 >> 11;
    bits as f64 / (1u64 << 52) as f64 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn fixed_delay_allows_as_many_attempts_as_it_says() {
        let mut restarts = Restarts::new(RestartStrategy::fixed(2, secs(3)));
        assert_eq!(restarts.on_failure(secs(1)), Some(secs(3)));
        assert_eq!(restarts.on_failure(secs(2)), Some(secs(3)));
        assert_eq!(restarts.on_failure(secs(9)), None);
        assert_eq!(
            Restarts::new(RestartStrategy::None).on_failure(secs(1)),
            None
        );
    }

    #[test]
    fn failure_rate_gives_up_at_one_failure_too_many_in_an_interval() {
        let strategy = RestartStrategy::failure_rate(2, secs(60), secs(1));
        let mut restarts = Restarts::new(strategy);
        assert_eq!(restarts.on_failure(secs(0)), Some(secs(1)));
        assert_eq!(restarts.on_failure(secs(10)), Some(secs(1)));
        assert_eq!(
            restarts.on_failure(secs(61)),
            Some(secs(1)),
            "the first is out of the interval"
        );
        assert_eq!(restarts.on_failure(secs(62)), None);
    }

    #[test]
    fn exponential_delays_grow_to_the_longest_and_start_anew_after_a_quiet_time() {
        let mut restarts = Restarts::new(RestartStrategy::ExponentialDelay {
            initial: secs(1),
            longest: secs(5),
            multiplier: 2.0,
            jitter: 0.0,
            quiet: secs(100),
            attempts: 5,
        });
        let delays: Vec<_> = [0, 2, 5, 10, 16]
            .map(|at| restarts.on_failure(secs(at)))
            .into();
        assert_eq!(delays, [1, 2, 4, 5, 5].map(|delay| Some(secs(delay))));
        assert_eq!(
            restarts.on_failure(secs(22)),
            None,
            "the sixth without a quiet time"
        );
        assert_eq!(restarts.on_failure(secs(200)), Some(secs(1)));
    }

    fn exponential(multiplier: f64, jitter: f64) -> Restarts {
        Restarts::new(RestartStrategy::ExponentialDelay {
            initial: secs(10),
            longest: secs(1000),
            multiplier,
            jitter,
            quiet: Duration::MAX,
            attempts: u32::MAX,
        })
    }

    #[test]
    fn jitter_spreads_delays_around_their_middle_and_never_above_the_longest() {
        let mut delays: Vec<Duration> = (0..1000)
            .map(|n| exponential(1.0, 0.1).on_failure(Duration::from_nanos(n)))
            .map(|delay| delay.expect("it goes on"))
            .collect();
        delays.sort();
        let [first, middle, last] = [0, 500, 999].map(|n| delays[n].as_secs_f64());
        assert!((9.0..9.1).contains(&first) && (10.9..=11.0).contains(&last));
        assert!((9.8..10.2).contains(&middle));
        let mut growing = exponential(100.0, 1.0);
        let longest = (0..100).filter_map(|n| growing.on_failure(secs(n))).max();
        assert_eq!(longest, Some(secs(1000)));
    }

    #[test]
    fn settings_that_make_no_sense_make_no_panic() {
        for multiplier in [f64::NAN, -1.0, 0.0, f64::INFINITY, f64::MAX] {
            for jitter in [f64::NAN, -1.0, 5.0, f64::INFINITY] {
                let mut restarts = exponential(multiplier, jitter);
                for at in [Duration::ZERO, secs(1), Duration::MAX, Duration::MAX] {
                    let delay = restarts.on_failure(at).expect("it goes on");
                    assert!(delay <= secs(1000));
                }
            }
        }
    }
}
