//! `Edge`: an exchange, as seen by checkpoints.

use std::sync::Arc;

use crate::checkpoint::{CheckpointError, Restored};
use crate::state::{StateKind, TypeLayout};

/// An edge between two operators that distributes records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// Identifies its in-flight data: the uid of the downstream operator, with `.input` and perhaps a
    /// number.
    pub uid: Arc<str>,
    /// How it distributes records. In-flight data was sent by this rule and cannot be routed again by another.
    pub partitioning: Arc<str>,
}

impl Edge {
    /// Returns what takes the place of a key's layout in the schemas of its states.
    pub(super) fn layout(&self) -> TypeLayout {
        TypeLayout {
            name: Arc::clone(&self.partitioning),
            ..TypeLayout::none()
        }
    }

    /// Checks that a checkpoint's in-flight data for the edge was sent by the same rule.
    ///
    /// # Errors
    /// [`CheckpointError::EdgeChanged`] if it was not.
    pub fn check(&self, restored: &Restored) -> Result<(), CheckpointError> {
        let wanted = self.layout();
        match in_flight(restored, &self.uid) {
            Some(saved) if saved != wanted => Err(changed(
                &self.uid,
                &saved,
                format!("by {}", self.partitioning),
            )),
            _ => Ok(()),
        }
    }

    /// Returns the error for a checkpoint with in-flight data for an edge `uid` that the job does not have;
    /// `None` if `uid` is not that of an edge.
    #[must_use]
    pub fn gone(restored: &Restored, uid: &Arc<str>) -> Option<CheckpointError> {
        let saved = in_flight(restored, uid)?;
        Some(changed(uid, &saved, "not there".to_owned()))
    }
}

/// Returns how the in-flight data of an edge was distributed, if a checkpoint has any.
fn in_flight(restored: &Restored, uid: &str) -> Option<TypeLayout> {
    let mut states = restored.states(uid).into_iter();
    let found = states.find(|state| state.kind == StateKind::InFlight);
    found.map(|state| state.key)
}

fn changed(uid: &Arc<str>, saved: &TypeLayout, wanted: String) -> CheckpointError {
    CheckpointError::EdgeChanged {
        operator: uid
            .rsplit_once(".input")
            .map_or(&**uid, |(own, _)| own)
            .into(),
        edge: Arc::clone(uid),
        saved: Arc::clone(&saved.name),
        wanted,
    }
}
