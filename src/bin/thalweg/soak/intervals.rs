//! Counts and sums per key and interval, kept in a map until the interval's timer fires, and then added to a total.

use thalweg::operator::{
    KeyedOpenContext, KeyedProcessContext, KeyedProcessFunction, Outcome, TimeDomain,
};
use thalweg::state::{MapState, ValueState};
use thalweg::time::Timestamp;

/// A record: its key, its value, its time in milliseconds.
pub(super) type Event = [u64; 3];

/// A row: the key, the interval's end in milliseconds, its number of records and their sum, and the sum of all
/// intervals of the key so far.
pub(super) type Row = [u64; 5];

/// The length of an interval.
pub(super) const INTERVAL_MS: u64 = 50;

/// The timestamp of a number of milliseconds.
pub(super) fn at_ms(ms: u64) -> Timestamp {
    Timestamp((ms * 1_000_000).cast_signed())
}

/// The function, with every kind of state in which a lost, duplicated or torn checkpoint would show.
#[derive(Clone, Default)]
pub(super) struct Intervals {
    /// The number of records and their sum, by the interval's end.
    open: MapState<u64, [u64; 2]>,
    total: ValueState<u64>,
}

impl KeyedProcessFunction<u64, Event> for Intervals {
    type Out = Row;

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.open = cx.state().map_state("open")?;
        self.total = cx.state().value_state("total")?;
        Ok(())
    }

    fn process(
        &mut self,
        &[_, value, ms]: &Event,
        cx: &mut impl KeyedProcessContext<u64, Row>,
    ) -> Outcome {
        let end = (ms / INTERVAL_MS + 1) * INTERVAL_MS;
        self.open.update(cx, end, |[count, sum]| {
            *count += 1;
            *sum += value;
        });
        cx.register_event_timer(at_ms(end));
        Ok(())
    }

    fn on_timer(
        &mut self,
        at: Timestamp,
        _domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, Row>,
    ) -> Outcome {
        let end = at.0.cast_unsigned() / 1_000_000;
        let counted = self.open.remove(cx, &end);
        let [count, sum] = counted.ok_or("a timer has no interval: its state was lost")?;
        let total = self.total.value(cx).unwrap_or_default() + sum;
        self.total.set(cx, total);
        let row = [*cx.key(), end, count, sum, total];
        cx.emit(&row);
        Ok(())
    }
}
