//! The valve's rules as traces, and checked against a naive implementation.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Input {
    Mark(i64),
    Idle,
    Active,
    End,
}
use Input::{Active, End, Idle, Mark};

const SENDS_IDLE: TimeSignal = TimeSignal::Idle;
const SENDS_ACTIVE: TimeSignal = TimeSignal::Active;

fn sends(watermark: i64) -> TimeSignal {
    TimeSignal::Watermark(Timestamp(watermark))
}

fn feed(valve: &mut Valve, channel: usize, input: Input) -> Vec<TimeSignal> {
    let signals = match input {
        Mark(watermark) => valve.on_watermark(channel, Timestamp(watermark)),
        Idle => valve.on_idle(channel),
        Active => valve.on_active(channel),
        End => valve.on_end(channel),
    };
    signals.collect()
}

/// Feeds the inputs in order; each step gives the channel, the input, and everything that is sent.
fn trace(channel_count: usize, steps: &[(usize, Input, &[TimeSignal])]) {
    let mut valve = Valve::new(channel_count);
    for (step, &(channel, input, expected)) in steps.iter().enumerate() {
        let sent = feed(&mut valve, channel, input);
        assert_eq!(sent, expected, "step {step}: {input:?} on {channel}");
    }
}

#[test]
fn single_channel_passes_what_grows_and_each_change_of_status() {
    trace(
        1,
        &[
            (0, Active, &[]),
            (0, Mark(0), &[sends(0)]),
            (0, Mark(25), &[sends(25)]),
            (0, Mark(25), &[]),
            (0, Mark(18), &[]),
            (0, Idle, &[SENDS_IDLE]),
            (0, Idle, &[]),
            (0, Mark(50), &[]),
            (0, Active, &[SENDS_ACTIVE]),
            (0, Active, &[]),
            (0, Mark(30), &[sends(30)]),
            (0, Mark(50), &[sends(50)]),
        ],
    );
}

#[test]
fn nothing_is_sent_before_every_channel_has_spoken() {
    trace(
        3,
        &[
            (0, Mark(0), &[]),
            (1, Mark(0), &[]),
            (2, Mark(-5), &[sends(-5)]),
            (2, Mark(0), &[sends(0)]),
        ],
    );
}

#[test]
fn minimum_of_all_channels_is_sent_as_it_grows() {
    trace(
        3,
        &[
            (0, Mark(12), &[]),
            (1, Mark(8), &[]),
            (2, Mark(10), &[sends(8)]),
            (1, Mark(15), &[sends(10)]),
            (2, Mark(17), &[sends(12)]),
            (0, Mark(20), &[sends(15)]),
            (1, Mark(14), &[]),
            (1, Mark(30), &[sends(17)]),
        ],
    );
}

#[test]
fn idle_channel_frees_the_others_and_its_last_does_the_minimum() {
    trace(
        3,
        &[
            (0, Mark(25), &[]),
            (1, Mark(10), &[]),
            (2, Mark(17), &[sends(10)]),
            (1, Idle, &[sends(17)]),
            (1, Idle, &[]),
            (2, Idle, &[sends(25)]),
            (0, Mark(26), &[sends(26)]),
        ],
    );
}

#[test]
fn idle_of_a_channel_that_is_not_lowest_sends_nothing() {
    trace(
        2,
        &[
            (0, Mark(5), &[]),
            (1, Mark(9), &[sends(5)]),
            (1, Idle, &[]),
            (0, Mark(7), &[sends(7)]),
        ],
    );
}

#[test]
fn valve_is_idle_only_when_every_channel_is_and_says_so_once() {
    trace(
        2,
        &[
            (0, Idle, &[]),
            (1, Idle, &[SENDS_IDLE]),
            (0, Idle, &[]),
            (0, Active, &[SENDS_ACTIVE]),
            (1, Active, &[]),
            (1, Idle, &[]),
            (0, Idle, &[SENDS_IDLE]),
            (1, Active, &[SENDS_ACTIVE]),
        ],
    );
}

#[test]
fn all_idle_flushes_the_greatest_watermark() {
    trace(
        3,
        &[
            (0, Mark(30), &[]),
            (1, Mark(20), &[]),
            (2, Mark(10), &[sends(10)]),
            (0, Idle, &[]),
            (1, Idle, &[]),
            (2, Idle, &[sends(30), SENDS_IDLE]),
        ],
    );
}

#[test]
fn all_idle_flushes_nothing_when_the_last_channel_was_not_lowest() {
    trace(
        2,
        &[
            (0, Mark(10), &[]),
            (1, Mark(5), &[sends(5)]),
            (1, Idle, &[sends(10)]),
            (1, Active, &[]),
            (0, Idle, &[]),
            (1, Idle, &[SENDS_IDLE]),
        ],
    );
}

#[test]
fn channel_that_returns_behind_does_not_hold_back_until_it_caught_up() {
    trace(
        3,
        &[
            (2, Mark(10), &[]),
            (0, Idle, &[]),
            (1, Idle, &[sends(10)]),
            (0, Active, &[]),
            (2, Mark(18), &[sends(18)]),
            (0, Mark(11), &[]),
            (2, Mark(20), &[sends(20)]),
            (0, Mark(20), &[]),
            (2, Mark(25), &[]),
            (0, Mark(23), &[sends(23)]),
        ],
    );
}

#[test]
fn channel_that_returns_at_the_output_counts_at_once() {
    trace(
        2,
        &[
            (0, Mark(10), &[]),
            (1, Mark(10), &[sends(10)]),
            (1, Idle, &[]),
            (1, Active, &[]),
            (0, Mark(15), &[]),
            (1, Mark(12), &[sends(12)]),
        ],
    );
}

#[test]
fn return_to_active_sends_no_watermark() {
    trace(
        2,
        &[
            (0, Mark(20), &[]),
            (0, Idle, &[]),
            (1, Mark(5), &[sends(5)]),
            (1, Idle, &[sends(20), SENDS_IDLE]),
            (1, Active, &[SENDS_ACTIVE]),
            (0, Active, &[]),
            (1, Mark(19), &[]),
            (1, Mark(21), &[]),
            (0, Mark(30), &[sends(21)]),
        ],
    );
}

#[test]
fn watermark_of_an_unaligned_channel_lets_the_aligned_ones_out() {
    trace(
        3,
        &[
            (0, Mark(30), &[]),
            (0, Idle, &[]),
            (1, Mark(10), &[]),
            (2, Mark(10), &[sends(10)]),
            (1, Idle, &[]),
            (2, Mark(15), &[sends(15)]),
            (1, Active, &[]),
            (0, Active, &[]),
            (2, Idle, &[sends(30)]),
            (1, Mark(11), &[]),
        ],
    );
}

#[test]
fn ended_channel_stands_at_the_end_of_time_and_never_idles() {
    trace(
        2,
        &[
            (0, Mark(5), &[]),
            (0, End, &[]),
            (0, Idle, &[]),
            (0, Mark(9), &[]),
            (1, Mark(7), &[sends(7)]),
            (0, Active, &[]),
            (1, End, &[sends(i64::MAX)]),
            (1, End, &[]),
        ],
    );
}

#[test]
fn idle_channel_that_ends_is_active_first() {
    trace(
        1,
        &[
            (0, Mark(5), &[sends(5)]),
            (0, Idle, &[SENDS_IDLE]),
            (0, End, &[SENDS_ACTIVE, sends(i64::MAX)]),
        ],
    );
}

/// The rules as sets and sorted lists, recomputed from scratch at each step.
#[derive(Default)]
struct Naive {
    watermarks: Vec<i64>,
    idle: Vec<usize>,
    unaligned: Vec<usize>,
    ended: Vec<usize>,
    sent: Vec<i64>,
}

impl Naive {
    fn last(&self) -> i64 {
        self.sent.last().copied().unwrap_or(i64::MIN)
    }

    fn send(&mut self, watermark: Option<i64>) -> Vec<TimeSignal> {
        let grown = watermark.filter(|&watermark| watermark > self.last());
        self.sent.extend(grown);
        grown.map(sends).into_iter().collect()
    }

    fn send_minimum(&mut self) -> Vec<TimeSignal> {
        let mut aligned: Vec<i64> = (0..self.watermarks.len())
            .filter(|channel| !self.unaligned.contains(channel))
            .map(|channel| self.watermarks[channel])
            .collect();
        aligned.sort_unstable();
        self.send(aligned.first().copied())
    }

    fn feed(&mut self, c: usize, input: Input) -> Vec<TimeSignal> {
        let all = self.watermarks.len();
        match input {
            _ if self.ended.contains(&c) => vec![],
            Mark(w) if self.idle.contains(&c) || w <= self.watermarks[c] => vec![],
            Mark(w) => {
                self.watermarks[c] = w;
                if w >= self.last() {
                    self.unaligned.retain(|&other| other != c);
                }
                self.send_minimum()
            }
            Idle if self.idle.contains(&c) => vec![],
            Idle => {
                self.idle.push(c);
                if !self.unaligned.contains(&c) {
                    self.unaligned.push(c);
                }
                let mut signals = match (self.watermarks[c] == self.last(), self.idle.len()) {
                    (true, idle) if idle == all => self.send(self.watermarks.iter().copied().max()),
                    (true, _) => self.send_minimum(),
                    (false, _) => vec![],
                };
                if self.idle.len() == all {
                    signals.push(SENDS_IDLE);
                }
                signals
            }
            Active if !self.idle.contains(&c) => vec![],
            Active => {
                let was_idle = self.idle.len() == all;
                self.idle.retain(|&other| other != c);
                if self.watermarks[c] >= self.last() {
                    self.unaligned.retain(|&other| other != c);
                }
                if was_idle { vec![SENDS_ACTIVE] } else { vec![] }
            }
            End => {
                let mut signals = self.feed(c, Active);
                signals.extend(self.feed(c, Mark(i64::MAX)));
                self.ended.push(c);
                signals
            }
        }
    }
}

fn inputs() -> impl Strategy<Value = Vec<(usize, Input)>> {
    let input = prop_oneof![
        12 => (0..40_i64).prop_map(Mark),
        4 => Just(Idle),
        4 => Just(Active),
        1 => Just(End),
    ];
    prop::collection::vec((0..64_usize, input), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn valve_is_the_rules(channel_count in 1..6_usize, inputs in inputs()) {
        let mut valve = Valve::new(channel_count);
        let mut naive = Naive { watermarks: vec![i64::MIN; channel_count], ..Naive::default() };
        for (channel, input) in inputs {
            let channel = channel % channel_count;
            prop_assert_eq!(feed(&mut valve, channel, input), naive.feed(channel, input));
            prop_assert_eq!(valve.watermark(), Timestamp(naive.last()));
            prop_assert_eq!(valve.is_idle(), naive.idle.len() == channel_count);
        }
    }
}
