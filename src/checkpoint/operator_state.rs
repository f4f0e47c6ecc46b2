//! Operator state: non-keyed state of a user function, kept as lists of values.
//!
//! A function hands over its values at every barrier and gets them back when the job is restored. The three kinds
//! differ in what happens to the values when the parallelism changes (Flink's rules):
//!
//! | kind | a subtask gets back | at another parallelism |
//! |---|---|---|
//! | list | its own values | an equal share of all subtasks' values, in their order |
//! | union | the values of all subtasks | the same |
//! | broadcast | its own values, the same in every subtask | those of one of the old subtasks |

use std::cell::RefCell;
use std::sync::Arc;

use super::error::CheckpointError;
use super::piece::StateRef;
use super::redistribution::share_from;
use super::restored::Restored;
use super::snapshot::SnapshotOutput;
use super::value_snapshot::ValueSnapshot;
use crate::record::StateValue;
use crate::state::{StateError, StateKind, StateSchema};

/// Collects the operator state of a function at a barrier.
///
/// ```
/// use thalweg::operator::{Outcome, ProcessContext, ProcessFunction};
/// use thalweg::checkpoint::{OperatorState, RestoredState};
///
/// /// Emits lines in pairs.
/// #[derive(Clone, Default)]
/// struct Pairs { odd: Option<String> }
/// impl ProcessFunction<str> for Pairs {
///     type Out = str;
///     const STATEFUL: bool = true;
///     fn process(&mut self, line: &str, cx: &mut impl ProcessContext<str>) -> Outcome {
///         match self.odd.take() {
///             Some(odd) => cx.emit(&format!("{odd} {line}")),
///             None => self.odd = Some(line.to_owned()),
///         }
///         Ok(())
///     }
///     fn snapshot(&mut self, state: &mut OperatorState) -> Outcome {
///         Ok(state.list("odd", &self.odd)?)
///     }
///     fn restore(&mut self, state: &RestoredState<'_>) -> Outcome {
///         self.odd = state.list("odd")?.pop();
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct OperatorState {
    operator: Arc<str>,
    /// The names of the operator's other states.
    reserved: Vec<Arc<str>>,
    checkpoint: u64,
    states: Vec<ValueSnapshot>,
}

impl OperatorState {
    /// The operator state of `operator`, whose other states have the names `reserved`.
    #[must_use]
    pub fn new(operator: Arc<str>, reserved: Vec<Arc<str>>) -> Self {
        OperatorState {
            operator,
            reserved,
            checkpoint: 0,
            states: Vec::new(),
        }
    }

    /// Snapshots `values` as the list `name`. Pass all of them every time. At another parallelism they are
    /// redistributed evenly among the subtasks.
    ///
    /// # Errors
    /// Here and below, [`StateError::NameTaken`] if the operator has another state of this name.
    pub fn list<'a, T: StateValue>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = &'a T>,
    ) -> Result<(), StateError> {
        self.capture(name, StateKind::OperatorList, values)
    }

    /// Snapshots `values` as the union list `name`: on restore, every subtask gets the values of all subtasks.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn union<'a, T: StateValue>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = &'a T>,
    ) -> Result<(), StateError> {
        self.capture(name, StateKind::UnionList, values)
    }

    /// Snapshots `values` as the broadcast state `name`: they must be the same in every subtask.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn broadcast<'a, T: StateValue>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = &'a T>,
    ) -> Result<(), StateError> {
        self.capture(name, StateKind::Broadcast, values)
    }

    fn capture<'a, T: StateValue>(
        &mut self,
        name: &str,
        kind: StateKind,
        values: impl IntoIterator<Item = &'a T>,
    ) -> Result<(), StateError> {
        let known = self.states.iter().position(|s| *s.state().state == *name);
        let is_taken = self.reserved.iter().any(|other| **other == *name);
        if is_taken || known.is_some_and(|at| self.states[at].is_captured(self.checkpoint)) {
            return Err(StateError::NameTaken {
                name: name.into(),
                requested: kind,
            });
        }
        let new = || ValueSnapshot::of::<T>(StateRef::new(&self.operator, name), kind);
        let at = known.unwrap_or(self.states.len());
        if known.is_none() {
            self.states.push(new());
        } else if *self.states[at].schema() != StateSchema::unkeyed::<T>(name, kind) {
            self.states[at] = new();
        }
        self.states[at].capture(self.checkpoint, values);
        Ok(())
    }

    /// Calls `snapshot` to collect the values for a checkpoint. A state that it does not write becomes empty.
    ///
    /// # Errors
    /// What `snapshot` returned.
    pub fn take<E>(
        &mut self,
        checkpoint: u64,
        snapshot: impl FnOnce(&mut OperatorState) -> Result<(), E>,
    ) -> Result<(), E> {
        self.checkpoint = checkpoint;
        snapshot(self)?;
        for state in &mut self.states {
            if !state.is_captured(checkpoint) {
                state.capture::<u8>(checkpoint, []);
            }
        }
        Ok(())
    }

    /// Whether no values have ever been handed over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Writes the captured values. Returns whether that is done; false if the barrier has not arrived yet.
    pub fn drain(&mut self, out: &mut SnapshotOutput<'_>) -> bool {
        self.checkpoint >= out.checkpoint() && self.states.iter_mut().all(|state| state.drain(out))
    }
}

/// Gives functions their operator state back from a checkpoint.
#[derive(Debug)]
pub struct RestoredState<'a> {
    restored: &'a Restored,
    operator: &'a Arc<str>,
    index: u32,
    parallelism: u32,
    /// The names asked for so far.
    asked: RefCell<Vec<Arc<str>>>,
}

impl<'a> RestoredState<'a> {
    /// The operator state in a checkpoint for subtask `index` of `parallelism` of an operator.
    #[must_use]
    pub fn new(
        restored: &'a Restored,
        operator: &'a Arc<str>,
        index: u32,
        parallelism: u32,
    ) -> Self {
        RestoredState {
            restored,
            operator,
            index,
            parallelism,
            asked: RefCell::new(Vec::new()),
        }
    }

    /// The values of the list `name`: this subtask's own or, at another parallelism, its share of all of them. Empty if
    /// the checkpoint does not have the list.
    ///
    /// # Errors
    /// Here and below, a [`CheckpointError`] if the checkpoint's state of this name is of another kind or type, or is
    /// damaged.
    pub fn list<T: StateValue>(&self, name: &str) -> Result<Vec<T>, CheckpointError> {
        let Some(values) = self.values(name, StateKind::OperatorList)? else {
            return Ok(Vec::new());
        };
        let first = if values.len() == self.parallelism as usize {
            0
        } else {
            self.dealt_before(name)?
        };
        Ok(share_from(first, values, self.index, self.parallelism))
    }

    /// The values of the union list `name`, of all subtasks in order.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn union<T: StateValue>(&self, name: &str) -> Result<Vec<T>, CheckpointError> {
        let values = self.values(name, StateKind::UnionList)?;
        Ok(values.into_iter().flatten().flatten().collect())
    }

    /// The values of the broadcast state `name`.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn broadcast<T: StateValue>(&self, name: &str) -> Result<Vec<T>, CheckpointError> {
        let values = self.values(name, StateKind::Broadcast)?;
        Ok(values.map_or_else(Vec::new, |mut values| {
            let old = self.index as usize % values.len().max(1);
            values.get_mut(old).map(std::mem::take).unwrap_or_default()
        }))
    }

    /// Whether a state of this name was asked for.
    #[must_use]
    pub fn was_asked_for(&self, name: &str) -> bool {
        self.asked.borrow().iter().any(|asked| **asked == *name)
    }

    fn values<T: StateValue>(
        &self,
        name: &str,
        kind: StateKind,
    ) -> Result<Option<Vec<Vec<T>>>, CheckpointError> {
        self.asked.borrow_mut().push(name.into());
        let state = StateRef::new(self.operator, name);
        let wanted = StateSchema::unkeyed::<T>(name, kind);
        self.restored.values(&state, &wanted)
    }

    /// How many leftover values of the lists that precede `name` have been dealt out.
    fn dealt_before(&self, name: &str) -> Result<u32, CheckpointError> {
        let mut first = 0;
        for state in self.restored.states(self.operator) {
            if state.kind == StateKind::OperatorList && *state.name < *name {
                let mut count = 0;
                let state = StateRef::new(self.operator, &state.name);
                self.restored.visit(&state, |piece| {
                    count += piece.count;
                    Ok(())
                })?;
                first += (count % u64::from(self.parallelism)) as u32;
            }
        }
        Ok(first % self.parallelism)
    }
}
