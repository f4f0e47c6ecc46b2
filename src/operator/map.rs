//! `map`: one record in, one record out, with the same timestamp.

use crate::time::Timestamp;

use super::{Operator, Push, RecordRun, operator_factory, pass_on};

/// Applies a function to every record.
#[derive(Clone, Debug)]
pub struct Map<F, D> {
    function: F,
    next: D,
}

impl<F, D> Map<F, D> {
    /// Creates a map that applies `function` upstream of `next`.
    pub fn new(function: F, next: D) -> Self {
        Map { function, next }
    }
}

impl<F: Send, D: Operator> Operator for Map<F, D> {
    pass_on!(next: all);
}

impl<V, O, F, D> Push<V> for Map<F, D>
where
    V: ?Sized,
    F: FnMut(&V) -> O + Send,
    D: Push<O>,
{
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        let mapped = (self.function)(record);
        self.next.push(&mapped, at);
    }

    #[inline(always)]
    fn push_each(&mut self, run: &impl RecordRun<V>, wanted: usize) -> usize {
        self.next.push_mapped(run, wanted, &mut self.function)
    }

    #[inline(always)]
    fn push_mapped<U: ?Sized>(
        &mut self,
        run: &impl RecordRun<U>,
        wanted: usize,
        mut map: impl FnMut(&U) -> V,
    ) -> usize
    where
        V: Sized,
    {
        let function = &mut self.function;
        (self.next).push_mapped(run, wanted, |record| function(&map(record)))
    }

    #[inline(always)]
    fn is_straight(&self) -> bool {
        self.next.is_straight()
    }
}

/// Creates [`Map`]s.
#[derive(Clone, Debug)]
pub struct MapFactory<F>(pub F);

operator_factory! {
    impl<V: ?Sized, O, F> MapFactory<F>
    where { V: 'static, O: 'static, F: FnMut(&V) -> O + Clone + Send + 'static }
    V => O; Map<F; D>;
    |this, _site, next| Map::new(this.0.clone(), next)
}
