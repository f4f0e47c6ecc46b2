//! Moves a chain to the stack for the length of a batch, so that its counters and small accumulators can live
//! in registers.
//!
//! A head owns its chain through a pointer. The compiler may not keep a field reached through a
//! pointer in a register across a loop with conditional stores: another thread might look. A chain that
//! was moved into a local variable belongs to nobody else, and what the loop changes in it need not be stored
//! before the batch is over. Measured on map → filter → map → sum: a quarter less time per record.
#![expect(unsafe_code, reason = "moves a chain out of its place and back")]

use std::mem::ManuallyDrop;
use std::ptr;

/// Chains above this size in bytes are not moved: that would cost more than it saves.
const SIZE_MAX: usize = 1024;

/// The chain and the place to which it returns when the batch is over or a function panics.
struct Moved<'a, D> {
    chain: ManuallyDrop<D>,
    place: &'a mut D,
}

impl<D> Drop for Moved<'_, D> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `chain` was read from `place`, which nobody has touched since: `self` holds the only
        // reference. So `place` is written without dropping its previous contents, and `chain`, taken here
        // and never again, is not dropped either.
        unsafe { ptr::write(self.place, ManuallyDrop::take(&mut self.chain)) };
    }
}

/// Calls `run` with the chain moved to the stack, and moves it back.
#[inline(always)]
pub(crate) fn on_stack<D, R>(place: &mut D, run: impl FnOnce(&mut D) -> R) -> R {
    if size_of::<D>() > SIZE_MAX {
        return run(place);
    }
    // SAFETY: the copy in `place` is not used before `Moved` overwrites it, whether `run` returns or
    // unwinds, so there is only one chain at any time.
    let chain = ManuallyDrop::new(unsafe { ptr::read(place) });
    let mut moved = Moved { chain, place };
    run(&mut moved.chain)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn the_chain_is_back_in_its_place_after_a_batch_and_after_a_panic() {
        let mut chain = vec![1];
        assert_eq!(on_stack(&mut chain, |chain| chain.pop()), Some(1));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            on_stack(&mut chain, |chain| {
                chain.push(2);
                panic!("in a user function");
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(chain, [2]);
    }
}
