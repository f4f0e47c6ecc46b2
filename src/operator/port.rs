//! Two-input operators: one operator with two ports, fed by two chains of the same subtask.
//!
//! If both inputs arrive through rings, the two ports belong to two ring readers; if an input is
//! fused, its chain ends in the port itself and no ring exists. Either way the operator behind the
//! ports is one value with one state.
//!
//! That each port has exclusive access to the operator while it is called is not checked per record, which cost a
//! sixth of a join's arrival time: it is part of the contract of [`ports`].
#![expect(
    unsafe_code,
    reason = "the two ports of one operator move to their worker together and take turns there"
)]

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::checkpoint::SnapshotOutput;
use crate::record::KeyHash;
use crate::time::Timestamp;

use super::record_run::push_while_ready;
use super::{
    Budget, Lookahead, OpenContext, Operator, OperatorError, Push, RecordRun, Signal, SourcePace,
};

/// The control plane of an operator with several inputs: calls are made once per port and batch, signals are
/// per input. Its own [`Operator::signal`] takes what is to be forwarded downstream.
pub trait MultiInput: Operator {
    /// Handles a signal of input 0, 1 …: combining the inputs' watermarks is up to the operator, and
    /// [`Signal::End`] applies to each input separately.
    fn signal_from(&mut self, input: usize, signal: Signal);

    /// Whether an input is blocked, because a barrier has arrived on it and not yet on another one. Changes with a
    /// signal only.
    fn is_held(&self, input: usize) -> bool;
}

/// An operator with two inputs.
pub trait TwoInput<A: ?Sized, B: ?Sized>: MultiInput {
    /// Processes a record of the first input.
    fn push_first(&mut self, record: &A, at: Timestamp);

    /// Processes a record of the second input.
    fn push_second(&mut self, record: &B, at: Timestamp);

    /// Like [`TwoInput::push_first`], for a record for which [`TwoInput::hash_first`] returned this hash.
    #[inline(always)]
    fn push_first_hashed(&mut self, record: &A, at: Timestamp, hash: KeyHash) {
        let _ = hash;
        self.push_first(record, at);
    }

    /// Like [`TwoInput::push_second`], for a record for which [`TwoInput::hash_second`] returned this hash.
    #[inline(always)]
    fn push_second_hashed(&mut self, record: &B, at: Timestamp, hash: KeyHash) {
        let _ = hash;
        self.push_second(record, at);
    }

    /// Like [`Push::push_each`], for the first input.
    #[inline(always)]
    fn push_each_first(&mut self, run: &impl RecordRun<A>, wanted: usize) -> usize
    where
        Self: Sized,
    {
        push_while_ready(self, run, wanted, |operator, record, at| {
            let hash = operator.hash_first(record);
            operator.push_first_hashed(record, at, hash);
        })
    }

    /// Like [`Push::push_each`], for the second input.
    #[inline(always)]
    fn push_each_second(&mut self, run: &impl RecordRun<B>, wanted: usize) -> usize
    where
        Self: Sized,
    {
        push_while_ready(self, run, wanted, |operator, record, at| {
            let hash = operator.hash_second(record);
            operator.push_second_hashed(record, at, hash);
        })
    }

    /// Like [`Push::takes_runs`].
    fn takes_runs(&self) -> bool {
        false
    }

    /// Returns whether looking ahead pays, see [`Push::looks_ahead`].
    fn looks_ahead(&self) -> bool {
        false
    }

    /// Returns the hash of the key of a record of the first input that will be pushed later.
    fn hash_first(&self, record: &A) -> KeyHash {
        let _ = record;
        KeyHash::default()
    }

    /// Returns the hash of the key of a record of the second input that will be pushed later.
    fn hash_second(&self, record: &B) -> KeyHash {
        let _ = record;
        KeyHash::default()
    }

    /// Prefetches a cache line of the state for a hash.
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        let _ = (hash, ahead);
    }
}

/// What the two ports share.
struct Shared<T> {
    operator: T,
    /// Which port is blocked, as the operator said after the last signal: every record asks.
    held: [bool; 2],
    opened: bool,
    closed: bool,
}

/// Returns the shared operator, for the length of one call.
///
/// # Safety
/// The contract of [`ports`].
#[inline(always)]
#[expect(clippy::mut_from_ref, reason = "exclusive by the contract of `ports`")]
unsafe fn shared<T>(shared: &UnsafeCell<Shared<T>>) -> &mut Shared<T> {
    // SAFETY: both ports are on one thread, and no other call of either is in progress.
    unsafe { &mut *shared.get() }
}

/// The first port of a two-input operator.
pub struct First<T, B: ?Sized> {
    shared: Rc<UnsafeCell<Shared<T>>>,
    other: PhantomData<fn(&B)>,
}

/// The second port of a two-input operator.
pub struct Second<T, A: ?Sized> {
    shared: Rc<UnsafeCell<Shared<T>>>,
    other: PhantomData<fn(&A)>,
}

/// Creates the two ports of `operator`.
///
/// # Safety
/// The two ports must always be owned by the same thread: whoever sends one to another thread must
/// send the other along, and use neither in between. And no port may be called during a call of either:
/// neither may be in the chain downstream of the operator, nor may user functions reach one.
pub unsafe fn ports<A: ?Sized, B: ?Sized, T: TwoInput<A, B>>(
    operator: T,
) -> (First<T, B>, Second<T, A>) {
    let shared = Rc::new(UnsafeCell::new(Shared {
        operator,
        held: [false; 2],
        opened: false,
        closed: false,
    }));
    let first = First {
        shared: Rc::clone(&shared),
        other: PhantomData,
    };
    (
        first,
        Second {
            shared,
            other: PhantomData,
        },
    )
}

macro_rules! port {
    ($port:ident, $other:ident) => {
        // SAFETY: the operator itself is `Send`; the reference count is not atomic, but the contract of
        // `ports` keeps both ports on one thread at any time.
        unsafe impl<T: Send, $other: ?Sized> Send for $port<T, $other> {}

        impl<T, $other: ?Sized> std::fmt::Debug for $port<T, $other> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($port)).finish_non_exhaustive()
            }
        }
    };
    (operator_of $port:ident, $shared:ident) => {
        // SAFETY: by the contract of `ports`, this call is the only one.
        let $shared = unsafe { shared(&$port.shared) };
    };
    (operator $input:literal) => {
        fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
            port!(operator_of self, shared);
            if std::mem::replace(&mut shared.opened, true) {
                return Ok(());
            }
            shared.operator.open(cx)
        }

        fn begin(&mut self, now: Timestamp) {
            port!(operator_of self, shared);
            shared.operator.begin(now);
        }

        fn signal(&mut self, signal: Signal) {
            port!(operator_of self, shared);
            shared.operator.signal_from($input, signal);
            shared.held = [0, 1].map(|input| shared.operator.is_held(input));
        }

        #[inline(always)]
        fn ready(&self) -> bool {
            port!(operator_of self, shared);
            !shared.held[$input] && shared.operator.ready()
        }

        fn takes_barrier(&self) -> bool {
            port!(operator_of self, shared);
            shared.operator.takes_barrier()
        }

        fn source_pace(&self) -> SourcePace {
            port!(operator_of self, shared);
            shared.operator.source_pace()
        }

        fn resume(&mut self, budget: &mut Budget) {
            port!(operator_of self, shared);
            shared.operator.resume(budget);
        }

        fn flush(&mut self) {
            port!(operator_of self, shared);
            shared.operator.flush();
        }

        fn deadline(&self) -> Option<Timestamp> {
            port!(operator_of self, shared);
            shared.operator.deadline()
        }

        fn snapshot(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
            port!(operator_of self, shared);
            shared.operator.snapshot(out)
        }

        fn close(&mut self) -> Result<(), OperatorError> {
            port!(operator_of self, shared);
            if std::mem::replace(&mut shared.closed, true) {
                return Ok(());
            }
            shared.operator.close()
        }
    };
}

port!(First, B);
port!(Second, A);

impl<T: MultiInput, B: ?Sized> Operator for First<T, B> {
    port!(operator 0);
}

impl<T: MultiInput, A: ?Sized> Operator for Second<T, A> {
    port!(operator 1);
}

impl<A: ?Sized, B: ?Sized, T: TwoInput<A, B>> Push<A> for First<T, B> {
    #[inline(always)]
    fn push(&mut self, record: &A, at: Timestamp) {
        port!(operator_of self, shared);
        shared.operator.push_first(record, at);
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &A, at: Timestamp, hash: KeyHash) {
        port!(operator_of self, shared);
        shared.operator.push_first_hashed(record, at, hash);
    }

    #[inline(always)]
    fn push_each(&mut self, run: &impl RecordRun<A>, wanted: usize) -> usize {
        port!(operator_of self, shared);
        shared.operator.push_each_first(run, wanted)
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &A) -> KeyHash {
        port!(operator_of self, shared);
        shared.operator.hash_first(record)
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        port!(operator_of self, shared);
        shared.operator.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn takes_runs(&self) -> bool {
        port!(operator_of self, shared);
        shared.operator.takes_runs()
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        port!(operator_of self, shared);
        shared.operator.looks_ahead()
    }
}

impl<A: ?Sized, B: ?Sized, T: TwoInput<A, B>> Push<B> for Second<T, A> {
    #[inline(always)]
    fn push(&mut self, record: &B, at: Timestamp) {
        port!(operator_of self, shared);
        shared.operator.push_second(record, at);
    }

    #[inline(always)]
    fn push_hashed(&mut self, record: &B, at: Timestamp, hash: KeyHash) {
        port!(operator_of self, shared);
        shared.operator.push_second_hashed(record, at, hash);
    }

    #[inline(always)]
    fn push_each(&mut self, run: &impl RecordRun<B>, wanted: usize) -> usize {
        port!(operator_of self, shared);
        shared.operator.push_each_second(run, wanted)
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &B) -> KeyHash {
        port!(operator_of self, shared);
        shared.operator.hash_second(record)
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        port!(operator_of self, shared);
        shared.operator.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn takes_runs(&self) -> bool {
        port!(operator_of self, shared);
        shared.operator.takes_runs()
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        port!(operator_of self, shared);
        shared.operator.looks_ahead()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::recorder::Recorder;
    use crate::operator::{Barrier, Union};

    fn barrier(checkpoint: u64) -> Signal {
        Signal::Barrier(Barrier {
            checkpoint,
            options: 0,
        })
    }

    #[test]
    fn port_that_waits_for_the_other_one_is_let_go_when_that_hears_of_the_abort() {
        let union = Union::new(2, Recorder::<u64>::new());
        // SAFETY: both stay on this thread, and take turns.
        let (mut first, mut second) = unsafe { ports::<u64, u64, _>(union) };
        let ready = |first: &First<_, _>, second: &Second<_, _>| [first.ready(), second.ready()];
        first.signal(barrier(1));
        assert_eq!(ready(&first, &second), [false, true]);
        second.signal(Signal::CheckpointAborted(1));
        assert_eq!(ready(&first, &second), [true, true]);
        second.signal(barrier(2));
        first.signal(Signal::CheckpointAborted(1));
        assert_eq!(
            ready(&first, &second),
            [true, false],
            "the next one is waited with"
        );
        first.signal(barrier(2));
        assert_eq!(ready(&first, &second), [true, true]);
    }
}
