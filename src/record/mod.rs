//! What is sent between subtasks, as bytes: record forms, frames, keys and key groups.

mod archived;
mod form;
mod frame;
mod key;
mod key_group;
mod key_hash;
mod pod;
mod raw;
mod run;
mod short_bytes;

pub use archived::{Archived, RecordSerializer, View};
#[doc(hidden)]
pub use form::KnownArchive;
pub use form::{Far, Form, FormError, OwnedForm, Record, Scratch, StateValue, Wire};
pub(crate) use form::{in_place, take_item, with_length};
pub use frame::{FRAME_ALIGN, FrameHeader, FrameKind, HEADER_SIZE, frame_size};
pub use key::{BorrowedSelector, Key, KeySelector, OwnedSelector, StoredKey};
pub use key_group::{
    KeyGroup, KeyGroupAssignment, KeyGroupRange, KeyHasher, MAX_PARALLELISM_LIMIT, MaxParallelism,
    ParallelismError,
};
pub use key_hash::{KEY_HASH_VERSION, KeyHash};
pub use pod::Pod;
pub use raw::{Raw, Text};
pub(crate) use run::{RunReader, RunWriter, holds_records, run_size_min, visit_run};
pub(crate) use short_bytes::ShortBytes;
