//! Rows on their way to a database, encoded as bytes.

use rusqlite::types::ValueRef;

/// A row under construction: values in the order of the sink's columns.
#[derive(Debug)]
pub struct SqlRow<'a> {
    bytes: &'a mut Vec<u8>,
    pub(super) count: usize,
}

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

impl<'a> SqlRow<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        SqlRow { bytes, count: 0 }
    }

    fn put(&mut self, kind: u8, bytes: &[u8]) -> &mut Self {
        self.count += 1;
        self.bytes.push(kind);
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn put_long(&mut self, kind: u8, bytes: &[u8]) -> &mut Self {
        self.put(kind, &(bytes.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends an integer.
    pub fn integer(&mut self, value: i64) -> &mut Self {
        self.put(INTEGER, &value.to_le_bytes())
    }

    /// Appends a floating-point number.
    pub fn real(&mut self, value: f64) -> &mut Self {
        self.put(REAL, &value.to_le_bytes())
    }

    /// Appends a string.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.put_long(TEXT, value.as_bytes())
    }

    /// Appends a blob.
    pub fn blob(&mut self, value: &[u8]) -> &mut Self {
        self.put_long(BLOB, value)
    }

    /// Appends a null.
    pub fn null(&mut self) -> &mut Self {
        self.put(NULL, &[])
    }
}

/// Decodes and removes the first value of what an [`SqlRow`] wrote.
pub(super) fn take_value<'a>(bytes: &mut &'a [u8]) -> Option<ValueRef<'a>> {
    let (kind, rest) = bytes.split_first()?;
    let (value, rest) = match *kind {
        NULL => (ValueRef::Null, rest),
        INTEGER => {
            let (value, rest) = rest.split_first_chunk()?;
            (ValueRef::Integer(i64::from_le_bytes(*value)), rest)
        }
        REAL => {
            let (value, rest) = rest.split_first_chunk()?;
            (ValueRef::Real(f64::from_le_bytes(*value)), rest)
        }
        TEXT | BLOB => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (value, rest) = rest.split_at_checked(length)?;
            let value = match *kind {
                TEXT => ValueRef::Text(value),
                _ => ValueRef::Blob(value),
            };
            (value, rest)
        }
        _ => return None,
    };
    *bytes = rest;
    Some(value)
}
