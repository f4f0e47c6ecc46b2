//! The `Raw` form: types that are already bytes, and the owned types that borrow as them.
#![expect(unsafe_code, reason = "reads text in place from its own bytes")]

use super::archived::View;
use super::form::{Form, FormError, OwnedForm, Record, Scratch, Wire, sealed};

/// The form of `str`, `[u8]` and [`View`]: copied unchanged.
#[derive(Debug)]
pub enum Raw {}

/// The form of `String` and `Vec<u8>`: the receiver reads `str` and `[u8]`.
#[derive(Debug)]
pub enum Text {}

impl sealed::Sealed for Raw {}
impl sealed::Sealed for Text {}

macro_rules! raw {
    ($($type:ty),*) => { $(
        impl Record for $type { type Form = Raw; }

        impl Form<$type> for Raw {
            type Far = $type;

            const IN_PLACE: bool = true;

            #[inline(always)]
            fn far<'a>(record: &'a $type, _scratch: &'a mut Scratch) -> &'a $type {
                record
            }

            #[inline(always)]
            fn itself(record: &$type) -> Option<&$type> {
                Some(record)
            }
        }
    )* };
}

raw!(str, [u8]);

impl<T> Form<View<T>> for Raw
where
    View<T>: Wire,
{
    type Far = View<T>;

    const IN_PLACE: bool = true;

    #[inline(always)]
    fn far<'a>(record: &'a View<T>, _scratch: &'a mut Scratch) -> &'a View<T> {
        record
    }

    #[inline(always)]
    fn itself(record: &View<T>) -> Option<&View<T>> {
        Some(record)
    }
}

impl sealed::InPlace for [u8] {
    #[inline(always)]
    unsafe fn in_place(bytes: &[u8]) -> &[u8] {
        bytes
    }
}

impl Wire for [u8] {
    const LENGTH: Option<usize> = None;
    const ALIGN: usize = 1;

    #[inline(always)]
    fn as_bytes(&self) -> &[u8] {
        self
    }

    fn from_bytes(bytes: &[u8]) -> Result<&[u8], FormError> {
        Ok(bytes)
    }
}

impl sealed::InPlace for str {
    #[inline(always)]
    unsafe fn in_place(bytes: &[u8]) -> &str {
        // SAFETY: the caller vouches that these are the bytes of a `str`.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }
}

impl Wire for str {
    const LENGTH: Option<usize> = None;
    const ALIGN: usize = 1;

    #[inline(always)]
    fn as_bytes(&self) -> &[u8] {
        str::as_bytes(self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<&str, FormError> {
        std::str::from_utf8(bytes).map_err(|e| FormError::new::<str>(bytes, e))
    }
}

macro_rules! text {
    ($($owned:ty => $far:ty),*) => { $(
        impl Record for $owned { type Form = Text; }

        impl Form<$owned> for Text {
            type Far = $far;

            const IN_PLACE: bool = true;

            #[inline(always)]
            fn far<'a>(record: &'a $owned, _scratch: &'a mut Scratch) -> &'a $far {
                record
            }

            #[inline(always)]
            fn itself(record: &$owned) -> Option<&$far> {
                Some(record)
            }
        }

        impl OwnedForm<$owned> for Text {
            fn owned(far: &$far) -> $owned {
                far.to_owned()
            }
        }
    )* };
}

text!(String => str, Vec<u8> => [u8]);
