//! Two-input operators: one operator, two ports, fed by two chains of the same subtask.
//!
//! Where both inputs arrive through rings, the two ports belong to two ring readers; where an input is
//! fused, its chain ends in the port itself and no ring exists. Either way the operator behind the
//! ports is one value with one state.
#![expect(
    unsafe_code,
    reason = "the two ports of one operator move to their worker together"
)]

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::record::KeyHash;
use crate::time::Timestamp;

use super::{Budget, Lookahead, OpenContext, Operator, OperatorError, Push, Signal};

/// The control plane of an operator with several inputs: calls come once per port and batch, signals
/// per input. Its own [`Operator::signal`] is what goes on downstream.
pub trait MultiInput: Operator {
    /// Takes a signal of input 0, 1 …: watermarks of the inputs are the operator's to combine, and
    /// [`Signal::End`] counts for each input by itself.
    fn signal_from(&mut self, input: usize, signal: Signal);
}

/// An operator with two inputs.
pub trait TwoInput<A: ?Sized, B: ?Sized>: MultiInput {
    /// Processes a record of the first input.
    fn push_first(&mut self, record: &A, at: Timestamp);

    /// Processes a record of the second input.
    fn push_second(&mut self, record: &B, at: Timestamp);

    /// Whether looking ahead pays, see [`Push::looks_ahead`].
    fn looks_ahead(&self) -> bool {
        false
    }

    /// The hash of the key of a record of the first input that will be pushed later.
    fn hash_first(&self, record: &A) -> KeyHash {
        let _ = record;
        KeyHash::default()
    }

    /// The hash of the key of a record of the second input that will be pushed later.
    fn hash_second(&self, record: &B) -> KeyHash {
        let _ = record;
        KeyHash::default()
    }

    /// Fetches a cache line of the state under a hash.
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        let _ = (hash, ahead);
    }
}

/// What the two ports share.
struct Shared<T> {
    operator: T,
    opened: bool,
    closed: bool,
}

/// The first port of a two-input operator.
pub struct First<T, B: ?Sized> {
    shared: Rc<RefCell<Shared<T>>>,
    other: PhantomData<fn(&B)>,
}

/// The second port of a two-input operator.
pub struct Second<T, A: ?Sized> {
    shared: Rc<RefCell<Shared<T>>>,
    other: PhantomData<fn(&A)>,
}

/// The two ports of `operator`.
///
/// # Safety
/// The two ports must always be owned by the same thread: whoever sends one to another thread must
/// send the other along, and use neither in between.
pub unsafe fn ports<A: ?Sized, B: ?Sized, T: TwoInput<A, B>>(
    operator: T,
) -> (First<T, B>, Second<T, A>) {
    let shared = Rc::new(RefCell::new(Shared {
        operator,
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
        // SAFETY: the operator itself is `Send`; the reference count and the borrow flag are not
        // atomic, but the contract of `ports` keeps both ports on one thread at any time.
        unsafe impl<T: Send, $other: ?Sized> Send for $port<T, $other> {}

        impl<T, $other: ?Sized> std::fmt::Debug for $port<T, $other> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($port)).finish_non_exhaustive()
            }
        }
    };
    (operator $input:literal) => {
        fn open(&mut self, cx: &OpenContext) -> Result<(), OperatorError> {
            let mut shared = self.shared.borrow_mut();
            if std::mem::replace(&mut shared.opened, true) {
                return Ok(());
            }
            shared.operator.open(cx)
        }

        fn begin(&mut self, now: Timestamp) {
            self.shared.borrow_mut().operator.begin(now);
        }

        fn signal(&mut self, signal: Signal) {
            self.shared
                .borrow_mut()
                .operator
                .signal_from($input, signal);
        }

        #[inline(always)]
        fn ready(&self) -> bool {
            self.shared.borrow().operator.ready()
        }

        fn resume(&mut self, budget: &mut Budget) {
            self.shared.borrow_mut().operator.resume(budget);
        }

        fn flush(&mut self) {
            self.shared.borrow_mut().operator.flush();
        }

        fn deadline(&self) -> Option<Timestamp> {
            self.shared.borrow().operator.deadline()
        }

        fn close(&mut self) -> Result<(), OperatorError> {
            let mut shared = self.shared.borrow_mut();
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
        self.shared.borrow_mut().operator.push_first(record, at);
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &A) -> KeyHash {
        self.shared.borrow().operator.hash_first(record)
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.shared.borrow().operator.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.shared.borrow().operator.looks_ahead()
    }
}

impl<A: ?Sized, B: ?Sized, T: TwoInput<A, B>> Push<B> for Second<T, A> {
    #[inline(always)]
    fn push(&mut self, record: &B, at: Timestamp) {
        self.shared.borrow_mut().operator.push_second(record, at);
    }

    #[inline(always)]
    fn hash_ahead(&self, record: &B) -> KeyHash {
        self.shared.borrow().operator.hash_second(record)
    }

    #[inline(always)]
    fn prefetch(&self, hash: KeyHash, ahead: Lookahead) {
        self.shared.borrow().operator.prefetch(hash, ahead);
    }

    #[inline(always)]
    fn looks_ahead(&self) -> bool {
        self.shared.borrow().operator.looks_ahead()
    }
}
