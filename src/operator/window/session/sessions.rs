//! The sessions of one key: few, disjoint, in time order.
//!
//! Nearly always only one session of a key takes records, and nearly always that is its only one. So the
//! latest session is stored in the table entry itself, and earlier ones, if any, in a list.
//!
//! Invariant: sessions neither overlap nor touch; `earlier` is in time order, before `latest`.

use crate::operator::window::TimeWindow;
use crate::record::{FormError, Scratch, StateValue, shape_of_items, take_item, with_length};
use crate::time::Timestamp;

/// A session and its accumulator.
#[derive(Clone, Debug)]
pub(super) struct OneSession<A> {
    pub(super) window: TimeWindow,
    /// When to check the session: [`Timestamp::MAX`] for one that is kept for ever, too.
    pub(super) alarm: Timestamp,
    pub(super) accumulator: A,
}

impl<A> OneSession<A> {
    /// Returns whether the session and `window` overlap or touch.
    fn meets(&self, window: TimeWindow) -> bool {
        self.window.start <= window.end && self.window.end >= window.start
    }

    /// Returns whether the session, which ends after `fired_to`, can take a record at `at` without starting earlier.
    #[inline(always)]
    pub(super) fn goes_on(&self, at: Timestamp, fired_to: Timestamp) -> bool {
        let TimeWindow { start, end } = self.window;
        // An end is at least one gap after the first timestamp, so one less is a timestamp too.
        start <= at && at <= end && end.0.wrapping_sub(1) > fired_to.0
    }

    /// Returns whether it has fired: one that has not is checked when it ends, or before.
    pub(super) fn has_fired(&self) -> bool {
        self.alarm > self.window.max_timestamp()
    }

    /// Returns whether it need not be checked any more: it has fired, and is over at the end of time only.
    pub(super) fn is_kept_for_ever(&self) -> bool {
        self.alarm == Timestamp::MAX && self.has_fired()
    }
}

/// The sessions of one key: at least one.
#[derive(Clone, Debug)]
pub(super) struct Sessions<A> {
    pub(super) latest: OneSession<A>,
    /// Boxed twice: only a pointer in the table for what hardly any key has.
    earlier: Option<Box<Earlier<A>>>,
}

#[derive(Clone, Debug)]
struct Earlier<A>(Vec<OneSession<A>>);

/// Lists of earlier sessions that no key currently needs: if the watermark is far behind, most keys need one
/// now and then.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "the boxes go back into tables as they are")]
pub(super) struct SpareLists<A>(Vec<Box<Earlier<A>>>);

/// The maximum number of spare lists kept.
const SPARE_MAX: usize = 4096;

impl<A> SpareLists<A> {
    pub(super) const fn new() -> Self {
        SpareLists(Vec::new())
    }
}

/// The result of merging a window into sessions.
pub(super) struct Merged<'a, A> {
    /// The one session that remains.
    pub(super) session: &'a mut OneSession<A>,
    /// Whether the last of the merged sessions had fired.
    pub(super) had_fired: bool,
}

impl<A> Sessions<A> {
    /// Creates the sessions of a key that has one.
    pub(super) fn new(session: OneSession<A>) -> Self {
        Sessions {
            latest: session,
            earlier: None,
        }
    }

    /// Returns the list of earlier sessions, which must exist.
    fn earlier(&mut self) -> &mut Vec<OneSession<A>> {
        let earlier = self.earlier.as_mut();
        &mut earlier.expect("there are earlier sessions").0
    }

    /// Returns how many sessions there are.
    pub(super) fn len(&self) -> usize {
        1 + self.earlier.as_ref().map_or(0, |earlier| earlier.0.len())
    }

    /// Returns the session at a place in time order.
    pub(super) fn get(&mut self, place: usize) -> &mut OneSession<A> {
        let earlier = self.earlier.as_mut();
        let session = earlier.and_then(|earlier| earlier.0.get_mut(place));
        session.unwrap_or(&mut self.latest)
    }

    /// Returns the place of the session to be checked at `at`; the earliest if there are several.
    pub(super) fn with_alarm(&self, at: Timestamp) -> Option<usize> {
        self.iter()
            .position(|session| session.alarm == at && !session.is_kept_for_ever())
    }

    /// Returns all sessions in time order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &OneSession<A>> {
        let earlier = self.earlier.as_ref().map_or(&[][..], |earlier| &earlier.0);
        earlier.iter().chain([&self.latest])
    }

    /// Merges `window` and all sessions that meet it into one, keeping the alarm of the last of
    /// them; `None` if none meets it.
    pub(super) fn merge(
        &mut self,
        window: TimeWindow,
        merge: impl Fn(&mut A, &A),
    ) -> Option<Merged<'_, A>> {
        let with_latest = self.latest.meets(window);
        let (first, after) = match &self.earlier {
            None => (0, 0),
            Some(earlier) => {
                let sessions = &earlier.0;
                let first = sessions.partition_point(|s| s.window.end < window.start);
                let after = sessions.partition_point(|s| s.window.start <= window.end);
                (first, after)
            }
        };
        if first >= after && !with_latest {
            return None;
        }
        let of = |last: &OneSession<A>| (last.window.end, last.alarm, last.has_fired());
        let mut last = of(&self.latest);
        if first < after {
            let mut met = self.earlier().drain(first..after);
            let mut merged = met.next().expect("at least one session meets the window");
            if !with_latest {
                last = of(&merged);
            }
            for session in met {
                merge(&mut merged.accumulator, &session.accumulator);
                if !with_latest {
                    last = of(&session);
                }
            }
            if with_latest {
                merge(&mut merged.accumulator, &self.latest.accumulator);
                std::mem::swap(&mut self.latest, &mut merged);
            } else {
                self.earlier().insert(first, merged);
            }
        }
        let session = if with_latest {
            &mut self.latest
        } else {
            &mut self.earlier()[first]
        };
        let (last_end, alarm, had_fired) = last;
        session.alarm = alarm;
        session.window.start = session.window.start.min(window.start);
        session.window.end = last_end.max(window.end);
        Some(Merged { session, had_fired })
    }

    /// Adds a session that meets none.
    pub(super) fn insert(
        &mut self,
        session: OneSession<A>,
        spare: &mut SpareLists<A>,
    ) -> &mut OneSession<A> {
        let earlier = self.earlier.get_or_insert_with(|| {
            let list = spare.0.pop();
            list.unwrap_or_else(|| Box::new(Earlier(Vec::new())))
        });
        if session.window.start > self.latest.window.start {
            let before = std::mem::replace(&mut self.latest, session);
            earlier.0.push(before);
            return &mut self.latest;
        }
        let place = (earlier.0).partition_point(|s| s.window.start < session.window.start);
        earlier.0.insert(place, session);
        &mut earlier.0[place]
    }

    /// Removes the session at a place in time order. Returns whether it was the only one, which
    /// stays.
    #[must_use]
    pub(super) fn remove(&mut self, place: usize, spare: &mut SpareLists<A>) -> bool {
        let is_latest = place + 1 == self.len();
        let Some(earlier) = &mut self.earlier else {
            return true;
        };
        let was_only = earlier.0.is_empty();
        if !is_latest {
            earlier.0.remove(place);
        } else if let Some(before) = earlier.0.pop() {
            self.latest = before;
        }
        if earlier.0.is_empty()
            && let Some(list) = self.earlier.take()
            && spare.0.len() < SPARE_MAX
        {
            spare.0.push(list);
        }
        was_only
    }
}

/// Encoding: for each session, in time order, its start, its end and its alarm (8 bytes each, in this
/// machine's byte order), and its accumulator, as an item.
impl<A: StateValue> StateValue for Sessions<A> {
    const LENGTH: Option<usize> = None;
    const VERSION: u32 = A::VERSION;
    const SHAPE: u32 = shape_of_items::<A>();

    fn type_name() -> &'static str {
        A::type_name()
    }

    fn encode(&self, scratch: &mut Scratch, bytes: &mut Vec<u8>) {
        for session in self.iter() {
            let TimeWindow { start, end } = session.window;
            for at in [start, end, session.alarm] {
                bytes.extend_from_slice(&at.0.to_ne_bytes());
            }
            with_length(A::LENGTH, bytes, |bytes| {
                session.accumulator.encode(scratch, bytes);
            });
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        let invalid = |reason: &str| FormError::new::<Self>(bytes, reason);
        let mut rest = bytes;
        let mut earlier: Vec<OneSession<A>> = Vec::new();
        while !rest.is_empty() {
            let mut time = || match rest.split_first_chunk() {
                Some((at, after)) => {
                    rest = after;
                    Ok(Timestamp(i64::from_ne_bytes(*at)))
                }
                None => Err(invalid("cut off")),
            };
            let (start, end, alarm) = (time()?, time()?, time()?);
            let is_apart = |before: &OneSession<A>| before.window.end < start;
            if start > end || !earlier.last().is_none_or(is_apart) {
                return Err(invalid("not in the order of time"));
            }
            let accumulator = A::decode(take_item(A::LENGTH, &mut rest)?)?;
            earlier.push(OneSession {
                window: TimeWindow { start, end },
                alarm,
                accumulator,
            });
        }
        let latest = earlier.pop().ok_or_else(|| invalid("no session"))?;
        let earlier = (!earlier.is_empty()).then(|| Box::new(Earlier(earlier)));
        Ok(Sessions { latest, earlier })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(start: i64, gap: i64) -> TimeWindow {
        TimeWindow {
            start: Timestamp(start),
            end: Timestamp(start + gap),
        }
    }

    fn session(window: TimeWindow, value: u32) -> OneSession<Vec<u32>> {
        OneSession {
            window,
            alarm: window.end,
            accumulator: vec![value],
        }
    }

    /// Flink's `TimeWindow.mergeWindows` over all windows at once.
    fn naive(windows: &[(TimeWindow, u32)]) -> Vec<(TimeWindow, Vec<u32>)> {
        let mut sorted: Vec<_> = windows.to_vec();
        sorted.sort_by_key(|(window, _)| window.start);
        let mut merged: Vec<(TimeWindow, Vec<u32>)> = Vec::new();
        for (window, value) in sorted {
            match merged.last_mut() {
                Some((last, values)) if last.end >= window.start => {
                    last.end = last.end.max(window.end);
                    values.push(value);
                }
                _ => merged.push((window, vec![value])),
            }
        }
        for (_, values) in &mut merged {
            values.sort_unstable();
        }
        merged
    }

    proptest! {
        #[test]
        fn sessions_are_all_windows_merged(
            records in prop::collection::vec((0..300_i64, 1..20_i64), 1..60),
        ) {
            let windows: Vec<_> = (0..).zip(&records).map(|(value, &(at, gap))| (window(at, gap), value)).collect();
            let mut sessions: Option<Sessions<Vec<u32>>> = None;
            let mut spare = SpareLists::new();
            for &(window, value) in &windows {
                let Some(sessions) = &mut sessions else {
                    sessions = Some(Sessions::new(session(window, value)));
                    continue;
                };
                match sessions.merge(window, |all, more| all.extend(more)) {
                    Some(merged) => merged.session.accumulator.push(value),
                    None => drop(sessions.insert(session(window, value), &mut spare)),
                }
            }
            let mut sessions = sessions.expect("there is a record");
            let mut found = Vec::new();
            for place in 0..sessions.len() {
                let OneSession { window, accumulator, .. } = sessions.get(place);
                let mut values = accumulator.clone();
                values.sort_unstable();
                found.push((*window, values));
            }
            prop_assert_eq!(&found, &naive(&windows));
            for _ in 1..found.len() {
                let middle = found.len() / 2;
                found.remove(middle);
                prop_assert!(!sessions.remove(middle, &mut spare));
                prop_assert_eq!(sessions.get(0).window, found[0].0);
                prop_assert_eq!(sessions.latest.window, found[found.len() - 1].0);
            }
            prop_assert!(sessions.remove(0, &mut spare));
            prop_assert!(spare.0.iter().all(|list| list.0.is_empty()));
        }
    }
}
