//! Record forms: how a type crosses an exchange, declared once per type.
//!
//! Inside an operator chain a record is passed by reference and has no form. Where a chain may end in a ring (`key_by`,
//! `rebalance`, `union` …), its type must define which bytes it becomes and what the receiver reads in its place: the
//! *far form* ([`Far<T>`](Far)). There is no silent fallback: a type without a [`Record`] implementation does not
//! compile there.
//!
//! | form | for | the receiver reads | cost of sending |
//! |---|---|---|---|
//! | [`Pod`](super::Pod) | plain data without padding (`bytemuck`) | `&T` itself | a copy |
//! | [`Archived`](super::Archived) | anything `rkyv` archives | [`&View<T>`](super::View), which derefs to `T::Archived` | encoding, then a copy; only the copy if its bytes are its archive, as those of `(u64, u64)` are |
//! | [`Raw`](super::Raw) | `str`, `[u8]`, a `View` | the same | a copy |
//!
//! A far form is its own far form, so forwarding a record over a second ring copies its bytes.

use std::marker::PhantomData;

use rkyv::util::AlignedVec;

use super::frame::FRAME_ALIGN;

/// A type whose records can cross an exchange: one line per type declares the form.
///
/// ```
/// use thalweg::record::{Archived, Pod, Record};
///
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(C)]
/// struct Tick { instrument: u64, price: f64 }
/// impl Record for Tick { type Form = Pod; }
///
/// #[derive(Clone, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// struct Order { id: u64, comment: String }
/// impl Record for Order { type Form = Archived; }
/// ```
/// Shared pointers (`Rc`, `Arc`) have no serializer here and are rejected by the compiler; `rkyv`'s niche wrappers
/// (`NicheInto` and friends) are not allowed in records, because their validation is not trusted with bytes read back
/// from a disk.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no record form, so it cannot cross an exchange",
    label = "records of this type have no bytes",
    note = "plain data: derive `bytemuck::Pod` and write `impl Record for {Self} {{ type Form = Pod; }}`",
    note = "anything else: derive rkyv's `Archive, Serialize, Deserialize` and write `impl Record for {Self} {{ type Form = Archived; }}`"
)]
pub trait Record: 'static {
    /// The form: [`Pod`](super::Pod), [`Archived`](super::Archived) or [`Raw`](super::Raw).
    type Form: Form<Self>;

    /// A version to increment when the type's fields change but its size, or that of its archive's root, does not: state
    /// of another version is not read as this type.
    const VERSION: u32 = 0;

    /// What the crate knows about the type's archives beyond what `rkyv` reports.
    #[doc(hidden)]
    const KNOWN_ARCHIVE: KnownArchive<Self> = KnownArchive::NOTHING;
}

/// What is known about the archives of `T`. Only this crate can declare it, and for each type only about itself.
#[derive(Debug)]
pub struct KnownArchive<T: ?Sized> {
    /// The root of an archive holds everything, so all archives have the same length.
    pub(super) is_flat: bool,
    /// The bytes of a value, unchanged, are its archive.
    pub(super) is_own: bool,
    of: PhantomData<fn(&T)>,
}

impl<T: ?Sized> KnownArchive<T> {
    const NOTHING: Self = KnownArchive::new(false, false);

    pub(super) const fn new(is_flat: bool, is_own: bool) -> Self {
        KnownArchive {
            is_flat,
            is_own,
            of: PhantomData,
        }
    }
}

/// What the receiver of an exchange reads in place of a `T`.
pub type Far<T> = <<T as Record>::Form as Form<T>>::Far;

/// A reusable buffer in which a record is encoded before its bytes are copied to a ring.
pub struct Scratch {
    pub(super) bytes: AlignedVec<FRAME_ALIGN>,
    pub(super) arena: rkyv::ser::allocator::Arena,
}

impl Scratch {
    /// An empty scratch buffer; it grows to the size of the largest record that it encodes.
    #[must_use]
    pub fn new() -> Self {
        Scratch {
            bytes: AlignedVec::new(),
            arena: rkyv::ser::allocator::Arena::new(),
        }
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch")
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// How a `T` is converted to bytes, and how they are read. Implemented by the three forms only.
pub trait Form<T: ?Sized>: sealed::Sealed + 'static {
    /// What the receiver reads.
    type Far: ?Sized + Wire;

    /// Whether the far form is the record itself.
    const IN_PLACE: bool;

    /// The far form of `record`, encoded into `scratch` unless it is the record itself.
    fn far<'a>(record: &'a T, scratch: &'a mut Scratch) -> &'a Self::Far;

    /// The far form, if it is the record itself ([`Form::IN_PLACE`]) and nothing needs encoding.
    fn itself(record: &T) -> Option<&Self::Far>;
}

/// A form from which an owned value can be restored: required of a keyed state's values.
pub trait OwnedForm<T>: Form<T> {
    /// Restores an owned value from its far form.
    fn owned(far: &Self::Far) -> T;
}

/// A type that *is* bytes: it can be copied to a frame and read there in place.
///
/// Implemented here only (the trait is sealed through [`Form`]'s implementors): `str`, `[u8]`,
/// [`View`](super::View) and every type of the [`Pod`](super::Pod) form.
pub trait Wire: Record + sealed::InPlace {
    /// The payload length of every record, if all have the same.
    const LENGTH: Option<usize>;

    /// What else there is to a record's length: see [`StateValue::SHAPE`].
    const SHAPE: u32 = 0;

    /// The alignment that the bytes must have to be read in place; at most [`FRAME_ALIGN`].
    const ALIGN: usize;

    /// The record's bytes.
    fn as_bytes(&self) -> &[u8];

    /// The record in untrusted bytes (read from a disk), after validating them.
    ///
    /// # Errors
    /// [`FormError`] if the bytes are not a valid record of this type.
    fn from_bytes(bytes: &[u8]) -> Result<&Self, FormError>;
}

/// An error: bytes are not a record of the requested type.
#[derive(Debug, thiserror::Error)]
#[error("{length} bytes are not a valid `{type_name}`: {reason}")]
pub struct FormError {
    /// The Rust name of the type.
    pub type_name: &'static str,
    /// The number of bytes.
    pub length: usize,
    /// What was wrong with them.
    pub reason: String,
}

impl FormError {
    pub(crate) fn new<T: ?Sized>(bytes: &[u8], reason: impl ToString) -> Self {
        FormError {
            type_name: std::any::type_name::<T>(),
            length: bytes.len(),
            reason: reason.to_string(),
        }
    }
}

/// An owned value that keyed state can hold: any sized record that can be restored from its bytes.
///
/// Never implemented by hand: a [`Record`] implementation is enough.
pub trait StateValue: Sized + Clone + Send + 'static {
    /// The encoded length of every value, if it is the same for all.
    const LENGTH: Option<usize>;

    /// The version of the type's layout: [`Record::VERSION`].
    const VERSION: u32;

    /// What is known of the layout of values of any length, or 0: the size in bytes of an archive's root, or of what a
    /// collection holds. Types of one name that differ in it are not each other's.
    const SHAPE: u32 = 0;

    /// Whether a value's bytes are its encoding, so that [`itself`](Self::itself) returns them.
    const IN_PLACE: bool = false;

    /// The type's name, for people.
    #[must_use]
    fn type_name() -> &'static str {
        std::any::type_name::<Self>()
    }

    /// Appends the value's encoded bytes to `bytes`.
    fn encode(&self, scratch: &mut Scratch, bytes: &mut Vec<u8>);

    /// The bytes that [`encode`](Self::encode) would append, if the value is its own encoding
    /// ([`IN_PLACE`](Self::IN_PLACE)).
    fn itself(&self) -> &[u8] {
        &[]
    }

    /// Decodes a value after validating the bytes.
    ///
    /// # Errors
    /// [`FormError`] if the bytes are not a valid value of this type.
    fn decode(bytes: &[u8]) -> Result<Self, FormError>;
}

/// The [`SHAPE`](StateValue::SHAPE) of a collection of such values.
pub(crate) const fn shape_of_items<T: StateValue>() -> u32 {
    match T::LENGTH {
        Some(length) => length as u32,
        None => T::SHAPE,
    }
}

impl<T> StateValue for T
where
    T: Record + Clone + Send,
    T::Form: OwnedForm<T>,
{
    const LENGTH: Option<usize> = Far::<T>::LENGTH;

    const VERSION: u32 = T::VERSION;

    const SHAPE: u32 = Far::<T>::SHAPE;

    const IN_PLACE: bool = T::Form::IN_PLACE;

    #[inline(always)]
    fn encode(&self, scratch: &mut Scratch, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(T::Form::far(self, scratch).as_bytes());
    }

    #[inline(always)]
    fn itself(&self) -> &[u8] {
        T::Form::itself(self).map_or(&[], Wire::as_bytes)
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.as_ptr().addr().is_multiple_of(Far::<T>::ALIGN) {
            return Ok(T::Form::owned(Far::<T>::from_bytes(bytes)?));
        }
        let mut aligned = AlignedVec::<FRAME_ALIGN>::with_capacity(bytes.len());
        aligned.extend_from_slice(bytes);
        Ok(T::Form::owned(Far::<T>::from_bytes(&aligned)?))
    }
}

/// Appends what `encode` writes, preceded by its length (4 bytes, in native byte order) unless every item has the same.
#[inline(always)]
pub(crate) fn with_length(
    length: Option<usize>,
    bytes: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>),
) {
    if length.is_some() {
        return encode(bytes);
    }
    let start = bytes.len();
    bytes.extend_from_slice(&[0; ITEM_LENGTH]);
    encode(bytes);
    let written = u32::try_from(bytes.len() - start - ITEM_LENGTH);
    let written = written.expect("an item of state is shorter than 4 GiB");
    bytes[start..start + ITEM_LENGTH].copy_from_slice(&written.to_ne_bytes());
}

/// The size in bytes of the length before an item.
const ITEM_LENGTH: usize = size_of::<u32>();

/// Splits the next item off the front of `bytes`.
///
/// # Errors
/// [`FormError`] if the bytes end within it.
#[inline(always)]
pub(crate) fn take_item<'a>(
    length: Option<usize>,
    bytes: &mut &'a [u8],
) -> Result<&'a [u8], FormError> {
    let cut = |bytes: &mut &'a [u8], length: usize| {
        let (item, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        Some(item)
    };
    let item = match length {
        Some(length) => cut(bytes, length),
        None => cut(bytes, ITEM_LENGTH).and_then(|length| {
            let length = u32::from_ne_bytes(length.try_into().ok()?);
            cut(bytes, length as usize)
        }),
    };
    item.ok_or_else(|| FormError::new::<[u8]>(bytes, "they end inside of an item"))
}

pub(super) mod sealed {
    /// Seals [`Form`](super::Form).
    pub trait Sealed: std::fmt::Debug {}

    /// The unchecked half of [`Wire`](super::Wire), not accessible to users.
    pub trait InPlace {
        /// The record whose bytes these are.
        ///
        /// # Safety
        /// `bytes` must be the output of [`Wire::as_bytes`](super::Wire::as_bytes) of a value of this
        /// same type in this same process, at an address that is a multiple of
        /// [`Wire::ALIGN`](super::Wire::ALIGN).
        #[expect(unsafe_code, reason = "the contract that every in-place read cites")]
        unsafe fn in_place(bytes: &[u8]) -> &Self;
    }
}

/// The record in `payload`, which was stored in a ring or a log of this process.
///
/// # Safety
/// As for [`sealed::InPlace::in_place`]: `payload` must be what [`Wire::as_bytes`] returned for a `V`, unchanged, and
/// start at a multiple of [`Wire::ALIGN`].
#[inline(always)]
#[expect(unsafe_code, reason = "hands the caller's promise to the form")]
pub(crate) unsafe fn in_place<V: Wire + ?Sized>(payload: &[u8]) -> &V {
    debug_assert!(payload.as_ptr().addr().is_multiple_of(V::ALIGN));
    // SAFETY: the caller's promise is the callee's.
    unsafe { V::in_place(payload) }
}
