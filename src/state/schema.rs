//! Schemas of states: names, kinds, and the layouts of keys and values.
//!
//! A checkpoint stores the schema of every state beside its entries, so that restoring a state as another type is an
//! error that names both types, and bytes are never misinterpreted.

use std::any::type_name;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use super::table::{EncodeChange, GroupEntries};
use crate::record::{
    FormError, KeyHash, KeyHasher, Scratch, StateValue, StoredKey, Wire, take_item, with_length,
};

/// The kind of a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum StateKind {
    /// [`ValueState`](super::ValueState).
    Value = 1,
    /// [`ListState`](super::ListState).
    List = 2,
    /// [`MapState`](super::MapState).
    Map = 3,
    /// [`ReducingState`](super::ReducingState).
    Reducing = 4,
    /// [`AggregatingState`](super::AggregatingState).
    Aggregating = 5,
    /// Timers, in event time or processing time.
    Timers = 6,
    /// The accumulators of a window operator, by slice.
    Window = 7,
    /// Operator state whose elements are redistributed among the subtasks.
    OperatorList = 8,
    /// Operator state of which every subtask gets all elements.
    UnionList = 9,
    /// Operator state that is the same in every subtask.
    Broadcast = 10,
    /// What a subtask needs to resume where it was: positions, watermarks, transactions.
    Progress = 11,
    /// Frames in flight between two subtasks.
    InFlight = 12,
}

impl StateKind {
    /// Returns the kind with this number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        use StateKind::{
            Aggregating, Broadcast, InFlight, List, Map, OperatorList, Progress, Reducing, Timers,
            UnionList, Value, Window,
        };
        let kinds = [
            Value,
            List,
            Map,
            Reducing,
            Aggregating,
            Timers,
            Window,
            OperatorList,
            UnionList,
            Broadcast,
            Progress,
            InFlight,
        ];
        kinds.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Whether its entries belong to keys.
    #[must_use]
    pub fn is_keyed(self) -> bool {
        (self as u8) <= StateKind::Window as u8
    }
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StateKind::Value => "value",
            StateKind::List => "list",
            StateKind::Map => "map",
            StateKind::Reducing => "reducing",
            StateKind::Aggregating => "aggregating",
            StateKind::Timers => "timer",
            StateKind::Window => "window",
            StateKind::OperatorList => "operator list",
            StateKind::UnionList => "union list",
            StateKind::Broadcast => "broadcast",
            StateKind::Progress => "progress",
            StateKind::InFlight => "in-flight",
        })
    }
}

/// How the values of a type are encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeLayout {
    /// The type's Rust name, which identifies it and is shown to people.
    pub name: Arc<str>,
    /// The length of every value in bytes, if it is the same for all; otherwise each value is preceded by its length (4
    /// bytes).
    pub length: Option<u32>,
    /// What else is known of values of any length, see [`StateValue::SHAPE`]; 0 if nothing is.
    pub shape: u32,
    /// The version that the type declares.
    pub version: u32,
}

impl TypeLayout {
    /// The layout of a value type.
    #[must_use]
    pub fn of_value<T: StateValue>() -> Self {
        TypeLayout {
            name: T::type_name().into(),
            length: T::LENGTH.map(|length| length as u32),
            shape: T::SHAPE,
            version: T::VERSION,
        }
    }

    /// The layout of records that are their own bytes.
    #[must_use]
    pub fn of_wire<V: Wire + ?Sized>() -> Self {
        TypeLayout {
            name: type_name::<V>().into(),
            length: V::LENGTH.map(|length| length as u32),
            shape: V::SHAPE,
            version: V::VERSION,
        }
    }

    /// Whether values of this layout are such as a checkpoint has them, as far as is known of both.
    #[must_use]
    pub fn agrees(&self, saved: &TypeLayout) -> bool {
        let shapes_agree = self.shape == saved.shape || self.shape == 0 || saved.shape == 0;
        let of_any_shape = |layout: &TypeLayout| TypeLayout {
            shape: 0,
            ..layout.clone()
        };
        shapes_agree && of_any_shape(self) == of_any_shape(saved)
    }

    /// The layout of a key type.
    #[must_use]
    pub fn of_key<S: StoredKey>() -> Self {
        TypeLayout {
            name: type_name::<S>().into(),
            length: S::LENGTH.map(|length| length as u32),
            shape: 0,
            version: 0,
        }
    }

    /// The empty layout: that of the keys of non-keyed state.
    #[must_use]
    pub fn none() -> Self {
        TypeLayout {
            name: "()".into(),
            length: Some(0),
            shape: 0,
            version: 0,
        }
    }
}

impl fmt::Display for TypeLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name)?;
        match (self.length, self.shape) {
            (Some(length), _) => write!(f, " ({length} bytes")?,
            (None, 0) => f.write_str(" (of any length")?,
            (None, shape) => write!(f, " (of any length, shape {shape}")?,
        }
        match self.version {
            0 => f.write_str(")"),
            version => write!(f, ", version {version})"),
        }
    }
}

/// Computes the hash of a key from its encoding, so that entries can be ordered without knowing their type.
pub type HashOfKey = fn(&KeyHasher, &[u8]) -> Result<KeyHash, FormError>;

/// The schema of a state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateSchema {
    /// Its name, unique in its operator.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: StateKind,
    /// The layout of its keys.
    pub key: TypeLayout,
    /// The layout of its values.
    pub value: TypeLayout,
}

impl StateSchema {
    /// The schema of keyed state.
    #[must_use]
    pub fn keyed<S: StoredKey, T: StateValue>(name: &str, kind: StateKind) -> Self {
        StateSchema {
            name: name.into(),
            kind,
            key: TypeLayout::of_key::<S>(),
            value: TypeLayout::of_value::<T>(),
        }
    }

    /// The schema of non-keyed state.
    #[must_use]
    pub fn unkeyed<T: StateValue>(name: &str, kind: StateKind) -> Self {
        StateSchema {
            name: name.into(),
            kind,
            key: TypeLayout::none(),
            value: TypeLayout::of_value::<T>(),
        }
    }
}

/// Returns the hash of an encoded key of type `S`.
///
/// # Errors
/// [`FormError`] if the bytes are not such a key.
pub fn hash_of_key<S: StoredKey>(hasher: &KeyHasher, bytes: &[u8]) -> Result<KeyHash, FormError> {
    Ok(hasher.hash(S::decode(bytes)?.key()))
}

thread_local! {
    /// A buffer in which values are encoded; never borrowed across a call.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Returns how a checkpoint encodes the changes of a table: keys and values alternating, and removed keys alone.
#[must_use]
pub fn encode_changes<S: StoredKey, T: StateValue>() -> EncodeChange<S, T> {
    EncodeChange {
        set: encode_entries,
        removed: |key, bytes| with_length(S::LENGTH, bytes, |bytes| key.encode(bytes)),
    }
}

/// Appends keys and values alternating. If all have the same length and need no encoding, room for all of them is
/// reserved at once.
fn encode_entries<S: StoredKey, T: StateValue>(
    entries: GroupEntries<'_, S, T>,
    bytes: &mut Vec<u8>,
) {
    if S::IN_PLACE
        && T::IN_PLACE
        && let (Some(key_length), Some(value_length)) = (S::LENGTH, T::LENGTH)
    {
        let length = key_length + value_length;
        let is_dense = 2 * entries.len() >= entries.slot_count();
        if is_dense && entries.len() >= DENSE_MIN && length <= DENSE_LENGTH_MAX {
            return encode_dense(entries, length, bytes);
        }
        bytes.reserve(entries.len() * length);
        for (key, value) in entries {
            bytes.extend_from_slice(key.itself());
            bytes.extend_from_slice(value.itself());
        }
        return;
    }
    SCRATCH.with_borrow_mut(|scratch| {
        for (key, value) in entries {
            with_length(S::LENGTH, bytes, |bytes| key.encode(bytes));
            with_length(T::LENGTH, bytes, |bytes| value.encode(scratch, bytes));
        }
    });
}

/// With fewer entries, avoiding branches does not pay.
const DENSE_MIN: usize = 8;
/// Nor does it with longer ones.
const DENSE_LENGTH_MAX: usize = 32;

/// Appends entries of this length that are stored as encoded and occupy most of their groups: an empty slot is written
/// as well, and overwritten by the next.
#[inline(always)]
fn encode_dense<S: StoredKey, T: StateValue>(
    entries: GroupEntries<'_, S, T>,
    length: usize,
    bytes: &mut Vec<u8>,
) {
    let (begin, end) = (bytes.len(), bytes.len() + entries.len() * length);
    bytes.resize(end + length, 0);
    let (room, mut filled) = (&mut bytes[begin..], 0);
    entries.each_slot(|key, value, counts| {
        let (key, value) = (key.itself(), value.itself());
        let place = &mut room[filled..filled + length];
        place[..key.len()].copy_from_slice(key);
        place[key.len()..].copy_from_slice(value);
        filled += if counts { length } else { 0 };
    });
    bytes.truncate(end);
}

/// Appends one value as an item in a sequence.
#[inline]
pub fn encode_value<T: StateValue>(value: &T, bytes: &mut Vec<u8>) {
    SCRATCH.with_borrow_mut(|scratch| {
        with_length(T::LENGTH, bytes, |bytes| value.encode(scratch, bytes));
    });
}

/// Decodes the next value from the front of `bytes`.
///
/// # Errors
/// [`FormError`] if `bytes` does not begin with one.
#[inline]
pub fn decode_value<T: StateValue>(bytes: &mut &[u8]) -> Result<T, FormError> {
    T::decode(take_item(T::LENGTH, bytes)?)
}

/// Decodes the next key from the front of `bytes`.
///
/// # Errors
/// [`FormError`] if `bytes` does not begin with one.
#[inline]
pub fn decode_key<S: StoredKey>(bytes: &mut &[u8]) -> Result<S, FormError> {
    S::decode(take_item(S::LENGTH, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_of_one_name_whose_roots_differ_are_not_each_others() {
        let archive = |shape| TypeLayout {
            name: "Account".into(),
            length: None,
            shape,
            version: 0,
        };
        assert!(archive(24).agrees(&archive(24)));
        assert!(!archive(16).agrees(&archive(24)));
        assert!(archive(16).agrees(&archive(0)), "it did not say");
        let texts = TypeLayout::of_value::<String>();
        assert!(texts.agrees(&texts) && !texts.agrees(&archive(0)));
    }

    #[test]
    fn collections_have_the_shape_of_what_they_hold() {
        type Lists<T> = crate::state::list::List<T>;
        let shape = |layout: TypeLayout| layout.shape;
        assert_eq!(
            shape(TypeLayout::of_value::<u64>()),
            0,
            "its length says it"
        );
        assert_eq!(shape(TypeLayout::of_value::<Lists<u64>>()), 8);
        assert_eq!(shape(TypeLayout::of_value::<Lists<[u64; 3]>>()), 24);
        assert_eq!(shape(TypeLayout::of_value::<Lists<String>>()), 0);
    }
}
