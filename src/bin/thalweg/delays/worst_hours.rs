//! The hours with the longest mean delays, as a table.

use jiff::Timestamp;

use crate::table::table;

use super::hourly_delays::{By, HourlyDelays};

/// The number of hours kept for carriers and for airports.
const HOURS_MAX: usize = 8;

/// Hours with fewer departures are not significant and are left out.
const DEPARTED_MIN: u32 = 5;

/// The worst hours so far, by carrier and by airport.
#[derive(Debug, Default)]
pub(crate) struct WorstHours {
    carriers: Vec<HourlyDelays>,
    origins: Vec<HourlyDelays>,
}

impl WorstHours {
    /// Adds one result.
    pub(crate) fn add(&mut self, result: &HourlyDelays) {
        if result.departures.departed() < DEPARTED_MIN {
            return;
        }
        let hours = match result.by {
            By::Carrier => &mut self.carriers,
            By::Origin => &mut self.origins,
        };
        let mean = result.departures.mean_delay_minutes();
        // Among equally bad hours earlier ones come first, because results arrive in order.
        let place = hours.partition_point(|other| other.departures.mean_delay_minutes() >= mean);
        if place < HOURS_MAX {
            hours.truncate(HOURS_MAX - 1);
            hours.insert(place, result.clone());
        }
    }

    /// Both tables, each with a heading; a table without any hour is omitted.
    pub(crate) fn tables(&self) -> String {
        let by = [("carrier", &self.carriers), ("airport", &self.origins)];
        let shown = by.iter().filter(|(_, hours)| !hours.is_empty());
        let shown = shown.map(|(what, hours)| {
            format!(
                "The {} worst hours by {what} (at least {DEPARTED_MIN} departures; UTC)\n{}",
                hours.len(),
                table_of(what, hours),
            )
        });
        shown.collect::<Vec<_>>().join("\n")
    }
}

fn table_of(what: &str, hours: &[HourlyDelays]) -> String {
    let is_named = hours.iter().any(|hour| hour.name.is_some());
    let mut header = vec!["hour", what];
    header.extend(is_named.then_some("name"));
    header.extend(["flights", "cancelled", "mean delay", "max delay"]);
    let rows = hours.iter().map(|hour| {
        let departures = &hour.departures;
        let mean = departures.mean_delay_minutes();
        let max = departures.max_delay_minutes();
        let mut row = vec![start(hour), hour.key().to_string()];
        row.extend(is_named.then(|| hour.name.clone().unwrap_or_default()));
        row.push(departures.flights.to_string());
        row.push(departures.cancelled.to_string());
        row.push(mean.map_or_else(String::new, |mean| format!("{mean:.1} min")));
        row.push(max.map_or_else(String::new, |max| format!("{max} min")));
        row
    });
    table(header, 2 + usize::from(is_named).., rows)
}

/// The start of the hour as text.
fn start(hour: &HourlyDelays) -> String {
    let start = hour.window().start;
    let time = Timestamp::from_nanosecond(i128::from(start.as_nanos()));
    time.map_or_else(
        |_| start.to_string(),
        |time| time.strftime("%a %F %H:%M").to_string(),
    )
}
