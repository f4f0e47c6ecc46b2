//! Arithmetic progressions of places: the remaining input of sources whose records are numbered.
//!
//! Readers that interleave (`i`, `i + p`, `i + 2p` …) leave one progression each at a checkpoint, advanced as far as
//! its reader got. To redistribute them, each is cut into the number of parts that gives every reader equally many. A
//! reader reads its parts in ascending order of places, as if they were one. Once the parts that were behind have
//! caught up, parts that together form one progression are merged.

use super::{Position, PositionError, PositionReader};
use crate::seeded_bugs::seeded;

/// The places `next`, `next + stride`, `next + 2·stride` … that lie before `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progression {
    pub(crate) next: u64,
    pub(crate) stride: u64,
    pub(crate) end: u64,
    /// How much of place `next` has been read, in whatever unit the source uses.
    pub(crate) offset: u64,
}

impl Progression {
    /// Every `stride`-th place from `next` up to but excluding `end`.
    pub(crate) fn new(next: u64, stride: u64, end: u64) -> Self {
        Progression {
            next,
            stride: stride.max(1),
            end,
            offset: 0,
        }
    }

    /// The next place; `u64::MAX`, which no place exceeds, if the progression has ended.
    fn rank(&self) -> u64 {
        if self.next < self.end {
            self.next
        } else {
            u64::MAX
        }
    }

    /// Part `index` of `count`. A place in progress stays with the first part.
    fn part(self, index: u64, count: u64) -> Self {
        let stride = self.stride.saturating_mul(count);
        if index == 0 {
            return Progression { stride, ..self };
        }
        let next = self.next.saturating_add(self.stride.saturating_mul(index));
        Progression::new(next, stride, self.end)
    }

    /// Appends the progression to a position.
    pub(crate) fn write(&self, position: Position) -> Position {
        let off = u64::from(seeded("position-off-by-one"));
        position
            .number(self.next.saturating_add(off))
            .number(self.stride)
            .number(self.end)
            .number(self.offset)
    }

    /// Reads a progression written by [`write`](Self::write).
    pub(crate) fn read(reader: &mut PositionReader<'_>) -> Result<Self, PositionError> {
        let next = reader.number()?;
        let (stride, end, offset) = (reader.number()?, reader.number()?, reader.number()?);
        if stride == 0 {
            return Err(reader.damaged());
        }
        Ok(Progression {
            next,
            stride,
            end,
            offset,
        })
    }
}

/// Reads positions that consist of a progression only.
pub(crate) fn read_progressions(
    source: &'static str,
    positions: &[Vec<u8>],
) -> Result<Vec<Progression>, PositionError> {
    let read = |position: &Vec<u8>| {
        let mut reader = PositionReader::of(source, position)?;
        let progression = Progression::read(&mut reader)?;
        reader.end()?;
        Ok(progression)
    };
    positions.iter().map(read).collect()
}

/// The share of reader `index` of `parallelism`. Every reader gets equally many parts; with an unchanged parallelism,
/// each gets back exactly what it left if it left one progression.
pub(crate) fn deal(all: &[Progression], index: u32, parallelism: u32) -> Vec<Progression> {
    let (count, readers) = (all.len() as u64, u64::from(parallelism.max(1)));
    if count == 0 {
        return Vec::new();
    }
    let parts = readers / greatest_common_divisor(count, readers);
    let own = (u64::from(index)..count * parts).step_by(readers as usize);
    own.map(|part| all[(part % count) as usize].part(part / count, parts))
        .collect()
}

/// The share of reader `index` of `parallelism` of splits that cannot be subdivided.
pub(crate) fn deal_whole<T>(
    all: impl IntoIterator<Item = T>,
    index: u32,
    parallelism: u32,
) -> impl Iterator<Item = T> {
    let all = all.into_iter().skip(index as usize);
    all.step_by(parallelism.max(1) as usize)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// Progressions that one reader reads in ascending order of places.
#[derive(Debug)]
pub(crate) struct Progressions {
    /// The progression with the smallest next place.
    current: Progression,
    others: Vec<Progression>,
    /// The current progression remains the current one up to this place.
    until: u64,
    /// The others are not parts of the same whole.
    apart: bool,
}

impl Progressions {
    /// One progression.
    pub(crate) fn one(progression: Progression) -> Self {
        Progressions::of(vec![progression])
    }

    /// Any number of progressions, possibly none, that have no place in common.
    pub(crate) fn of(mut all: Vec<Progression>) -> Self {
        let current = all.pop().unwrap_or(Progression::new(0, 1, 0));
        let mut progressions = Progressions {
            current,
            others: all,
            until: 0,
            apart: false,
        };
        progressions.turn();
        progressions
    }

    /// Every progression, including those that have ended.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Progression> {
        std::iter::once(&self.current).chain(&self.others)
    }

    /// The progression that contains the next place.
    #[inline(always)]
    pub(crate) fn current(&self) -> &Progression {
        &self.current
    }

    /// The next place, if it is before `end`.
    #[inline(always)]
    pub(crate) fn next_before(&self, end: u64) -> Option<u64> {
        let next = self.current.next;
        (next < self.current.end.min(end)).then_some(next)
    }

    /// Whether there is no next place.
    #[inline(always)]
    pub(crate) fn is_done(&self) -> bool {
        self.current.next >= self.current.end
    }

    /// Sets how much of the next place has been read.
    #[inline(always)]
    pub(crate) fn set_offset(&mut self, offset: u64) {
        self.current.offset = offset;
    }

    /// Advances the current progression by this many places.
    #[inline(always)]
    pub(crate) fn step(&mut self, places: u64) {
        let progression = &mut self.current;
        let ahead = progression.stride.saturating_mul(places);
        progression.next = progression.next.saturating_add(ahead);
        progression.offset = 0;
        if progression.next > self.until {
            self.turn();
        }
    }

    /// Makes the progression with the smallest next place the current one.
    #[cold]
    fn turn(&mut self) {
        self.join();
        let ranks = self.others.iter().map(Progression::rank);
        if let Some((index, rank)) = ranks.enumerate().min_by_key(|(_, rank)| *rank)
            && rank < self.current.rank()
        {
            std::mem::swap(&mut self.current, &mut self.others[index]);
        }
        let limit = self.others.iter().map(Progression::rank).min();
        // A lone progression has none to give way to, not even when it ends.
        self.until = limit.map_or(u64::MAX, |limit| {
            limit.min(self.current.end.saturating_sub(1))
        });
    }

    /// Merges parts that form a whole: their number divides their stride, they are evenly spaced, and only the first
    /// may have a place in progress.
    fn join(&mut self) {
        let (count, first) = (self.others.len() as u64 + 1, self.current);
        if self.others.is_empty() || self.apart || !first.stride.is_multiple_of(count) {
            return;
        }
        let alike = |other: &Progression| (other.stride, other.end) == (first.stride, first.end);
        let lowest = self.all().map(|p| p.next).min().unwrap_or_default();
        let highest = self.all().map(|p| p.next).max().unwrap_or_default();
        if !self.others.iter().all(alike) || highest - lowest >= first.stride {
            return;
        }
        let mut sorted: Vec<Progression> = self.all().copied().collect();
        sorted.sort_by_key(|progression| progression.next);
        let stride = first.stride / count;
        let places = (0..).map(|part| lowest.saturating_add(stride * part));
        if !sorted.iter().zip(places).all(|(p, place)| p.next == place) {
            self.apart = true;
        } else if sorted[1..]
            .iter()
            .all(|progression| progression.offset == 0)
        {
            self.current = Progression {
                stride,
                ..sorted[0]
            };
            self.others.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads up to `limit` places.
    fn read(progressions: &mut Progressions, limit: usize) -> Vec<u64> {
        let mut places = Vec::new();
        while places.len() < limit
            && let Some(place) = progressions.next_before(u64::MAX)
        {
            places.push(place);
            progressions.step(1);
        }
        places
    }

    fn left(readers: &[Progressions]) -> Vec<Progression> {
        readers
            .iter()
            .flat_map(Progressions::all)
            .copied()
            .collect()
    }

    fn readers(all: &[Progression], parallelism: u32) -> Vec<Progressions> {
        let shares = (0..parallelism).map(|index| deal(all, index, parallelism));
        shares.map(Progressions::of).collect()
    }

    proptest! {
        #[test]
        fn every_place_is_read_once_wherever_the_readers_are_cut_and_however_many_there_are(
            end in 0..400_u64,
            attempts in prop::collection::vec(
                (1..9_u32, prop::collection::vec(0..60_usize, 8)), 1..6),
        ) {
            let mut left_over = vec![Progression::new(0, 1, end)];
            let mut seen = Vec::new();
            for (parallelism, cuts) in attempts {
                let mut readers = readers(&left_over, parallelism);
                for (reader, cut) in readers.iter_mut().zip(cuts) {
                    let places = read(reader, cut);
                    prop_assert!(places.is_sorted(), "{:?}", places);
                    seen.extend(places);
                }
                left_over = left(&readers);
            }
            seen.extend(read(&mut Progressions::of(left_over), usize::MAX));
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..end).collect::<Vec<_>>());
        }
    }

    #[test]
    fn readers_get_equally_many_parts_and_their_own_at_the_same_parallelism() {
        let all = [3, 1, 2].map(|next| Progression::new(next, 3, 1000));
        for parallelism in 1..9 {
            let shares: Vec<_> = (0..parallelism)
                .map(|i| deal(&all, i, parallelism).len())
                .collect();
            assert!(
                shares.iter().all(|length| *length == shares[0]),
                "{shares:?}"
            );
        }
        assert_eq!(deal(&all, 1, 3), [all[1]]);
        assert!(deal(&[], 0, 2).is_empty());
    }

    #[test]
    fn parts_that_have_caught_up_are_one_again() {
        let mut eight: Vec<_> = (0..8)
            .map(|next| Progression::new(next, 8, 1 << 40))
            .collect();
        eight[5].next += 800;
        let mut one = Progressions::of(eight);
        let places = read(&mut one, 2000);
        assert!(places.is_sorted());
        let next = places.last().unwrap() + 1;
        assert_eq!(left(&[one]), [Progression::new(next, 1, 1 << 40)]);
    }

    #[test]
    fn only_the_first_part_has_what_was_begun() {
        let begun = Progression {
            offset: 5,
            ..Progression::new(10, 2, 100)
        };
        let first = deal(&[begun], 0, 2);
        assert_eq!(
            (first[0].next, first[0].stride, first[0].offset),
            (10, 4, 5)
        );
        let second = deal(&[begun], 1, 2);
        assert_eq!(
            (second[0].next, second[0].stride, second[0].offset),
            (12, 4, 0)
        );
    }

    #[test]
    fn places_up_to_the_largest_do_not_overflow() {
        let mut last = Progressions::one(Progression::new(u64::MAX - 3, 2, u64::MAX));
        assert_eq!(read(&mut last, 9), [u64::MAX - 3, u64::MAX - 1]);
        assert!(last.is_done());
    }

    #[test]
    fn splits_that_cannot_be_cut_have_one_owner() {
        let mut all = Vec::new();
        for index in 0..3 {
            all.extend(deal_whole(0..7, index, 3));
        }
        assert_eq!(all, [0, 3, 6, 1, 4, 2, 5]);
    }
}
