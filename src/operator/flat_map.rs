//! `flat_map`: one record in, any number out, each with the input's timestamp.

use crate::time::Timestamp;

use super::{Operator, Push, operator_factory, pass_on};

/// A function from one record to any number of results, which may borrow from the record.
///
/// A closure cannot have this shape and also be inlined, so it is a trait: the words of a line are forwarded
/// as `&str` without a copy.
///
/// ```
/// use thalweg::operator::FlatMapFunction;
///
/// #[derive(Clone)]
/// struct Words;
/// impl FlatMapFunction<str> for Words {
///     type Out = str;
///     fn flat_map(&mut self, line: &str, mut emit: impl FnMut(&str)) {
///         line.split(' ').for_each(|word| emit(word));
///     }
/// }
/// ```
pub trait FlatMapFunction<V: ?Sized>: Send {
    /// The type of the results.
    type Out: ?Sized + 'static;

    /// Calls `emit` for every result.
    fn flat_map(&mut self, record: &V, emit: impl FnMut(&Self::Out));
}

/// The function of a `flat_map` whose closure returns an iterator of owned results.
#[derive(Clone, Debug)]
pub struct IterFunction<F>(pub F);

impl<V, F, I> FlatMapFunction<V> for IterFunction<F>
where
    V: ?Sized,
    F: FnMut(&V) -> I + Send,
    I: IntoIterator,
    I::Item: 'static,
{
    type Out = I::Item;

    #[inline(always)]
    fn flat_map(&mut self, record: &V, mut emit: impl FnMut(&I::Item)) {
        for result in (self.0)(record) {
            emit(&result);
        }
    }
}

/// Applies a function that emits any number of results.
#[derive(Clone, Debug)]
pub struct FlatMap<F, D> {
    function: F,
    next: D,
}

impl<F, D> FlatMap<F, D> {
    /// Creates a `flat_map` that applies `function` upstream of `next`.
    pub fn new(function: F, next: D) -> Self {
        FlatMap { function, next }
    }
}

impl<F: Send, D: Operator> Operator for FlatMap<F, D> {
    pass_on!(next: all);
}

impl<V, F, D> Push<V> for FlatMap<F, D>
where
    V: ?Sized,
    F: FlatMapFunction<V>,
    D: Push<F::Out>,
{
    #[inline(always)]
    fn push(&mut self, record: &V, at: Timestamp) {
        let next = &mut self.next;
        self.function
            .flat_map(record, |result| next.push(result, at));
    }
}

/// Creates [`FlatMap`]s.
#[derive(Clone, Debug)]
pub struct FlatMapFactory<F>(pub F);

operator_factory! {
    impl<V: ?Sized, F> FlatMapFactory<F>
    where { V: 'static, F: FlatMapFunction<V> + Clone + 'static }
    V => F::Out; FlatMap<F; D>;
    |this, _site, next| FlatMap::new(this.0.clone(), next)
}
