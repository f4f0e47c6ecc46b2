//! The end of a stream that nobody reads.

use crate::checkpoint::SnapshotOutput;
use crate::time::Timestamp;

use super::{Budget, OpenContext, Operator, OperatorError, Push, Signal};

/// Accepts everything and does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Operator for Nothing {
    fn open(&mut self, _cx: &OpenContext) -> Result<(), OperatorError> {
        Ok(())
    }

    fn begin(&mut self, _now: Timestamp) {}

    fn signal(&mut self, _signal: Signal) {}

    #[inline(always)]
    fn ready(&self) -> bool {
        true
    }

    fn resume(&mut self, _budget: &mut Budget) {}

    fn flush(&mut self) {}

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    fn snapshot(&mut self, _out: &mut SnapshotOutput<'_>) -> bool {
        true
    }

    fn close(&mut self) -> Result<(), OperatorError> {
        Ok(())
    }
}

impl<V: ?Sized> Push<V> for Nothing {
    #[inline(always)]
    fn push(&mut self, _record: &V, _at: Timestamp) {}
}
