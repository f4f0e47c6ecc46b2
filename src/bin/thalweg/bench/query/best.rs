//! The best record of each window, of those that one subtask sees: the first half of a global maximum.
//!
//! Windows are of keyed streams, and to key all records alike would bring them all to one subtask. So
//! each subtask finds its own best ones first, and only those are sent on.

use thalweg::operator::{Outcome, ProcessContext, ProcessFunction};
use thalweg::time::Timestamp;

/// A record that competes with the others of its window.
pub(super) trait Candidate: Copy + Send + 'static {
    /// The end of the window that it is in, in milliseconds.
    fn window_end_ms(&self) -> u64;

    /// Whether it is better than another one of its window.
    fn beats(&self, other: &Self) -> bool;

    /// The last moment of the window that it is in.
    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.window_end_ms() as i64).saturating_sub(1)
    }

    /// The better one of two.
    fn best(&self, other: &Self) -> Self {
        if other.beats(self) { *other } else { *self }
    }
}

/// Emits the best candidate of each window when it is over.
#[derive(Clone, Debug)]
pub(super) struct BestOfWindow<T> {
    /// That of the window of the record before.
    current: Option<T>,
    /// Those of the other windows that are open: more than a few only where many windows end at once.
    others: Vec<T>,
}

impl<T> BestOfWindow<T> {
    pub(super) fn new() -> Self {
        BestOfWindow {
            current: None,
            others: Vec::new(),
        }
    }
}

impl<T: Candidate> BestOfWindow<T> {
    /// Takes a record of another window than the record before.
    #[cold]
    fn change_window(&mut self, record: &T) {
        let known = |best: &T| best.window_end_ms() == record.window_end_ms();
        let place = self.others.iter().position(known);
        let before = place.map_or(*record, |place| self.others.swap_remove(place));
        let left = self.current.replace(before.best(record));
        self.others.extend(left);
    }
}

impl<T: Candidate> ProcessFunction<T> for BestOfWindow<T> {
    type Out = T;

    #[inline(always)]
    fn process(&mut self, record: &T, _cx: &mut impl ProcessContext<T>) -> Outcome {
        match &mut self.current {
            Some(best) if best.window_end_ms() == record.window_end_ms() => {
                if record.beats(best) {
                    *best = *record;
                }
            }
            _ => self.change_window(record),
        }
        Ok(())
    }

    fn on_watermark(&mut self, at: Timestamp, cx: &mut impl ProcessContext<T>) -> Outcome {
        let left = self.current.take_if(|best| best.at() <= at);
        self.others.extend(left);
        for over in self.others.extract_if(.., |best| best.at() <= at) {
            cx.emit_at(&over, over.at());
        }
        Ok(())
    }
}
