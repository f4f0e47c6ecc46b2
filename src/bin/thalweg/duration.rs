//! Durations in human-readable form: `48h`, `1h 30m`, `90s`, `2 days`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Parses the duration given to an option.
///
/// # Errors
/// A sentence that describes the problem.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let example = "write it as 90s, 30m, 48h or 14d";
    let span: Span = text
        .parse()
        .map_err(|_| format!("not a duration: {example}"))?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let duration =
        duration.map_err(|_| format!("months and years have no fixed length: {example}"))?;
    Duration::try_from(duration).map_err(|_| "a duration cannot be negative".to_owned())
}

/// Formats a duration with three digits: `1.23 ms`.
pub(crate) fn shown(duration: Duration) -> String {
    let nanos = duration.as_nanos() as f64;
    let (value, unit) = match nanos {
        ..1e3 => (nanos, "ns"),
        ..1e6 => (nanos / 1e3, "µs"),
        ..1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    let decimals = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// Formats a duration that may be long, to the second: `1h 5m 3s`.
pub(crate) fn shown_long(duration: Duration) -> String {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    format!("{:#}", jiff::SignedDuration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let cases = [
            ("48h", 48 * 3600),
            ("30m", 1800),
            ("90s", 90),
            ("1h 30m", 5400),
            ("2 days", 2 * 86_400),
            ("2w", 14 * 86_400),
            ("0s", 0),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["48", "", "h", "-1h", "1 month", "soon"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_in_three_digits() {
        let cases = [
            (950, "950 ns"),
            (1_234, "1.23 µs"),
            (12_345_678, "12.3 ms"),
            (2_500_000_000, "2.50 s"),
        ];
        for (nanos, text) in cases {
            assert_eq!(shown(Duration::from_nanos(nanos)), text);
        }
    }
}
