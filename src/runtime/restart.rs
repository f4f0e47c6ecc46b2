//! Restart strategies: whether and when a failed job restarts (Flink's, with the defaults of 2.0).

use std::collections::VecDeque;
use std::time::Duration;

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
        /// The factor by which each delay exceeds the previous one.
        multiplier: f64,
        /// After how long without a failure the delay is reset to the first one.
        quiet: Duration,
        /// How many times the job may restart without such a quiet period in between.
        attempts: u32,
    },
}

impl RestartStrategy {
    /// After one second, then after growing delays of up to a minute; reset once a job has run for an hour.
    #[must_use]
    pub fn exponential() -> Self {
        RestartStrategy::ExponentialDelay {
            initial: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            multiplier: 1.5,
            quiet: Duration::from_secs(3600),
            attempts: u32::MAX,
        }
    }

    /// Restarts `attempts` times, each time after `delay`.
    #[must_use]
    pub fn fixed(attempts: u32, delay: Duration) -> Self {
        RestartStrategy::FixedDelay { attempts, delay }
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
                self.attempts += 1;
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
                quiet,
                attempts,
            } => {
                let ran = before.map(|before| now.saturating_sub(before + self.delay));
                if ran.is_none_or(|ran| ran >= quiet) {
                    (self.attempts, self.delay) = (0, initial);
                } else {
                    self.delay = self.delay.mul_f64(multiplier).min(longest);
                }
                self.attempts += 1;
                (self.attempts <= attempts).then_some(self.delay)
            }
        }
    }
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
        let strategy = RestartStrategy::FailureRate {
            failures_max: 2,
            interval: secs(60),
            delay: secs(1),
        };
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
}
