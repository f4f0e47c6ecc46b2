//! State errors.

use std::sync::Arc;

use super::StateKind;

/// An error of registering state.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The name is taken by a state of another type.
    #[error(
        "state `{name}` is registered as {registered_kind} state of `{registered}` and cannot be \
         {requested_kind} state of `{requested}` as well"
    )]
    TypeConflict {
        /// The state's name.
        name: Arc<str>,
        /// The kind it was first registered with.
        registered_kind: StateKind,
        /// The Rust type it was first registered with.
        registered: &'static str,
        /// The requested kind.
        requested_kind: StateKind,
        /// The requested Rust type.
        requested: &'static str,
    },
    /// The name is taken by another state of the operator, or reserved for the operator itself.
    #[error("state `{name}` cannot be {requested} state: the name is taken")]
    NameTaken {
        /// The state's name.
        name: Arc<str>,
        /// The requested kind.
        requested: StateKind,
    },
}
