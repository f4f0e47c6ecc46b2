//! The valve: combines the channels of one input into one watermark and one status.
//!
//! A restatement of Flink's `StatusWatermarkValve`. A channel is *active* or *idle*, and *aligned*
//! when it counts for the minimum: a channel that comes back from idleness behind what was already
//! sent must not hold the others back, so it counts again only when it has caught up.
//!
//! Invariant: an aligned channel is active and its watermark is not below the last one sent. The watermark
//! sent never decreases, and the first thing that an idle valve sends is [`TimeSignal::Active`].
//!
//! Records never touch the valve. A watermark costs one pass over the channels' held
//! watermarks, eight bytes each and adjacent.

use super::{TimeSignal, TimeSignals, Timestamp};

/// Combines the watermarks and statuses of the channels of one input.
#[derive(Clone, Debug)]
pub struct Valve {
    /// What each channel holds the watermark back to: its own if aligned, [`Timestamp::MAX`] if not. The
    /// minimum of these can be taken without looking at the flags.
    held: Box<[Timestamp]>,
    channels: Box<[Channel]>,
    active_count: usize,
    aligned_count: usize,
    last_output: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    watermark: Timestamp,
    status: Status,
    aligned: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Status {
    Active,
    Idle,
    Ended,
}

impl Valve {
    /// Creates a valve for `channel_count` channels, all active, aligned and at [`Timestamp::MIN`].
    ///
    /// # Panics
    /// If there is no channel.
    #[must_use]
    pub fn new(channel_count: usize) -> Self {
        assert!(channel_count > 0, "an input has at least one channel");
        let channel = Channel {
            watermark: Timestamp::MIN,
            status: Status::Active,
            aligned: true,
        };
        Valve {
            held: vec![Timestamp::MIN; channel_count].into_boxed_slice(),
            channels: vec![channel; channel_count].into_boxed_slice(),
            active_count: channel_count,
            aligned_count: channel_count,
            last_output: Timestamp::MIN,
        }
    }

    /// The last watermark that was sent; [`Timestamp::MIN`] before the first.
    #[inline]
    #[must_use]
    pub fn watermark(&self) -> Timestamp {
        self.last_output
    }

    /// Whether every channel is idle.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.active_count == 0
    }

    /// The last watermark of a channel, and whether it is idle; `None` if it has ended.
    #[must_use]
    pub fn channel(&self, channel: usize) -> Option<(Timestamp, bool)> {
        let Channel {
            watermark, status, ..
        } = self.channels[channel];
        (status != Status::Ended).then_some((watermark, status == Status::Idle))
    }

    /// Handles a watermark on `channel`; one that is not above the channel's last is ignored, and
    /// so is any on an idle channel (rule 2).
    pub fn on_watermark(&mut self, channel: usize, watermark: Timestamp) -> TimeSignals {
        let state = &mut self.channels[channel];
        if state.status == Status::Idle || watermark <= state.watermark {
            return TimeSignals::NONE;
        }
        state.watermark = watermark;
        self.align_if_caught_up(channel);
        TimeSignals::of(self.advance_to_minimum(), None)
    }

    /// `channel` became idle: it no longer counts. When the last one becomes idle, everything that the
    /// channels still held is flushed: the *greatest* watermark of all is sent, then
    /// [`TimeSignal::Idle`] (rule 3). An ended channel does not become idle.
    pub fn on_idle(&mut self, channel: usize) -> TimeSignals {
        if self.channels[channel].status != Status::Active {
            return TimeSignals::NONE;
        }
        self.channels[channel].status = Status::Idle;
        self.active_count -= 1;
        self.set_unaligned(channel);
        let was_lowest = self.channels[channel].watermark == self.last_output;
        if self.is_idle() {
            let flushed = if was_lowest {
                self.advance_to_maximum()
            } else {
                None
            };
            TimeSignals::of(flushed, Some(TimeSignal::Idle))
        } else if was_lowest {
            TimeSignals::of(self.advance_to_minimum(), None)
        } else {
            TimeSignals::NONE
        }
    }

    /// `channel` became active; it counts at once only if it is not behind (rule 4).
    pub fn on_active(&mut self, channel: usize) -> TimeSignals {
        if self.channels[channel].status != Status::Idle {
            return TimeSignals::NONE;
        }
        TimeSignals::of(self.activate(channel, Status::Active), None)
    }

    /// `channel` ended: it stays at [`Timestamp::MAX`] and is never idle again.
    ///
    /// As in Flink, an idle channel does not keep an ended one from advancing the valve to
    /// [`Timestamp::MAX`]. A channel that stops without draining must not be reported here: its
    /// windows would fire.
    pub fn on_end(&mut self, channel: usize) -> TimeSignals {
        let activated = match self.channels[channel].status {
            Status::Ended => return TimeSignals::NONE,
            Status::Idle => self.activate(channel, Status::Ended),
            Status::Active => None,
        };
        let state = &mut self.channels[channel];
        state.status = Status::Ended;
        state.watermark = Timestamp::MAX;
        self.align_if_caught_up(channel);
        TimeSignals::of(activated, self.advance_to_minimum())
    }

    fn activate(&mut self, channel: usize, status: Status) -> Option<TimeSignal> {
        let was_idle = self.is_idle();
        self.channels[channel].status = status;
        self.active_count += 1;
        self.align_if_caught_up(channel);
        was_idle.then_some(TimeSignal::Active)
    }

    /// Aligns an active channel that is not behind, and updates what an aligned one holds.
    fn align_if_caught_up(&mut self, channel: usize) {
        let state = &mut self.channels[channel];
        debug_assert!(state.status != Status::Idle);
        if !state.aligned && state.watermark >= self.last_output {
            state.aligned = true;
            self.aligned_count += 1;
        }
        if state.aligned {
            self.held[channel] = state.watermark;
        }
    }

    fn set_unaligned(&mut self, channel: usize) {
        let state = &mut self.channels[channel];
        self.aligned_count -= usize::from(state.aligned);
        state.aligned = false;
        self.held[channel] = Timestamp::MAX;
    }

    fn advance_to_minimum(&mut self) -> Option<TimeSignal> {
        if self.aligned_count == 0 {
            return None;
        }
        let minimum = self.held.iter().fold(i64::MAX, |low, held| low.min(held.0));
        self.advance_to(Timestamp(minimum))
    }

    fn advance_to_maximum(&mut self) -> Option<TimeSignal> {
        let watermarks = self.channels.iter().map(|channel| channel.watermark);
        self.advance_to(watermarks.max()?)
    }

    fn advance_to(&mut self, watermark: Timestamp) -> Option<TimeSignal> {
        if watermark <= self.last_output {
            return None;
        }
        self.last_output = watermark;
        Some(TimeSignal::Watermark(watermark))
    }
}

#[cfg(test)]
mod tests;
