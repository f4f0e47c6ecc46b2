//! Factories: how a graph creates an operator for each subtask.

use std::sync::Arc;

use super::{Outputs, Push, TwoInput};

/// Where an operator is located.
#[derive(Clone, Debug)]
pub struct Site {
    /// The operator's name.
    pub name: Arc<str>,
    /// Identifies its state in checkpoints: its uid, or its name if it has none.
    pub uid: Arc<str>,
    /// The subtask's index, from 0.
    pub subtask: u32,
    /// How many subtasks there are.
    pub parallelism: u32,
    /// The expected number of keys, across all subtasks; 0 if unknown.
    pub expected_keys: usize,
}

impl Site {
    /// Returns the site of another subtask of the same operator.
    #[must_use]
    pub fn of_subtask(&self, subtask: u32) -> Self {
        Site {
            subtask,
            ..self.clone()
        }
    }
}

/// Creates one operator for each subtask, upstream of whatever follows it: the description of an
/// operator, held by the graph.
pub trait OperatorFactory<V: ?Sized>: Send + 'static {
    /// The type of the records that the operators emit.
    type Out: ?Sized + 'static;
    /// The operator type, upstream of `D`.
    type Operator<D: Push<Self::Out> + 'static>: Push<V> + 'static;

    /// Creates the operator of one subtask.
    fn create<D: Push<Self::Out> + 'static>(&self, site: &Site, next: D) -> Self::Operator<D>;
}

/// Creates operators that have side outputs besides their main one.
pub trait SideOutputFactory<V: ?Sized>: Send + 'static {
    /// The type of the records that the operators emit to their main output.
    type Out: ?Sized + 'static;
    /// The operator type, upstream of `D` and side outputs.
    type Operator<D: Push<Self::Out> + 'static>: Push<V> + 'static;

    /// Creates the operator of one subtask.
    fn create<D: Push<Self::Out> + 'static>(
        &self,
        site: &Site,
        next: Outputs<D>,
    ) -> Self::Operator<D>;
}

/// Creates two-input operators, one for each subtask; they may have side outputs.
pub trait TwoInputFactory<A: ?Sized, B: ?Sized>: Send + 'static {
    /// The type of the records that the operators emit to their main output.
    type Out: ?Sized + 'static;
    /// The operator type, upstream of `D` and side outputs.
    type Operator<D: Push<Self::Out> + 'static>: TwoInput<A, B> + 'static;

    /// Creates the operator of one subtask.
    fn create<D: Push<Self::Out> + 'static>(
        &self,
        site: &Site,
        next: Outputs<D>,
    ) -> Self::Operator<D>;
}

/// Implements [`OperatorFactory`] for a struct whose operator is created by one expression.
macro_rules! operator_factory {
    (
        impl<$($param:ident $(: ?$sized:ident)?),*> $factory:ty where { $($bounds:tt)* }
        $input:ty => $out:ty; $operator:ident<$($argument:ty),* ; D>;
        |$this:ident, $site:ident, $next:ident| $make:expr
    ) => {
        impl<$($param $(: ?$sized)?),*> $crate::operator::OperatorFactory<$input> for $factory
        where $($bounds)*
        {
            type Out = $out;
            type Operator<D: $crate::operator::Push<$out> + 'static> = $operator<$($argument,)* D>;

            fn create<D: $crate::operator::Push<$out> + 'static>(
                &self,
                $site: &$crate::operator::Site,
                $next: D,
            ) -> Self::Operator<D> {
                let $this = self;
                $make
            }
        }
    };
}
pub(crate) use operator_factory;
