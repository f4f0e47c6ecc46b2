//! The job's results: how punctual the departures of one hour were, by carrier or by airport.

use std::fmt;

use bytemuck::{CheckedBitPattern, NoUninit};
use serde_json::Value;
use thalweg::operator::TimeWindow;
use thalweg::record::{Archived, Pod, Record};
use thalweg::state::Aggregate;
use thalweg::time::Timestamp;

use super::flight::{Code, Flight};

/// What the flights in a result have in common.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    NoUninit,
    CheckedBitPattern,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[repr(u32)]
pub(crate) enum By {
    Carrier,
    Origin,
}

impl By {
    /// The name used in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            By::Carrier => "carrier",
            By::Origin => "origin",
        }
    }
}

/// The aggregated departures of a key and an hour.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Debug,
    bytemuck::Pod,
    bytemuck::Zeroable,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
#[repr(C)]
pub(crate) struct Departures {
    /// The sum of all delays; early departures count as negative.
    delay_minutes_sum: i64,
    /// The number of flights with a known delay.
    departed: u32,
    /// The number of all scheduled flights.
    pub(crate) flights: u32,
    pub(crate) cancelled: u32,
    delay_minutes_max: i32,
}

impl Record for Departures {
    type Form = Pod;
}

impl Departures {
    /// The mean delay of the flights that left; `None` if there are none.
    pub(crate) fn mean_delay_minutes(&self) -> Option<f64> {
        (self.departed > 0).then(|| self.delay_minutes_sum as f64 / f64::from(self.departed))
    }

    /// The longest delay of a flight that left; `None` if there are none.
    pub(crate) fn max_delay_minutes(&self) -> Option<i32> {
        (self.departed > 0).then_some(self.delay_minutes_max)
    }

    /// The number of flights that left.
    pub(crate) fn departed(&self) -> u32 {
        self.departed
    }
}

/// Counts the departures of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountDepartures;

impl Aggregate<Flight> for CountDepartures {
    type Accumulator = Departures;
    type Out = Departures;

    fn create(&self) -> Departures {
        Departures {
            delay_minutes_sum: 0,
            departed: 0,
            flights: 0,
            cancelled: 0,
            delay_minutes_max: i32::MIN,
        }
    }

    #[inline]
    fn add(&self, departures: &mut Departures, flight: &Flight) {
        departures.flights += 1;
        departures.cancelled += u32::from(flight.is_cancelled());
        if let Some(delay) = flight.delay_minutes() {
            departures.departed += 1;
            departures.delay_minutes_sum += i64::from(delay);
            departures.delay_minutes_max = departures.delay_minutes_max.max(delay);
        }
    }

    #[inline]
    fn merge(&self, departures: &mut Departures, other: &Departures) {
        departures.flights += other.flights;
        departures.cancelled += other.cancelled;
        departures.departed += other.departed;
        departures.delay_minutes_sum += other.delay_minutes_sum;
        departures.delay_minutes_max = departures.delay_minutes_max.max(other.delay_minutes_max);
    }

    #[inline]
    fn result(&self, departures: &Departures) -> Departures {
        *departures
    }
}

/// A window's result, before the name is joined in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, NoUninit, CheckedBitPattern)]
#[repr(C)]
pub(crate) struct KeyedDelays {
    pub(crate) window: TimeWindow,
    pub(crate) departures: Departures,
    pub(crate) by: By,
    pub(crate) key: Code,
}

impl Record for KeyedDelays {
    type Form = Pod;
}

impl KeyedDelays {
    /// Returns the function that makes a result from a key's bytes, its window and the departures in it.
    pub(crate) fn of(
        by: By,
    ) -> impl Fn(&[u8; 4], TimeWindow, Departures) -> KeyedDelays + Clone + Send + 'static {
        move |key, window, departures| KeyedDelays {
            window,
            departures,
            by,
            key: Code::of_bytes(*key),
        }
    }
}

/// A result as emitted by the job.
#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(crate) struct HourlyDelays {
    /// The hour's first nanosecond since the epoch.
    start: i64,
    /// The first nanosecond after the hour.
    end: i64,
    pub(crate) by: By,
    /// The bytes of the carrier's or airport's [`Code`].
    key: [u8; 4],
    /// The airline's name; `None` for airports, and for carriers not listed in the second file.
    pub(crate) name: Option<String>,
    pub(crate) departures: Departures,
}

impl Record for HourlyDelays {
    type Form = Archived;
}

/// The names of a result's fields, in order.
pub(crate) const COLUMNS: [&str; 9] = [
    "by",
    "key",
    "name",
    "window_start",
    "window_end",
    "flights",
    "cancelled",
    "mean_departure_delay_minutes",
    "max_departure_delay_minutes",
];

impl HourlyDelays {
    /// Adds the name of the key to `delays`.
    pub(crate) fn named(delays: &KeyedDelays, name: Option<String>) -> Self {
        HourlyDelays {
            start: delays.window.start.as_nanos(),
            end: delays.window.end.as_nanos(),
            by: delays.by,
            key: delays.key.bytes(),
            name,
            departures: delays.departures,
        }
    }

    /// The hour.
    pub(crate) fn window(&self) -> TimeWindow {
        TimeWindow {
            start: Timestamp(self.start),
            end: Timestamp(self.end),
        }
    }

    /// The carrier or airport.
    pub(crate) fn key(&self) -> Code {
        Code::of_bytes(self.key)
    }

    /// The sort key of results: the hour, then carriers before airports.
    pub(crate) fn place(&self) -> (i64, By, [u8; 4]) {
        (self.start, self.by, self.key)
    }

    /// The values of [`COLUMNS`]; a missing one is empty.
    pub(crate) fn fields(&self) -> [String; 9] {
        let departures = &self.departures;
        let shown =
            |value: Option<&dyn fmt::Display>| value.map_or_else(String::new, ToString::to_string);
        let mean = departures.mean_delay_minutes();
        let max = departures.max_delay_minutes();
        [
            self.by.name().to_owned(),
            self.key().to_string(),
            self.name.clone().unwrap_or_default(),
            Utc(self.window().start).to_string(),
            Utc(self.window().end).to_string(),
            departures.flights.to_string(),
            departures.cancelled.to_string(),
            shown(mean.as_ref().map(|mean| mean as _)),
            shown(max.as_ref().map(|max| max as _)),
        ]
    }
}

/// The result as a JSON object, its fields in the order of [`COLUMNS`].
impl fmt::Display for HourlyDelays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = self.window();
        let departures = &self.departures;
        write!(
            f,
            r#"{{"by":"{}","key":"{}","name":{},"window_start":"{}","window_end":"{}","#,
            self.by.name(),
            self.key(),
            Value::from(self.name.as_deref()),
            Utc(window.start),
            Utc(window.end),
        )?;
        write!(
            f,
            r#""flights":{},"cancelled":{},"#,
            departures.flights, departures.cancelled
        )?;
        write!(
            f,
            r#""mean_departure_delay_minutes":{},"max_departure_delay_minutes":{}}}"#,
            Value::from(departures.mean_delay_minutes()),
            Value::from(departures.max_delay_minutes()),
        )
    }
}

/// Shows a timestamp as `2013-01-01T10:00:00Z`.
pub(crate) struct Utc(pub(crate) Timestamp);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0.as_nanos())) {
            Ok(time) => time.fmt(f),
            Err(_) => self.0.fmt(f),
        }
    }
}
