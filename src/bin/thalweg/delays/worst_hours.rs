//! The hours with the longest mean delays, as a table for people.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use jiff::Timestamp;

use super::hourly_delays::{By, HourlyDelays};

/// How many hours are kept of carriers and of airports.
const HOURS_MAX: usize = 8;

/// Hours with fewer departures say little and are left out.
const DEPARTED_MIN: u32 = 5;

/// The worst hours so far, by carrier and by airport.
#[derive(Debug, Default)]
pub(crate) struct WorstHours {
    carriers: Vec<HourlyDelays>,
    origins: Vec<HourlyDelays>,
}

impl WorstHours {
    /// Takes note of one result.
    pub(crate) fn add(&mut self, result: &HourlyDelays) {
        if result.departures.departed() < DEPARTED_MIN {
            return;
        }
        let hours = match result.by {
            By::Carrier => &mut self.carriers,
            By::Origin => &mut self.origins,
        };
        let mean = result.departures.mean_delay_minutes();
        // Of hours that are equally bad the earlier ones stay in front: results come in order.
        let place = hours.partition_point(|other| other.departures.mean_delay_minutes() >= mean);
        if place < HOURS_MAX {
            hours.truncate(HOURS_MAX - 1);
            hours.insert(place, result.clone());
        }
    }

    /// Both tables, with a headline each; nothing of what had no hour worth showing.
    pub(crate) fn tables(&self) -> String {
        let by = [
            ("carrier", &self.carriers),
            ("origin airport", &self.origins),
        ];
        let shown = by.iter().filter(|(_, hours)| !hours.is_empty());
        let shown = shown.map(|(what, hours)| {
            format!(
                "The {} worst hours by {what} (at least {DEPARTED_MIN} departures; UTC)\n{}\n",
                hours.len(),
                table(hours),
            )
        });
        shown.collect::<Vec<_>>().join("\n")
    }
}

fn table(hours: &[HourlyDelays]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "hour",
        "",
        "",
        "flights",
        "cancelled",
        "mean delay",
        "max delay",
    ]);
    for hour in hours {
        let departures = &hour.departures;
        let start = Timestamp::from_nanosecond(i128::from(hour.window().start.as_nanos()));
        let start = start.map_or_else(
            |_| hour.window().start.to_string(),
            |start| start.strftime("%a %F %H:%M").to_string(),
        );
        let mean = departures
            .mean_delay_minutes()
            .map(|mean| format!("{mean:.1} min"));
        let max = departures
            .max_delay_minutes()
            .map(|max| format!("{max} min"));
        table.add_row([
            start,
            hour.key().to_string(),
            hour.name.clone().unwrap_or_default(),
            departures.flights.to_string(),
            departures.cancelled.to_string(),
            mean.unwrap_or_default(),
            max.unwrap_or_default(),
        ]);
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
