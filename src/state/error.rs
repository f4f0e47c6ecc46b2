//! Errors of state.

use std::sync::Arc;

use super::StateKind;

/// What is wrong with a registration of state.
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
        /// The kind it was registered with first.
        registered_kind: StateKind,
        /// The Rust type it was registered with first.
        registered: &'static str,
        /// The kind it was to be registered with.
        requested_kind: StateKind,
        /// The Rust type it was to be registered with.
        requested: &'static str,
    },
    /// The name is taken by another state of the operator, or kept for the operator itself.
    #[error("state `{name}` cannot be {requested} state: the name is taken")]
    NameTaken {
        /// The state's name.
        name: Arc<str>,
        /// The kind it was to be registered with.
        requested: StateKind,
    },
}
