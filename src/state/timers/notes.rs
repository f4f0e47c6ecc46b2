//! Notes of changed timers, by generation: the source of incremental checkpoints.
//!
//! Generations are numbered 1 and 2 alternately. A timer carries the number of the generation that registered it until
//! it is drained, and 0 from then on; each generation lists the slots that it filled, each at most once, so that the
//! notes never get longer than the slab. A timer that was added and removed within one generation leaves no trace.
//!
//! Invariant: when nothing is frozen, the marks of a slot are 0 or the current generation's number.

use super::slab::{Block, Timer, slot_of};
use crate::state::Extent;

/// The changes of one generation.
#[derive(Debug)]
struct Span<K, N> {
    /// Removed timers that had been drained before, or belonged to the previous generation.
    removed: Vec<Timer<K, N>>,
    /// Slots that were filled.
    listed: Vec<u32>,
}

impl<K, N> Span<K, N> {
    const fn new() -> Self {
        Span {
            removed: Vec::new(),
            listed: Vec::new(),
        }
    }
}

/// A frozen generation that is not drained yet.
#[derive(Clone, Copy, Debug)]
struct Frozen {
    extent: Extent,
    /// When draining the whole slab: the next slot, and the first one that did not exist at the freeze.
    position: usize,
    end: usize,
}

/// The changes since the last freeze, and those that it froze.
#[derive(Debug)]
pub(super) struct Notes<K, N> {
    generation: u8,
    current: Span<K, N>,
    frozen: Option<Frozen>,
    /// The changes of the frozen generation; empty, but with its memory kept, when nothing is frozen.
    aside: Span<K, N>,
    /// Timers of the frozen generation that were removed before they were drained.
    gone: Vec<Timer<K, N>>,
}

impl<K: Clone, N: Clone> Notes<K, N> {
    pub(super) const fn new() -> Self {
        Notes {
            generation: 1,
            current: Span::new(),
            frozen: None,
            aside: Span::new(),
            gone: Vec::new(),
        }
    }

    /// The number that a newly registered timer carries.
    #[inline]
    pub(super) fn generation(&self) -> u8 {
        self.generation
    }

    /// Lists a slot that the current generation has filled.
    #[inline]
    pub(super) fn list(&mut self, number: u32) {
        self.current.listed.push(number);
    }

    /// Records that a timer has left its slot.
    #[inline]
    pub(super) fn note_removal(&mut self, number: u32, born: u8, timer: &Timer<K, N>) {
        if born == self.generation {
            return;
        }
        let owed = self.frozen.is_some_and(|frozen| match frozen.extent {
            Extent::Changes => born != 0,
            Extent::Whole => number as usize >= frozen.position,
        });
        if owed {
            self.gone.push(timer.clone());
        }
        self.current.removed.push(timer.clone());
    }

    /// Freezes the current generation or, with [`Extent::Whole`], everything in the first `slot_count` slots.
    pub(super) fn freeze(&mut self, extent: Extent, slot_count: usize) {
        assert!(
            self.frozen.is_none(),
            "the generation frozen before is not drained"
        );
        self.generation = 3 - self.generation;
        std::mem::swap(&mut self.current, &mut self.aside);
        self.frozen = Some(Frozen {
            extent,
            position: 0,
            end: slot_count,
        });
    }

    /// Drains about `budget` of the frozen timers. Returns whether that was all. Removals are discarded if the freeze
    /// was of the whole queue.
    pub(super) fn drain(
        &mut self,
        budget: usize,
        blocks: &mut [Block<K, N>],
        mut set: impl FnMut(&Timer<K, N>),
        mut removed: impl FnMut(&Timer<K, N>),
    ) -> bool {
        let Some(mut frozen) = self.frozen else {
            return true;
        };
        let generation = 3 - self.generation;
        for _ in 0..budget {
            if let Some(timer) = self.aside.removed.pop() {
                if frozen.extent == Extent::Changes {
                    removed(&timer);
                }
            } else if let Some(timer) = self.gone.pop() {
                set(&timer);
            } else if let Some(number) = self.next_slot(&mut frozen) {
                let slot = slot_of(blocks, number);
                if slot.listed == generation {
                    slot.listed = 0;
                }
                let is_owed = match frozen.extent {
                    Extent::Changes => slot.born == generation,
                    Extent::Whole => slot.born != self.generation,
                };
                if is_owed {
                    slot.born = 0;
                    slot.timer.iter().for_each(&mut set);
                }
            } else {
                self.aside.listed.clear();
                self.frozen = None;
                return true;
            }
        }
        self.frozen = Some(frozen);
        false
    }

    /// The next slot that may hold a timer of the frozen generation.
    fn next_slot(&mut self, frozen: &mut Frozen) -> Option<u32> {
        match frozen.extent {
            Extent::Changes => self.aside.listed.pop(),
            Extent::Whole => {
                let number = frozen.position;
                frozen.position += usize::from(number < frozen.end);
                (number < frozen.end).then_some(number as u32)
            }
        }
    }
}
