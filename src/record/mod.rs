//! What is sent between subtasks, as bytes: record forms, frames, keys and key groups.

mod archived;
mod compact_text;
mod form;
mod frame;
mod key;
mod key_group;
mod key_hash;
mod key_selector;
mod plain_key;
mod pod;
mod raw;
mod run;
mod short_bytes;
mod tuple_key;

pub use archived::{Archived, RecordSerializer, View};
#[doc(hidden)]
pub use form::KnownArchive;
pub use form::{Far, Form, FormError, OwnedForm, Record, Scratch, StateValue, Wire};
pub(crate) use form::{in_place, shape_of_items, take_item, with_length};
pub use frame::{FRAME_ALIGN, FrameHeader, FrameKind, HEADER_SIZE, frame_size};
pub use key::{Key, StoredKey};
pub use key_group::{
    KeyGroup, KeyGroupAssignment, KeyGroupRange, KeyHasher, MAX_PARALLELISM_LIMIT, MaxParallelism,
    ParallelismError,
};
pub use key_hash::{KEY_HASH_VERSION, KeyHash};
pub use key_selector::{BorrowedSelector, KeySelector, OwnedSelector};
pub(crate) use plain_key::plain_key;
pub use pod::Pod;
pub use raw::{Raw, Text};
pub(crate) use run::{Records, RunReader, RunWriter, holds_records, run_size_min, visit_run};
pub(crate) use short_bytes::ShortBytes;
