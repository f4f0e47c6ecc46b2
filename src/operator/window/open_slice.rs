//! `OpenSlice`: a slice's accumulator as stored in a checkpoint.

use crate::record::{FormError, Scratch, StateValue};

/// What a subtask has accumulated for a slice.
///
/// Encoding: the slice's number (8 bytes, in this machine's byte order) and the accumulator's bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OpenSlice<A> {
    pub(super) number: i64,
    pub(super) accumulator: A,
}

impl<A: StateValue> StateValue for OpenSlice<A> {
    const LENGTH: Option<usize> = match A::LENGTH {
        Some(length) => Some(length + size_of::<i64>()),
        None => None,
    };
    const VERSION: u32 = A::VERSION;
    const SHAPE: u32 = A::SHAPE;

    fn encode(&self, scratch: &mut Scratch, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.number.to_ne_bytes());
        self.accumulator.encode(scratch, bytes);
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        let Some((number, accumulator)) = bytes.split_first_chunk() else {
            return Err(FormError::new::<Self>(bytes, "cut off"));
        };
        Ok(OpenSlice {
            number: i64::from_ne_bytes(*number),
            accumulator: A::decode(accumulator)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_slice_comes_back_from_its_bytes() {
        let open = OpenSlice {
            number: -3,
            accumulator: String::from("abc"),
        };
        let mut bytes = Vec::new();
        open.encode(&mut Scratch::new(), &mut bytes);
        assert_eq!(OpenSlice::decode(&bytes).unwrap(), open);
        assert!(OpenSlice::<String>::decode(&bytes[..7]).is_err());
    }
}
