//! Flink's window rules, written down naively: a list and timers per key and window.

use std::collections::{BTreeMap, BTreeSet};

use crate::operator::window::Sliding;
use crate::time::nanoseconds;

pub(super) type Record = (u8, u32);

/// The output, in order. Aggregates and lists are compared alike, as lists of numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Event {
    Result {
        key: u8,
        start: i64,
        end: i64,
        at: i64,
        values: Vec<u32>,
    },
    Late {
        key: u8,
        value: u32,
        at: i64,
    },
    Watermark(i64),
    End,
}

/// The events of one key, watermarks included: between keys there is no order.
pub(super) fn of_key(events: &[Event], wanted: u8) -> Vec<&Event> {
    let is_wanted = |event: &&Event| match event {
        Event::Result { key, .. } | Event::Late { key, .. } => *key == wanted,
        _ => true,
    };
    events.iter().filter(is_wanted).collect()
}

/// How a window is assigned and kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) size: i64,
    pub(super) slide: i64,
    pub(super) offset: i64,
    pub(super) lateness: i64,
}

impl Shape {
    pub(super) fn assigner(&self) -> Sliding {
        let sliding = Sliding::of(
            nanoseconds(self.size as u64),
            nanoseconds(self.slide as u64),
        );
        let offset = nanoseconds(self.offset.unsigned_abs());
        if self.offset < 0 {
            sliding.offset_back(offset)
        } else {
            sliding.offset(offset)
        }
    }
}

/// Flink's `WindowOperator` and `EventTimeTrigger`, transcribed: a list and timers per key and window.
pub(super) struct Oracle {
    shape: Shape,
    watermark: i64,
    contents: BTreeMap<(u8, i64), Vec<u32>>,
    timers: BTreeSet<(i64, u8, i64)>,
    pub(super) events: Vec<Event>,
}

impl Oracle {
    pub(super) fn new(shape: Shape) -> Self {
        let (contents, timers, events) = Default::default();
        Oracle {
            shape,
            watermark: i64::MIN,
            contents,
            timers,
            events,
        }
    }

    fn max_timestamp(&self, start: i64) -> i64 {
        start + self.shape.size - 1
    }

    fn cleanup(&self, start: i64) -> i64 {
        self.max_timestamp(start)
            .saturating_add(self.shape.lateness)
    }

    pub(super) fn push(&mut self, (key, value): Record, at: i64) {
        let Shape {
            size,
            slide,
            offset,
            lateness,
        } = self.shape;
        let mut skipped = true;
        let mut start = at - (at - offset).rem_euclid(slide);
        while start > at - size {
            if self.cleanup(start) > self.watermark {
                skipped = false;
                self.contents.entry((key, start)).or_default().push(value);
                if self.max_timestamp(start) <= self.watermark {
                    self.emit(key, start);
                } else {
                    self.timers.insert((self.max_timestamp(start), key, start));
                }
                if self.cleanup(start) != i64::MAX {
                    self.timers.insert((self.cleanup(start), key, start));
                }
            }
            start -= slide;
        }
        if skipped && at.saturating_add(lateness) <= self.watermark {
            self.events.push(Event::Late { key, value, at });
        }
    }

    fn emit(&mut self, key: u8, start: i64) {
        if let Some(values) = self.contents.get(&(key, start)) {
            let (end, at) = (start + self.shape.size, self.max_timestamp(start));
            let values = values.clone();
            self.events.push(Event::Result {
                key,
                start,
                end,
                at,
                values,
            });
        }
    }

    pub(super) fn watermark(&mut self, watermark: i64) {
        if watermark <= self.watermark {
            return;
        }
        self.watermark = watermark;
        while let Some(&(time, key, start)) = self.timers.first().filter(|t| t.0 <= watermark) {
            self.timers.pop_first();
            if time == self.max_timestamp(start) {
                self.emit(key, start);
            }
            if time == self.cleanup(start) {
                self.contents.remove(&(key, start));
            }
        }
        self.events.push(Event::Watermark(watermark));
    }
}
