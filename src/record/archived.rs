//! The `Archived` form: `rkyv` archives, read by the receiver through a [`View`].
//!
//! A structure of plain numbers is often its own archive: the same fields in the same places, with nothing between
//! them. `rkyv` reports this for derived types (`COPY_OPTIMIZATION`), and the macro at the end of this file for tuples.
//! Such a record is not encoded. Field order is the compiler's choice, so the checkpoint format does not depend on it:
//! archives of tuples of numbers have a fixed length, whether or not the tuples are their own archives, and those of
//! derived types count as variable-length.
#![expect(unsafe_code, reason = "reads an archive in place from its own bytes")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ops::Deref;

use rkyv::api::low::{LowDeserializer, LowSerializer, LowValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Error, Panic};
use rkyv::ser::allocator::ArenaHandle;
use rkyv::tuple::{ArchivedTuple2, ArchivedTuple3, ArchivedTuple4};
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Portable, Serialize};

use super::form::{Form, FormError, KnownArchive, OwnedForm, Record, Scratch, Wire, sealed};
use super::frame::FRAME_ALIGN;
use super::raw::Raw;

/// The form of everything that `rkyv` archives: strings, vectors, options, enums, nested structs.
#[derive(Debug)]
pub enum Archived {}

impl sealed::Sealed for Archived {}

/// The serializer of records: no shared pointers, bookkeeping memory from a reused arena.
pub type RecordSerializer<'a> =
    LowSerializer<&'a mut AlignedVec<FRAME_ALIGN>, ArenaHandle<'a>, Panic>;

/// A record's archive, in place: derefs to `T::Archived`.
///
/// Unsized, like `str`: it only exists behind a reference, and the bytes behind that reference are the archive,
/// wherever they are (a ring, a scratch buffer, a state table's heap, the record itself).
#[repr(transparent)]
pub struct View<T> {
    record: PhantomData<fn() -> T>,
    bytes: [u8],
}

/// Whether the bytes of a `T`, unchanged, are its archive.
const fn is_own_archive<T: Record + Archive>() -> bool {
    let is_said = T::COPY_OPTIMIZATION.is_enabled() || T::KNOWN_ARCHIVE.is_own;
    let size = size_of::<T>();
    is_said
        && size > 0
        && size == size_of::<T::Archived>()
        && align_of::<T>() >= align_of::<T::Archived>()
}

impl<T: Record + Archive> View<T> {
    /// The view of a record that is its own archive; `None` if it is not.
    #[inline(always)]
    fn of(record: &T) -> Option<&Self> {
        if !const { is_own_archive::<T>() } {
            return None;
        }
        let start = std::ptr::from_ref(record).cast::<u8>();
        // SAFETY: a record that is its own archive has no padding, so all of its bytes are initialised, and no cells
        // through which they might change. They are aligned as the archive requires.
        Some(unsafe { View::new(std::slice::from_raw_parts(start, size_of::<T>())) })
    }
}

impl<T: Archive + 'static> View<T> {
    /// The view of an archive of `T`.
    ///
    /// # Safety
    /// `bytes` must be a whole archive of a `T` with its root at the end, aligned as `T::Archived` is.
    #[inline(always)]
    unsafe fn new(bytes: &[u8]) -> &Self {
        const {
            assert!(
                align_of::<T::Archived>() <= FRAME_ALIGN,
                "archive alignment is over 16 bytes"
            )
        };
        // SAFETY: `View` is `repr(transparent)` over `[u8]`, so the fat pointers have the same layout.
        unsafe { &*(std::ptr::from_ref::<[u8]>(bytes) as *const Self) }
    }

    /// Deserialises the archive to an owned record: allocates what the record allocates.
    pub fn to_owned(&self) -> T
    where
        T::Archived: Deserialize<T, LowDeserializer<Panic>>,
    {
        let Ok(record) = rkyv::api::low::deserialize::<T, Panic>(&**self);
        record
    }
}

impl<T: Archive + 'static> Deref for View<T> {
    type Target = T::Archived;

    #[inline(always)]
    fn deref(&self) -> &T::Archived {
        // SAFETY: a `View` is only made from a whole, aligned archive of `T` (`View::new`).
        unsafe { rkyv::access_unchecked::<T::Archived>(&self.bytes) }
    }
}

impl<T: Archive + 'static> fmt::Debug for View<T>
where
    T::Archived: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Form<T> for Archived
where
    T: Record<Form = Archived> + Archive + for<'a> Serialize<RecordSerializer<'a>>,
    T::Archived: for<'a> CheckBytes<LowValidator<'a, Error>> + Portable,
{
    type Far = View<T>;

    const IN_PLACE: bool = is_own_archive::<T>();

    #[inline(always)]
    fn far<'a>(record: &'a T, scratch: &'a mut Scratch) -> &'a View<T> {
        match View::of(record) {
            Some(view) => view,
            None => encode(record, scratch),
        }
    }

    #[inline(always)]
    fn itself(record: &T) -> Option<&View<T>> {
        View::of(record)
    }
}

/// The archive of `record`, written to `scratch`.
#[inline]
fn encode<'a, T>(record: &T, scratch: &'a mut Scratch) -> &'a View<T>
where
    T: Archive + for<'b> Serialize<RecordSerializer<'b>> + 'static,
{
    let Scratch { bytes, arena } = scratch;
    bytes.clear();
    let arena = arena.acquire();
    let Ok(_) = rkyv::api::low::to_bytes_in_with_alloc::<_, _, Panic>(record, bytes, arena);
    // SAFETY: the serializer has just written one archive of `T`, root last, into a 16-aligned
    // buffer that is as long as the archive.
    unsafe { View::new(&scratch.bytes) }
}

impl<T> OwnedForm<T> for Archived
where
    Archived: Form<T, Far = View<T>>,
    T: Archive + 'static,
    T::Archived: Deserialize<T, LowDeserializer<Panic>>,
{
    fn owned(far: &View<T>) -> T {
        far.to_owned()
    }
}

impl<T> Record for View<T>
where
    T: Record + Archive,
    T::Archived: for<'a> CheckBytes<LowValidator<'a, Error>> + Portable,
{
    type Form = Raw;
}

impl<T: Archive + 'static> sealed::InPlace for View<T> {
    #[inline(always)]
    unsafe fn in_place(bytes: &[u8]) -> &View<T> {
        // SAFETY: the caller vouches for the bytes of a `View<T>` at a multiple of `ALIGN`.
        unsafe { View::new(bytes) }
    }
}

impl<T> Wire for View<T>
where
    T: Record + Archive,
    T::Archived: for<'a> CheckBytes<LowValidator<'a, Error>> + Portable,
{
    const LENGTH: Option<usize> = if T::KNOWN_ARCHIVE.is_flat {
        Some(size_of::<T::Archived>())
    } else {
        None
    };
    const SHAPE: u32 = if T::KNOWN_ARCHIVE.is_flat {
        0
    } else {
        size_of::<T::Archived>() as u32
    };
    const ALIGN: usize = if T::KNOWN_ARCHIVE.is_flat {
        align_of::<T::Archived>()
    } else {
        FRAME_ALIGN
    };

    #[inline(always)]
    fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<&Self, FormError> {
        rkyv::api::low::access::<T::Archived, Error>(bytes)
            .map_err(|e| FormError::new::<T>(bytes, e))?;
        if Self::LENGTH.is_some_and(|length| length != bytes.len()) {
            return Err(FormError::new::<T>(bytes, "they are too many"));
        }
        if !bytes.as_ptr().addr().is_multiple_of(Self::ALIGN) {
            let reason = format!("not at a multiple of {}", Self::ALIGN);
            return Err(FormError::new::<T>(bytes, reason));
        }
        // SAFETY: `access` has just validated the archive, and the alignment was checked.
        Ok(unsafe { View::new(bytes) })
    }
}

macro_rules! archived_tuple {
    ($archived:ty: $($name:ident $index:tt)+) => {
        impl<$($name: Archive + 'static),+> Record for ($($name,)+)
        where
            Self: Archive + for<'a> Serialize<RecordSerializer<'a>>,
            <Self as Archive>::Archived: for<'a> CheckBytes<LowValidator<'a, Error>> + Portable,
        {
            type Form = Archived;

            const KNOWN_ARCHIVE: KnownArchive<Self> = {
                let is_flat = true $(&& $name::COPY_OPTIMIZATION.is_enabled())+;
                let is_dense = size_of::<Self>() == 0 $(+ size_of::<$name>())+;
                let is_alike = true $(&& offset_of!(Self, $index) == offset_of!($archived, $index))+;
                KnownArchive::new(is_flat, is_flat && is_dense && is_alike)
            };
        }
    };
}

archived_tuple!(ArchivedTuple2<A::Archived, B::Archived>: A 0 B 1);
archived_tuple!(ArchivedTuple3<A::Archived, B::Archived, C::Archived>: A 0 B 1 C 2);
archived_tuple!(
    ArchivedTuple4<A::Archived, B::Archived, C::Archived, D::Archived>: A 0 B 1 C 2 D 3
);

impl<T: 'static> Record for Option<T>
where
    Self: Archive + for<'a> Serialize<RecordSerializer<'a>>,
    <Self as Archive>::Archived: for<'a> CheckBytes<LowValidator<'a, Error>> + Portable,
{
    type Form = Archived;
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, PartialEq, Debug, Archive, Serialize, Deserialize)]
    #[repr(C)]
    struct Tick {
        instrument: u64,
        price: f64,
        open: bool,
        rest: [u8; 7],
    }

    impl Record for Tick {
        type Form = Archived;
    }

    /// Returns whether the record is its own archive; if so, checks that `rkyv` produces the same archive, and that the
    /// record is restored from it.
    fn is_its_own_archive<T>(record: T) -> bool
    where
        T: Record<Form = Archived> + Archive + PartialEq + Debug,
        T: for<'a> Serialize<RecordSerializer<'a>>,
        T::Archived: for<'a> CheckBytes<LowValidator<'a, Error>> + Portable,
        T::Archived: Deserialize<T, LowDeserializer<Panic>>,
    {
        let mut scratch = Scratch::new();
        let Some(view) = View::of(&record) else {
            return false;
        };
        assert_eq!(view.as_bytes(), encode(&record, &mut scratch).as_bytes());
        assert!(std::ptr::addr_eq(
            Archived::far(&record, &mut scratch),
            &record
        ));
        let mut bytes = AlignedVec::<FRAME_ALIGN>::new();
        bytes.extend_from_slice(view.as_bytes());
        let read = View::<T>::from_bytes(&bytes).expect("an archive");
        assert_eq!(read.to_owned(), record);
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

        #[test]
        fn plain_numbers_side_by_side_are_their_own_archive(
            (a, b, c) in any::<(u64, i64, u8)>(), price in any::<f64>(), open in any::<bool>(),
        ) {
            prop_assume!(!price.is_nan());
            prop_assert!(is_its_own_archive((a, b)));
            prop_assert!(is_its_own_archive((price, a)));
            let tick = Tick { instrument: a, price, open, rest: [c; 7] };
            prop_assert!(is_its_own_archive(tick));
            // The compiler may have reordered these.
            is_its_own_archive((price, a, [a, 1, 2]));
            is_its_own_archive((c, open, c, open));
        }
    }

    #[test]
    fn what_has_padding_or_points_elsewhere_is_encoded() {
        assert!(View::of(&(1u8, 2u64)).is_none());
        assert!(View::of(&(1u64, 2u64, 3u32)).is_none());
        assert!(View::of(&(1u64, "text".to_owned())).is_none());
        assert!(View::of(&(1u64, Some(2u64))).is_none());
        assert!(
            View::of(&(1u64, (2u64, 3u64))).is_none(),
            "rkyv does not say so"
        );
    }

    #[test]
    fn archives_of_tuples_of_numbers_have_one_length() {
        assert_eq!(View::<(u64, u64)>::LENGTH, Some(16));
        assert_eq!(View::<(u8, u64)>::LENGTH, Some(16));
        assert_eq!(View::<(u64, String)>::LENGTH, None);
        let mut scratch = Scratch::new();
        let view: &View<(u8, u64)> = Archived::far(&(1, 2), &mut scratch);
        assert_eq!(
            view.as_bytes(),
            [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn bytes_of_another_length_or_of_no_value_or_at_an_odd_place_are_refused() {
        let mut bytes = AlignedVec::<FRAME_ALIGN>::new();
        bytes.extend_from_slice(&std::array::from_fn::<u8, 48, _>(|n| n as u8));
        let error = |bytes| {
            View::<(u64, u64)>::from_bytes(bytes)
                .unwrap_err()
                .to_string()
        };
        assert!(View::<(u64, u64)>::from_bytes(&bytes[..16]).is_ok());
        assert!(error(&bytes[..32]).ends_with("they are too many"));
        error(&bytes[..8]);
        error(&bytes[4..20]);
        assert!(View::<(bool, u8)>::from_bytes(&bytes[..2]).is_ok());
        assert!(View::<(bool, u8)>::from_bytes(&bytes[2..4]).is_err());
    }
}
