//! From a description of windows to the operator that implements them.

use std::sync::Arc;

use crate::operator::{OutputTag, Outputs, Push};
use crate::record::KeySelector;

use super::assigner::{SlicedAssigner, WindowError, WindowTime};
use super::function::WindowFunction;
use super::lateness::Lateness;
use super::operator::WindowOperator;
use super::session::{Session, SessionGap, SessionOperator};

/// The parts of a window operator, apart from its windows.
#[derive(Debug)]
pub struct WindowParts<V: ?Sized, S, F> {
    /// The operator's name.
    pub name: Arc<str>,
    /// Identifies the operator's state in checkpoints: its uid, or its name if it has none.
    pub uid: Arc<str>,
    /// Extracts the key of a record.
    pub selector: S,
    /// What is computed.
    pub function: F,
    /// How long windows are kept after the watermark has passed them.
    pub lateness: Lateness,
    /// The output to which late records go, rather than being dropped.
    pub late: Option<OutputTag<V>>,
    /// The expected number of keys, across all subtasks; 0 if unknown.
    pub expected_keys: usize,
}

/// Assigns records to windows: [`Tumbling`](super::Tumbling), [`Sliding`](super::Sliding), [`Session`].
pub trait WindowAssigner<V: ?Sized + 'static>: Clone + Send + 'static {
    /// The operator for these windows, upstream of `D`.
    type Operator<S, F, D>: Push<V> + 'static
    where
        S: KeySelector<V>,
        F: WindowFunction<V, S::Key>,
        D: Push<F::Out> + 'static;

    /// Checks whether the windows are valid.
    ///
    /// # Errors
    /// A [`WindowError`] if they are not.
    fn check(&self) -> Result<(), WindowError>;

    /// Creates the operator.
    ///
    /// # Errors
    /// A [`WindowError`] if the windows are invalid.
    fn operator<S, F, D>(
        &self,
        parts: WindowParts<V, S, F>,
        next: Outputs<D>,
    ) -> Result<Self::Operator<S, F, D>, WindowError>
    where
        S: KeySelector<V>,
        F: WindowFunction<V, S::Key>,
        D: Push<F::Out> + 'static;
}

impl<V, A> WindowAssigner<V> for A
where
    V: ?Sized + 'static,
    A: SlicedAssigner,
{
    type Operator<S, F, D>
        = WindowOperator<V, S, F, D, A::Time>
    where
        S: KeySelector<V>,
        F: WindowFunction<V, S::Key>,
        D: Push<F::Out> + 'static;

    fn check(&self) -> Result<(), WindowError> {
        self.slicing().map(drop)
    }

    fn operator<S, F, D>(
        &self,
        parts: WindowParts<V, S, F>,
        next: Outputs<D>,
    ) -> Result<Self::Operator<S, F, D>, WindowError>
    where
        S: KeySelector<V>,
        F: WindowFunction<V, S::Key>,
        D: Push<F::Out> + 'static,
    {
        let (selector, function) = (parts.selector, parts.function);
        let operator = WindowOperator::new(parts.name, self, selector, function, next)?;
        let operator = operator
            .uid(parts.uid)
            .allowed_lateness(parts.lateness)
            .expected_keys(parts.expected_keys);
        Ok(match parts.late {
            Some(tag) => operator.late_to(tag),
            None => operator,
        })
    }
}

impl<V, G, T> WindowAssigner<V> for Session<G, T>
where
    V: ?Sized + 'static,
    G: SessionGap<V>,
    T: WindowTime + Clone,
{
    type Operator<S, F, D>
        = SessionOperator<V, S, F, D, G, T>
    where
        S: KeySelector<V>,
        F: WindowFunction<V, S::Key>,
        D: Push<F::Out> + 'static;

    fn check(&self) -> Result<(), WindowError> {
        self.check::<V>()
    }

    fn operator<S, F, D>(
        &self,
        parts: WindowParts<V, S, F>,
        next: Outputs<D>,
    ) -> Result<Self::Operator<S, F, D>, WindowError>
    where
        S: KeySelector<V>,
        F: WindowFunction<V, S::Key>,
        D: Push<F::Out> + 'static,
    {
        let (selector, function) = (parts.selector, parts.function);
        let session = self.clone();
        let operator = SessionOperator::new(parts.name, session, selector, function, next)?;
        let operator = operator
            .uid(parts.uid)
            .allowed_lateness(parts.lateness)
            .expected_keys(parts.expected_keys);
        Ok(match parts.late {
            Some(tag) => operator.late_to(tag),
            None => operator,
        })
    }
}
