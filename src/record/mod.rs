//! What travels, as bytes: record forms, frames, keys.

mod frame;
mod key_hash;

pub use frame::{FRAME_ALIGN, FrameHeader, FrameKind, HEADER_SIZE, frame_size};
pub use key_hash::{KEY_HASH_VERSION, KeyHash};
