//! The `Pod` form: plain data, which the receiver reads as `&T` itself.
#![expect(unsafe_code, reason = "reads a record in place from its own bytes")]

use bytemuck::{CheckedBitPattern, NoUninit};

use super::form::{Form, FormError, OwnedForm, Record, Scratch, Wire, sealed};
use super::frame::FRAME_ALIGN;

/// The form of plain data: no padding, no pointers, alignment at most 16.
///
/// For types that are [`bytemuck::Pod`], and for those that are only [`NoUninit`] and [`CheckedBitPattern`] (because
/// they contain `bool`, `char` or field-less enums).
#[derive(Debug)]
pub enum Pod {}

impl sealed::Sealed for Pod {}

impl<T> Form<T> for Pod
where
    T: NoUninit + CheckedBitPattern + Record<Form = Pod>,
{
    type Far = T;

    const IN_PLACE: bool = true;

    #[inline(always)]
    fn far<'a>(record: &'a T, _scratch: &'a mut Scratch) -> &'a T {
        record
    }

    #[inline(always)]
    fn itself(record: &T) -> Option<&T> {
        Some(record)
    }
}

impl<T> OwnedForm<T> for Pod
where
    T: NoUninit + CheckedBitPattern + Record<Form = Pod>,
{
    #[inline(always)]
    fn owned(far: &T) -> T {
        *far
    }
}

impl<T> sealed::InPlace for T
where
    T: NoUninit + CheckedBitPattern + Record<Form = Pod>,
{
    #[inline(always)]
    unsafe fn in_place(bytes: &[u8]) -> &T {
        const {
            assert!(
                align_of::<T>() <= FRAME_ALIGN,
                "record alignment is over 16 bytes"
            )
        };
        debug_assert_eq!(bytes.len(), size_of::<T>());
        // SAFETY: the caller vouches that these are the bytes of a `T` of this process at a multiple
        // of its alignment, which the assertion above keeps within what frames have.
        unsafe { &*bytes.as_ptr().cast::<T>() }
    }
}

impl<T> Wire for T
where
    T: NoUninit + CheckedBitPattern + Record<Form = Pod>,
{
    const LENGTH: Option<usize> = Some(size_of::<T>());
    const ALIGN: usize = align_of::<T>();

    #[inline(always)]
    fn as_bytes(&self) -> &[u8] {
        bytemuck::bytes_of(self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<&T, FormError> {
        bytemuck::checked::try_from_bytes(bytes).map_err(|e| FormError::new::<T>(bytes, e))
    }
}

macro_rules! pod {
    ($($type:ty)*) => { $(impl Record for $type { type Form = Pod; })* };
}

pod!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char);
pod!(crate::time::Timestamp);

impl<T, const N: usize> Record for [T; N]
where
    T: bytemuck::Pod + Record<Form = Pod>,
{
    type Form = Pod;
}
