//! The results that `thalweg delays` must produce, computed by a loop over the file without any code of the kernel.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
const SECS_PER_HOUR: i64 = 3600;

/// The hour, in seconds since the epoch; `carrier` or `origin`; the code.
type Place = (i64, &'static str, String);

/// The contents of a file, decompressed if its name ends in `.gz`.
pub(super) fn text(path: &Path) -> String {
    let mut text = String::new();
    let mut file = File::open(path).expect("the file is there");
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(file).read_to_string(&mut text)
    } else {
        file.read_to_string(&mut text)
    }
    .expect("the file is readable");
    text
}

/// The rows below the header, each by column; no field of these files is quoted.
fn rows<'a>(text: &'a str, columns: &[&str]) -> Vec<Vec<&'a str>> {
    let mut lines = text.lines();
    let header: Vec<_> = lines.next().expect("a header").split(',').collect();
    let place = |column| {
        header
            .iter()
            .position(|name| *name == column)
            .expect(column)
    };
    let places: Vec<_> = columns.iter().map(|column| place(column)).collect();
    let row = |line: &'a str| {
        let fields: Vec<_> = line.split(',').collect();
        places.iter().map(|place| fields[*place]).collect()
    };
    lines.map(row).collect()
}

/// Days since the epoch of a date of the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // March counts as the first month, so that a leap day is the last day of its year.
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469
}

/// Seconds since the epoch of `2013-01-01T10:00:00Z`.
fn seconds(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("a number");
    days(number(0..4), number(5..7), number(8..10)) * 24 * SECS_PER_HOUR
        + number(11..13) * SECS_PER_HOUR
        + number(14..16) * 60
        + number(17..19)
}

#[derive(Default)]
struct Departures {
    flights: u64,
    cancelled: u64,
    delays: Vec<i64>,
}

/// The expected results of a run.
pub(super) struct Answers {
    /// The results as JSON, in order.
    pub(super) lines: Vec<String>,
    pub(super) flights: usize,
    /// Flights in the results by carrier.
    pub(super) counted: usize,
    pub(super) late: usize,
}

/// The expected results for a file of flights. A flight is late if its hour ended at or before the latest scheduled
/// departure preceding it in the file, minus `bound`.
pub(super) fn answers(flights: &Path, airlines: &Path, bound: i64) -> Answers {
    let names = text(airlines);
    let names = rows(&names, &["carrier", "name"]);
    let names: BTreeMap<_, _> = names.iter().map(|row| (row[0], row[1])).collect();
    let text = text(flights);
    let columns = [
        "carrier",
        "origin",
        "dep_time",
        "dep_delay",
        "time_hour",
        "minute",
    ];
    let rows = rows(&text, &columns);
    let mut groups: BTreeMap<Place, Departures> = BTreeMap::new();
    let (mut greatest, mut late) = (i64::MIN / 2, 0);
    for row in &rows {
        let at = seconds(row[4]) + 60 * row[5].parse::<i64>().expect("minutes");
        let hour = at - at.rem_euclid(SECS_PER_HOUR);
        let is_late = hour + SECS_PER_HOUR <= greatest - bound;
        greatest = greatest.max(at);
        if is_late {
            late += 1;
            continue;
        }
        for (by, key) in [("carrier", row[0]), ("origin", row[1])] {
            let group = groups.entry((hour, by, key.to_owned())).or_default();
            group.flights += 1;
            group.cancelled += u64::from(row[2] == "NA");
            group.delays.extend(row[3].parse::<i64>());
        }
    }
    let line = |((hour, by, key), group): (&Place, &Departures)| {
        let name = names.get(&**key).filter(|_| *by == "carrier");
        let count = group.delays.len() as f64;
        let mean = group.delays.iter().sum::<i64>() as f64 / count;
        let mean = (count > 0.0).then(|| format!("{mean:?}"));
        let max = group.delays.iter().max().map(i64::to_string);
        let (start, end) = (shown(*hour), shown(*hour + SECS_PER_HOUR));
        let (flights, cancelled) = (group.flights, group.cancelled);
        format!(
            concat!(
                r#"{{"by":"{}","key":"{}","name":{},"window_start":"{}","window_end":"{}","#,
                r#""flights":{},"cancelled":{},"mean_departure_delay_minutes":{},"#,
                r#""max_departure_delay_minutes":{}}}"#,
            ),
            by,
            key,
            name.map_or("null".to_owned(), |name| format!("\"{name}\"")),
            start,
            end,
            flights,
            cancelled,
            mean.as_deref().unwrap_or("null"),
            max.as_deref().unwrap_or("null"),
        )
    };
    let by_carrier = groups.iter().filter(|(place, _)| place.1 == "carrier");
    Answers {
        lines: groups.iter().map(line).collect(),
        counted: by_carrier.map(|(_, group)| group.flights as usize).sum(),
        flights: rows.len(),
        late,
    }
}

/// Formats a time as `2013-01-01T10:00:00Z`, by Hinnant's `civil_from_days`.
fn shown(seconds: i64) -> String {
    let since_march_0 = seconds.div_euclid(24 * SECS_PER_HOUR) + 719_468;
    let hour = seconds.rem_euclid(24 * SECS_PER_HOUR) / SECS_PER_HOUR;
    let (era, day) = (since_march_0 / 146_097, since_march_0 % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..10 => (era * 400 + year, month + 3),
        _ => (era * 400 + year + 1, month - 9),
    };
    format!("{year}-{month:02}-{date:02}T{hour:02}:00:00Z")
}
