//! Values that are stored in an order, each with the eight bytes that determine its place: an arrival number, a time.
//!
//! ```text
//! stamp (8 bytes, in this machine's order) │ length (4 bytes, unless all values of the type have the same) │ value │ …
//! ```

use crate::record::{FormError, Scratch, StateValue, take_item, with_length};

/// Appends a value.
pub(super) fn put_stamped<E: StateValue>(
    stamp: [u8; 8],
    value: &E,
    scratch: &mut Scratch,
    bytes: &mut Vec<u8>,
) {
    bytes.extend_from_slice(&stamp);
    with_length(E::LENGTH, bytes, |bytes| value.encode(scratch, bytes));
}

/// Calls `each` with the values of a `T` and their stamps, in order; it says what is wrong if they are not.
///
/// # Errors
/// [`FormError`] if the bytes are damaged, or `each` refuses a value.
pub(super) fn take_stamped<T, E: StateValue>(
    bytes: &[u8],
    mut each: impl FnMut([u8; 8], E) -> Result<(), &'static str>,
) -> Result<(), FormError> {
    let invalid = |reason: &str| FormError::new::<T>(bytes, reason);
    let mut rest = bytes;
    while let Some((stamp, after)) = rest.split_first_chunk() {
        rest = after;
        let value = E::decode(take_item(E::LENGTH, &mut rest)?)?;
        each(*stamp, value).map_err(invalid)?;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(invalid("cut off"))
    }
}
