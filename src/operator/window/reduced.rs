//! Reducing windows: the records of a key and window, combined pairwise into one.

use crate::record::{FormError, Scratch, StateValue, shape_of_items};

use super::function::WindowFunction;
use super::time_window::TimeWindow;

/// What has been reduced so far: nothing, or a record.
///
/// Encoding: empty, or a byte 1 and the record's bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduced<V>(Option<V>);

impl<V: StateValue> StateValue for Reduced<V> {
    const LENGTH: Option<usize> = None;
    const VERSION: u32 = V::VERSION;
    const SHAPE: u32 = shape_of_items::<V>();

    fn encode(&self, scratch: &mut Scratch, bytes: &mut Vec<u8>) {
        if let Some(record) = &self.0 {
            bytes.push(1);
            record.encode(scratch, bytes);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        match bytes {
            [] => Ok(Reduced(None)),
            [1, record @ ..] => V::decode(record).map(|record| Reduced(Some(record))),
            _ => Err(FormError::new::<Self>(bytes, "does not begin with 1")),
        }
    }
}

/// Emits the reduction of each key's records: Flink's `reduce` on a windowed stream.
///
/// The function must be associative: it is applied to records in arrival order within a slice, and to
/// the slices' reductions in time order.
#[derive(Clone, Debug)]
pub struct ReduceWindow<F>(pub F);

impl<V, K, F> WindowFunction<V, K> for ReduceWindow<F>
where
    V: StateValue,
    K: ?Sized,
    F: Fn(&V, &V) -> V + Send + 'static,
{
    type Accumulator = Reduced<V>;
    type Out = V;
    const MERGES_AHEAD: bool = true;

    #[inline(always)]
    fn create(&self) -> Reduced<V> {
        Reduced(None)
    }

    #[inline(always)]
    fn add(&mut self, reduced: &mut Reduced<V>, record: &V) {
        reduced.0 = Some(match &reduced.0 {
            Some(before) => (self.0)(before, record),
            None => record.clone(),
        });
    }

    fn merge(&self, reduced: &mut Reduced<V>, later: &Reduced<V>) {
        if let Some(record) = &later.0 {
            reduced.0 = Some(match &reduced.0 {
                Some(before) => (self.0)(before, record),
                None => record.clone(),
            });
        }
    }

    #[inline(always)]
    fn fire(
        &mut self,
        _key: &K,
        _window: TimeWindow,
        reduced: &Reduced<V>,
        mut emit: impl FnMut(&V),
    ) {
        if let Some(record) = &reduced.0 {
            emit(record);
        }
    }
}
