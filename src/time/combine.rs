//! Minimum watermarks without alignment: over the inputs of an operator, over the splits of a source.
//!
//! Flink's `CombinedWatermarkStatus`: the combined watermark is the minimum over the parts that are
//! not idle, and goes out only when it grows. Unlike in the [valve](super::Valve), a part that comes
//! back from idleness counts at once, even when it is behind: then the result stands still.

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
    Ended,
    /// The part is not registered; its place may be taken.
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

/// What the parts come to.
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

    /// Looks at the parts again. [`TimeSignal::Active`] stands before the watermark, because an
    /// idle channel's watermarks are ignored downstream.
    fn update(&mut self, parts: &[Part]) -> TimeSignals {
        let mut minimum = Timestamp::MAX;
        let (mut some_present, mut some_active) = (false, false);
        for part in parts {
            match part.status {
                Status::Active | Status::Ended => {
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
    /// A combiner of `input_count` inputs, all active and at [`Timestamp::MIN`].
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

    /// A watermark arrived on `input`, which is active from now on.
    pub fn on_watermark(&mut self, input: usize, watermark: Timestamp) -> TimeSignals {
        self.inputs[input].raise(watermark);
        self.combined.update(&self.inputs)
    }

    /// `input` became idle; an ended one does not.
    pub fn on_idle(&mut self, input: usize) -> TimeSignals {
        self.inputs[input].set_idle(true);
        self.combined.update(&self.inputs)
    }

    /// `input` became active.
    pub fn on_active(&mut self, input: usize) -> TimeSignals {
        self.inputs[input].set_idle(false);
        self.combined.update(&self.inputs)
    }

    /// `input` ended: it stands at [`Timestamp::MAX`] for good and is never idle again.
    pub fn on_end(&mut self, input: usize) -> TimeSignals {
        self.inputs[input] = Part {
            watermark: Timestamp::MAX,
            status: Status::Ended,
        };
        self.combined.update(&self.inputs)
    }
}

/// A split registered with [`SplitWatermarks`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct SplitSlot(usize);

/// Combines the watermarks of the splits that one source reader reads.
///
/// Flink's `WatermarkOutputMultiplexer`. Splits come and go. The result never falls: a new split may
/// start below it, and then it stands still. Taking the lowest split away moves nothing by itself;
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
    /// No splits yet.
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

    /// Whether the splits, at the last look, were all idle.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.combined.idle
    }

    /// The watermark of one split, for alignment.
    ///
    /// # Panics
    /// If the split is not registered; so do the other methods that take one.
    #[must_use]
    pub fn split_watermark(&self, split: SplitSlot) -> Timestamp {
        let part = self.splits[split.0];
        assert!(part.status != Status::Absent, "the split is registered");
        part.watermark
    }

    /// Adds a split, active and at [`Timestamp::MIN`]. Its place is valid until it is given back to
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

    /// Takes a split away; sends nothing by itself.
    pub fn unregister(&mut self, split: SplitSlot) {
        self.part(split).status = Status::Absent;
    }

    /// A watermark of `split` that counts at once, as from a punctuated generator.
    pub fn on_watermark(&mut self, split: SplitSlot, watermark: Timestamp) -> TimeSignals {
        self.defer_watermark(split, watermark);
        self.tick()
    }

    /// A watermark of `split` that counts at the next [`tick`](Self::tick), so that a batch over
    /// many splits looks at all of them once.
    pub fn defer_watermark(&mut self, split: SplitSlot, watermark: Timestamp) {
        self.part(split).raise(watermark);
    }

    /// `split` became idle.
    pub fn on_idle(&mut self, split: SplitSlot) -> TimeSignals {
        self.part(split).set_idle(true);
        self.tick()
    }

    /// `split` became active.
    pub fn on_active(&mut self, split: SplitSlot) -> TimeSignals {
        self.part(split).set_idle(false);
        self.tick()
    }

    /// Looks at all splits: to be called at the end of a batch.
    pub fn tick(&mut self) -> TimeSignals {
        self.combined.update(&self.splits)
    }

    fn part(&mut self, split: SplitSlot) -> &mut Part {
        let part = &mut self.splits[split.0];
        assert!(part.status != Status::Absent, "the split is registered");
        part
    }
}
