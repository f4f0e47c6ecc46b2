//! `Edge`: an exchange, as checkpoints know it.

use std::sync::Arc;

use crate::checkpoint::{CheckpointError, Restored};
use crate::state::{StateKind, TypeLayout};

/// An edge between two operators that spreads records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// What binds what is on its way through it: the uid of the operator behind it, with `.input` and perhaps a
    /// number.
    pub uid: Arc<str>,
    /// How it spreads records. What was on its way was sent by this rule and can be dealt anew by no other.
    pub partitioning: Arc<str>,
}

impl Edge {
    /// What stands in place of a key's layout in the schemas of its states.
    pub(super) fn layout(&self) -> TypeLayout {
        TypeLayout {
            name: Arc::clone(&self.partitioning),
            ..TypeLayout::none()
        }
    }

    /// Checks that what a checkpoint has on its way through the edge was sent by the same rule.
    ///
    /// # Errors
    /// [`CheckpointError::EdgeChanged`].
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

    /// The error of a checkpoint that has something on its way through the edge `uid`, which the job does not have;
    /// `None` if `uid` is not that of an edge.
    #[must_use]
    pub fn gone(restored: &Restored, uid: &Arc<str>) -> Option<CheckpointError> {
        let saved = in_flight(restored, uid)?;
        Some(changed(uid, &saved, "not there".to_owned()))
    }
}

/// How what was on its way through an edge was spread, if a checkpoint has some.
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
