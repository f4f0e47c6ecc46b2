//! Minimum watermarks without alignment: over the inputs of an operator, or over the splits of a source.
//!
//! Flink's `CombinedWatermarkStatus`: the combined watermark is the minimum over the parts that are
//! not idle, and is sent only when it grows. Unlike in the [valve](super::Valve), a part that comes
//! back from idleness counts at once, even when it is behind: then the result stalls.

use super::{TimeSignal, TimeSignals, Timestamp};

#[derive(Clone, Copy, Debug)]
struct Part {
    watermark: Timestamp,
    status: Status,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Status {
    Active,
    Idle,
    /// The part is not registered; its slot may be reused.
    Absent,
}

impl Part {
    const NEW: Part = Part {
        watermark: Timestamp::MIN,
        status: Status::Active,
    };

    /// Raises the watermark; any watermark, even an old one, ends idleness.
    fn raise(&mut self, watermark: Timestamp) {
        if self.status == Status::Idle {
            self.status = Status::Active;
        }
        self.watermark = self.watermark.max(watermark);
    }

    fn set_idle(&mut self, idle: bool) {
        match self.status {
            Status::Active if idle => self.status = Status::Idle,
            Status::Idle if !idle => self.status = Status::Active,
            _ => {}
        }
    }
}

/// The combination of all parts.
#[derive(Clone, Debug)]
struct Combined {
    watermark: Timestamp,
    idle: bool,
}

impl Combined {
    const NEW: Combined = Combined {
        watermark: Timestamp::MIN,
        idle: false,
    };

    /// Re-evaluates the parts. [`TimeSignal::Active`] precedes the watermark, because an
    /// idle channel's watermarks are ignored downstream.
    fn update(&mut self, parts: &[Part]) -> TimeSignals {
        let mut minimum = Timestamp::MAX;
        let (mut some_present, mut some_active) = (false, false);
        for part in parts {
            match part.status {
                Status::Active => {
                    some_active = true;
                    minimum = minimum.min(part.watermark);
                }
                Status::Idle => some_present = true,
                Status::Absent => {}
            }
        }
        if !some_active {
            let became_idle = some_present && !self.idle;
            self.idle |= some_present;
            return TimeSignals::of(became_idle.then_some(TimeSignal::Idle), None);
        }
        let became_active = std::mem::replace(&mut self.idle, false);
        let grew = minimum > self.watermark;
        self.watermark = self.watermark.max(minimum);
        TimeSignals::of(
            became_active.then_some(TimeSignal::Active),
            grew.then_some(TimeSignal::Watermark(minimum)),
        )
    }
}

/// Combines the watermarks and statuses of the inputs of one operator.
///
/// ```
/// use thalweg::time::{Combiner, TimeSignal, TimeSignals, Timestamp};
///
/// let mut combiner = Combiner::new(2);
/// assert!(combiner.on_watermark(0, Timestamp(7)).is_empty());
/// let lower = TimeSignal::Watermark(Timestamp(5));
/// assert_eq!(combiner.on_watermark(1, Timestamp(5)), TimeSignals::one(lower));
/// ```
#[derive(Clone, Debug)]
pub struct Combiner {
    inputs: Box<[Part]>,
    combined: Combined,
}

impl Combiner {
    /// Creates a combiner of `input_count` inputs, all active and at [`Timestamp::MIN`].
    ///
    /// # Panics
    /// If there is no input.
    #[must_use]
    pub fn new(input_count: usize) -> Self {
        assert!(input_count > 0, "an operator has at least one input");
        Combiner {
            inputs: vec![Part::NEW; input_count].into_boxed_slice(),
            combined: Combined::NEW,
        }
    }

    /// The last combined watermark; [`Timestamp::MIN`] before the first.
    #[inline]
    #[must_use]
    pub fn watermark(&self) -> Timestamp {
        self.combined.watermark
    }

    /// Whether every input is idle.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.combined.idle
    }

    /// Handles a watermark on `input`, which thereby becomes active.
    pub fn on_watermark(&mut self, input: usize, watermark: Timestamp) -> TimeSignals {
        self.inputs[input].raise(watermark);
        self.combined.update(&self.inputs)
    }

    /// Handles `input` becoming idle.
    pub fn on_idle(&mut self, input: usize) -> TimeSignals {
        self.inputs[input].set_idle(true);
        self.combined.update(&self.inputs)
    }

    /// Handles `input` becoming active.
    pub fn on_active(&mut self, input: usize) -> TimeSignals {
        self.inputs[input].set_idle(false);
        self.combined.update(&self.inputs)
    }
}

/// A split registered with [`SplitWatermarks`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct SplitSlot(usize);

/// Combines the watermarks of the splits that one source reader reads.
///
/// Flink's `WatermarkOutputMultiplexer`. Splits come and go. The result never decreases: a new split may
/// start below it, and then it stalls. Removing the slowest split has no effect by itself;
/// the next input or [`tick`](Self::tick) does. Without splits nothing is sent, not even idleness.
#[derive(Clone, Debug)]
pub struct SplitWatermarks {
    splits: Vec<Part>,
    combined: Combined,
}

impl Default for SplitWatermarks {
    fn default() -> Self {
        SplitWatermarks::new()
    }
}

impl SplitWatermarks {
    /// Creates a combination of no splits.
    #[must_use]
    pub const fn new() -> Self {
        SplitWatermarks {
            splits: Vec::new(),
            combined: Combined::NEW,
        }
    }

    /// The last combined watermark; [`Timestamp::MIN`] before the first.
    #[inline]
    #[must_use]
    pub fn watermark(&self) -> Timestamp {
        self.combined.watermark
    }

    /// Whether all splits were idle when last looked at.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.combined.idle
    }

    /// Adds a split, active and at [`Timestamp::MIN`]. Its slot is valid until it is passed to
    /// [`unregister`](Self::unregister), after which another split may get it.
    #[must_use]
    pub fn register(&mut self) -> SplitSlot {
        let vacant = self.splits.iter().position(|s| s.status == Status::Absent);
        let slot = vacant.unwrap_or(self.splits.len());
        match vacant {
            Some(slot) => self.splits[slot] = Part::NEW,
            None => self.splits.push(Part::NEW),
        }
        SplitSlot(slot)
    }

    /// Removes a split; sends nothing by itself.
    ///
    /// # Panics
    /// If the split is not registered. The other methods that take one panic then, too.
    pub fn unregister(&mut self, split: SplitSlot) {
        self.part(split).status = Status::Absent;
    }

    /// Notes a watermark of `split`. It takes effect at the next [`tick`](Self::tick), so that a batch over many splits
    /// evaluates all of them once.
    pub fn defer_watermark(&mut self, split: SplitSlot, watermark: Timestamp) {
        self.part(split).raise(watermark);
    }

    /// Notes that `split` became idle, or active again; this too takes effect at the next [`tick`](Self::tick).
    pub fn defer_idle(&mut self, split: SplitSlot, idle: bool) {
        self.part(split).set_idle(idle);
    }

    /// Evaluates all splits; call it at the end of a batch. Returns one watermark at most, and none together with
    /// idleness, because the receiver may take a while to process either.
    pub fn tick(&mut self) -> TimeSignals {
        self.combined.update(&self.splits)
    }

    fn part(&mut self, split: SplitSlot) -> &mut Part {
        let part = &mut self.splits[split.0];
        assert!(part.status != Status::Absent, "the split is registered");
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TimeSignal::{Active, Idle};

    /// Applies a watermark and evaluates all splits.
    fn at_once(
        splits: &mut SplitWatermarks,
        split: SplitSlot,
        watermark: Timestamp,
    ) -> TimeSignals {
        splits.defer_watermark(split, watermark);
        splits.tick()
    }

    fn mark(watermark: i64) -> TimeSignal {
        TimeSignal::Watermark(Timestamp(watermark))
    }

    fn feed(combiner: &mut Combiner, input: usize, signal: TimeSignal) -> Vec<TimeSignal> {
        let signals = match signal {
            TimeSignal::Watermark(watermark) => combiner.on_watermark(input, watermark),
            Idle => combiner.on_idle(input),
            Active => combiner.on_active(input),
        };
        signals.collect()
    }

    fn trace(steps: &[(usize, TimeSignal, &[TimeSignal])]) {
        let mut combiner = Combiner::new(2);
        for (step, &(input, signal, expected)) in steps.iter().enumerate() {
            let sent = feed(&mut combiner, input, signal);
            assert_eq!(sent, expected, "step {step}: {signal:?} on {input}");
        }
    }

    #[test]
    fn inputs_combine_to_the_minimum_as_it_grows() {
        trace(&[
            (0, mark(7), &[]),
            (1, mark(5), &[mark(5)]),
            (1, mark(4), &[]),
            (1, mark(9), &[mark(7)]),
            (0, mark(8), &[mark(8)]),
        ]);
    }

    #[test]
    fn idle_input_is_left_out_and_counts_at_once_when_it_returns() {
        trace(&[
            (0, mark(7), &[]),
            (1, Idle, &[mark(7)]),
            (1, Idle, &[]),
            (0, mark(10), &[mark(10)]),
            (1, Active, &[]),
            (0, mark(12), &[]),
            (1, mark(11), &[mark(11)]),
        ]);
    }

    #[test]
    fn watermark_ends_the_idleness_of_its_input() {
        trace(&[
            (0, mark(7), &[]),
            (1, Idle, &[mark(7)]),
            (1, mark(3), &[]),
            (0, mark(9), &[]),
            (1, mark(8), &[mark(8)]),
        ]);
    }

    #[test]
    fn all_idle_is_told_once_without_a_flush_and_so_is_the_return() {
        trace(&[
            (0, mark(7), &[]),
            (1, mark(5), &[mark(5)]),
            (0, Idle, &[]),
            (1, Idle, &[Idle]),
            (1, Idle, &[]),
            (0, Active, &[Active, mark(7)]),
            (0, Active, &[]),
            (0, Idle, &[Idle]),
            (1, mark(9), &[Active, mark(9)]),
        ]);
    }

    fn sent(signals: TimeSignals) -> Vec<TimeSignal> {
        signals.collect()
    }

    #[test]
    fn without_splits_nothing_is_sent() {
        let mut splits = SplitWatermarks::new();
        assert_eq!(sent(splits.tick()), []);
        let split = splits.register();
        assert_eq!(sent(at_once(&mut splits, split, Timestamp(5))), [mark(5)]);
        splits.unregister(split);
        assert_eq!(sent(splits.tick()), [], "neither a watermark nor idle");
        assert!(!splits.is_idle());
    }

    #[test]
    fn new_split_below_the_result_holds_it_but_never_lowers_it() {
        let mut splits = SplitWatermarks::new();
        let first = splits.register();
        assert_eq!(sent(at_once(&mut splits, first, Timestamp(5))), [mark(5)]);
        let second = splits.register();
        assert_eq!(sent(at_once(&mut splits, first, Timestamp(8))), []);
        assert_eq!(sent(at_once(&mut splits, second, Timestamp(2))), []);
        assert_eq!(splits.watermark(), Timestamp(5));
        assert_eq!(sent(at_once(&mut splits, second, Timestamp(6))), [mark(6)]);
    }

    #[test]
    fn taking_the_lowest_split_away_moves_nothing_until_the_tick() {
        let mut splits = SplitWatermarks::new();
        let (low, high) = (splits.register(), splits.register());
        assert_eq!(sent(at_once(&mut splits, high, Timestamp(9))), []);
        assert_eq!(sent(at_once(&mut splits, low, Timestamp(4))), [mark(4)]);
        splits.unregister(low);
        assert_eq!(splits.watermark(), Timestamp(4));
        assert_eq!(sent(splits.tick()), [mark(9)]);
    }

    #[test]
    fn deferred_watermark_waits_for_the_tick() {
        let mut splits = SplitWatermarks::new();
        let (one, other) = (splits.register(), splits.register());
        splits.defer_watermark(one, Timestamp(3));
        splits.defer_watermark(other, Timestamp(6));
        splits.defer_watermark(one, Timestamp(2));
        assert_eq!(splits.watermark(), Timestamp::MIN);
        assert_eq!(sent(splits.tick()), [mark(3)]);
        splits.defer_watermark(one, Timestamp(8));
        let at_once = at_once(&mut splits, other, Timestamp(7));
        assert_eq!(sent(at_once), [mark(7)]);
    }

    #[test]
    fn idle_splits_are_left_out_and_all_idle_is_told_once() {
        let mut splits = SplitWatermarks::new();
        let (one, other) = (splits.register(), splits.register());
        assert_eq!(sent(at_once(&mut splits, one, Timestamp(3))), []);
        splits.defer_idle(other, true);
        assert_eq!(sent(splits.tick()), [mark(3)]);
        splits.defer_idle(one, true);
        assert_eq!(sent(splits.tick()), [Idle]);
        assert_eq!(sent(splits.tick()), []);
        assert_eq!(sent(at_once(&mut splits, other, Timestamp(1))), [Active]);
        splits.defer_idle(one, false);
        assert_eq!(sent(splits.tick()), []);
        assert_eq!(sent(at_once(&mut splits, other, Timestamp(9))), []);
        assert_eq!(sent(at_once(&mut splits, one, Timestamp(4))), [mark(4)]);
    }

    #[test]
    fn last_active_split_that_leaves_makes_the_source_idle_at_the_tick() {
        let mut splits = SplitWatermarks::new();
        let (one, other) = (splits.register(), splits.register());
        splits.defer_idle(one, true);
        assert_eq!(sent(splits.tick()), []);
        splits.unregister(other);
        assert_eq!(sent(splits.tick()), [Idle]);
        let again = splits.register();
        assert_eq!(again, other, "the place is used again");
        assert_eq!(sent(splits.tick()), [Active]);
    }
}
