//! The job's input: flights and airlines, and how they are parsed from rows.

use std::fmt;

use thalweg::connectors::{CsvError, CsvRow};
use thalweg::record::{Archived, Pod, Record};
use thalweg::time::Timestamp;

const NANOS_PER_MINUTE: i64 = 60 * 1_000_000_000;

/// Represents the delay of a flight that never left.
const NO_DELAY: i32 = i32::MIN;

/// The code of a carrier or an airport: one to four letters or digits, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub(crate) struct Code([u8; 4]);

impl Code {
    /// Parses a code.
    pub(crate) fn new(text: &str) -> Option<Code> {
        let is_code =
            (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        let mut bytes = [0; 4];
        is_code.then(|| bytes[..text.len()].copy_from_slice(text.as_bytes()))?;
        Some(Code(bytes))
    }

    fn read(row: &CsvRow<'_>, column: &str) -> Result<Code, CsvError> {
        let text = row.text(column)?;
        Code::new(text).ok_or_else(|| {
            let why =
                format!("column `{column}`: `{text}` is not a code of 1 to 4 letters or digits");
            row.refuse(why)
        })
    }

    /// The code's bytes, for use as a key.
    pub(crate) fn bytes(self) -> [u8; 4] {
        self.0
    }

    /// The code with these [`bytes`](Code::bytes).
    pub(crate) fn of_bytes(bytes: [u8; 4]) -> Code {
        Code(bytes)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.0.iter().position(|b| *b == 0).unwrap_or(4);
        f.pad(std::str::from_utf8(&self.0[..length]).unwrap_or("?"))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A scheduled flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Flight {
    /// The scheduled departure: event time.
    pub(crate) scheduled: Timestamp,
    pub(crate) carrier: Code,
    pub(crate) origin: Code,
    delay_minutes: i32,
    cancelled: u32,
}

impl Record for Flight {
    type Form = Pod;
}

impl Flight {
    /// The columns from which it is parsed.
    pub(crate) const COLUMNS: [&str; 6] = [
        "dep_time",
        "dep_delay",
        "carrier",
        "origin",
        "minute",
        "time_hour",
    ];

    /// Parses a flight from a row.
    pub(crate) fn parse(row: &CsvRow<'_>) -> Result<Flight, CsvError> {
        let departed: Option<u32> = row.optional("dep_time")?;
        let delay: Option<i32> = row.optional("dep_delay")?;
        let carrier = Code::read(row, "carrier")?;
        let origin = Code::read(row, "origin")?;
        Ok(Flight {
            scheduled: scheduled(row)?,
            carrier,
            origin,
            delay_minutes: delay.unwrap_or(NO_DELAY),
            cancelled: u32::from(departed.is_none()),
        })
    }

    /// The number of minutes by which it left late, negative if early; `None` if it never left.
    #[inline]
    pub(crate) fn delay_minutes(&self) -> Option<i32> {
        (self.delay_minutes != NO_DELAY).then_some(self.delay_minutes)
    }

    /// Whether it never left.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled != 0
    }
}

/// The scheduled departure: the UTC hour in `time_hour` and the minutes in `minute`.
fn scheduled(row: &CsvRow<'_>) -> Result<Timestamp, CsvError> {
    let minute: u8 = row.get("minute")?;
    let text = row.text("time_hour")?;
    let hour = text.parse::<jiff::Timestamp>().ok();
    let hour = hour.and_then(|hour| i64::try_from(hour.as_nanosecond()).ok());
    let Some(hour) = hour else {
        let why = format!("column `time_hour`: `{text}` is not a time like 2013-01-01T10:00:00Z");
        return Err(row.refuse(why));
    };
    if minute >= 60 {
        return Err(row.refuse(format!("column `minute`: `{minute}` is over 59")));
    }
    Ok(Timestamp(hour).saturating_add(i64::from(minute) * NANOS_PER_MINUTE))
}

/// An airline's name.
#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct Airline {
    /// The bytes of its [`Code`].
    pub(crate) carrier: [u8; 4],
    pub(crate) name: String,
}

impl Record for Airline {
    type Form = Archived;
}

impl Airline {
    /// The columns from which it is parsed.
    pub(crate) const COLUMNS: [&str; 2] = ["carrier", "name"];

    /// Parses an airline from a row.
    pub(crate) fn parse(row: &CsvRow<'_>) -> Result<Airline, CsvError> {
        Ok(Airline {
            carrier: Code::read(row, "carrier")?.bytes(),
            name: row.text("name")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_one_to_four_letters_or_digits() {
        for text in ["9E", "UA", "JFK", "KJFK", "X"] {
            assert_eq!(
                Code::new(text).map(|code| code.to_string()).as_deref(),
                Some(text)
            );
        }
        for text in ["", "LONGER", "A B", "é", "a\"b"] {
            assert_eq!(Code::new(text), None, "{text}");
        }
    }
}
