//! The `Archived` form: `rkyv` archives, read on the far side through a [`View`].
#![expect(unsafe_code, reason = "reads an archive in place from its own bytes")]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use rkyv::api::low::{LowDeserializer, LowSerializer, LowValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Error, Panic};
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Portable, Serialize};

use super::form::{Form, FormError, OwnedForm, Record, Scratch, Wire, sealed};
use super::frame::FRAME_ALIGN;
use super::raw::Raw;

/// The form of everything that `rkyv` archives: strings, vectors, options, enums, nested structs.
#[derive(Debug)]
pub enum Archived {}

impl sealed::Sealed for Archived {}

/// The serializer of records: no shared pointers, memory for bookkeeping from a reused arena.
pub type RecordSerializer<'a> =
    LowSerializer<&'a mut AlignedVec<FRAME_ALIGN>, ArenaHandle<'a>, Panic>;

/// A record's archive, in place: derefs to `T::Archived`.
///
/// Unsized, like `str`: it is only met behind a reference, and the bytes behind that reference are
/// the archive, wherever they stand (a ring, a scratch buffer, a state table's heap).
#[repr(transparent)]
pub struct View<T> {
    record: PhantomData<fn() -> T>,
    bytes: [u8],
}

impl<T: Archive + 'static> View<T> {
    /// The view of an archive of `T`.
    ///
    /// # Safety
    /// `bytes` must be a whole archive of a `T` with its root at the end, 16-byte aligned.
    #[inline(always)]
    unsafe fn new(bytes: &[u8]) -> &Self {
        const {
            assert!(
                align_of::<T::Archived>() <= FRAME_ALIGN,
                "archive alignment is over 16 bytes"
            )
        };
        // SAFETY: `View` is `repr(transparent)` over `[u8]`, so the fat pointers have one layout.
        unsafe { &*(std::ptr::from_ref::<[u8]>(bytes) as *const Self) }
    }

    /// An owned record, made from the archive: allocates what the record allocates.
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

    const IN_PLACE: bool = false;

    #[inline]
    fn far<'a>(record: &'a T, scratch: &'a mut Scratch) -> &'a View<T> {
        let Scratch { bytes, arena } = scratch;
        bytes.clear();
        let arena = arena.acquire();
        let Ok(_) = rkyv::api::low::to_bytes_in_with_alloc::<_, _, Panic>(record, bytes, arena);
        // SAFETY: the serializer has just written one archive of `T`, root last, into a 16-aligned
        // buffer that is as long as the archive.
        unsafe { View::new(&scratch.bytes) }
    }

    fn itself(_record: &T) -> Option<&View<T>> {
        None
    }
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
    T: Archive + 'static,
    T::Archived: for<'a> CheckBytes<LowValidator<'a, Error>> + Portable,
{
    type Form = Raw;
}

impl<T: Archive + 'static> sealed::InPlace for View<T> {
    #[inline(always)]
    unsafe fn in_place(bytes: &[u8]) -> &View<T> {
        // SAFETY: the caller vouches for the bytes of a `View<T>` at a multiple of `ALIGN`, which is 16.
        unsafe { View::new(bytes) }
    }
}

impl<T> Wire for View<T>
where
    T: Archive + 'static,
    T::Archived: for<'a> CheckBytes<LowValidator<'a, Error>> + Portable,
{
    const LENGTH: Option<usize> = None;
    const ALIGN: usize = FRAME_ALIGN;

    #[inline(always)]
    fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<&Self, FormError> {
        rkyv::api::low::access::<T::Archived, Error>(bytes)
            .map_err(|e| FormError::new::<T>(bytes, e))?;
        if !bytes.as_ptr().addr().is_multiple_of(FRAME_ALIGN) {
            return Err(FormError::new::<T>(bytes, "not at a multiple of 16"));
        }
        // SAFETY: `access` has just validated the archive, and the alignment was checked.
        Ok(unsafe { View::new(bytes) })
    }
}

macro_rules! archived_tuple {
    ($($name:ident)+) => {
        impl<$($name: 'static),+> Record for ($($name,)+)
        where
            Self: Archive + for<'a> Serialize<RecordSerializer<'a>>,
            <Self as Archive>::Archived: for<'a> CheckBytes<LowValidator<'a, Error>> + Portable,
        {
            type Form = Archived;
        }
    };
}

archived_tuple!(A B);
archived_tuple!(A B C);
archived_tuple!(A B C D);

impl<T: 'static> Record for Option<T>
where
    Self: Archive + for<'a> Serialize<RecordSerializer<'a>>,
    <Self as Archive>::Archived: for<'a> CheckBytes<LowValidator<'a, Error>> + Portable,
{
    type Form = Archived;
}
