//! The plot: latency over percentile, both logarithmic, with one curve for each row of the table.
//!
//! The horizontal axis is `1 / (1 - p)`, on which each step is ten times rarer: 90, 99, 99.9 are equidistant, and the
//! tail is as wide as the middle.

use std::error::Error;
use std::time::Duration;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::duration::shown;
use crate::error::Failure;

use super::trial::{Line, Measurement};

const WIDTH: u32 = 960;
const HEIGHT: u32 = 560;
const KEY_WIDTH: u32 = 120;
const FONT: &str = "sans-serif";

/// The number of points per factor of ten.
const POINTS_PER_DECADE: u32 = 40;

/// The drawing area.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Plots `measurements` as SVG.
///
/// # Errors
/// Those of the drawing library.
pub(crate) fn draw(caption: &str, measurements: &[Measurement]) -> Result<String, Failure> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
    draw_on(&area, caption, measurements)
        .map_err(|error| Failure::new(format_args!("cannot draw the plot: {error}")))?;
    drop(area);
    Ok(svg)
}

/// The points of a curve: the rarity of slower records, and the latency there.
fn curve(measurement: &Measurement) -> Vec<(f64, f64)> {
    let histogram = &measurement.latencies.histogram;
    let rarest = (histogram.len() as f64).max(1.0);
    let steps = (rarest.log10() * f64::from(POINTS_PER_DECADE)).ceil() as u32;
    let rarity = |step: u32| {
        let rarity = 10_f64.powf(f64::from(step) / f64::from(POINTS_PER_DECADE));
        rarity.min(rarest)
    };
    let point = |rarity: f64| {
        let nanos = histogram.value_at_quantile(1.0 - 1.0 / rarity);
        (rarity, nanos.max(1) as f64)
    };
    (0..=steps).map(|step| point(rarity(step))).collect()
}

/// The colours of a palette suitable for colour-blind people (Okabe, Ito).
fn colour(line: Line) -> RGBColor {
    match line {
        Line::Rtrb => RGBColor(120, 120, 120),
        Line::Ring => RGBColor(0, 0, 0),
        Line::Fused => RGBColor(0, 158, 115),
        Line::Hop => RGBColor(213, 94, 0),
        Line::Embedded => RGBColor(0, 114, 178),
    }
}

fn draw_on(
    area: &Area<'_>,
    caption: &str,
    measurements: &[Measurement],
) -> Result<(), Box<dyn Error>> {
    let curves: Vec<_> = measurements.iter().map(|m| (m.line, curve(m))).collect();
    let points = || curves.iter().flat_map(|(_, curve)| curve);
    let decade = |value: f64| 10_f64.powf(value.log10().ceil());
    let right = points().map(|point| point.0).fold(10.0, f64::max);
    let top = decade(points().map(|point| point.1).fold(1_000.0, f64::max));
    let lowest = points().map(|point| point.1).fold(1_000.0, f64::min);
    let bottom = 10_f64.powf(lowest.log10().floor());

    area.fill(&WHITE)?;
    let (plot, key) = area.split_horizontally(WIDTH - KEY_WIDTH);
    let mut chart = ChartBuilder::on(&plot)
        .caption(caption, (FONT, 20))
        .margin(20)
        .x_label_area_size(50)
        .y_label_area_size(80)
        .build_cartesian_2d(
            (1.0..right).log_scale().with_key_points(rarities(right)),
            (bottom..top).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 15))
        .x_labels(12)
        .y_labels(12)
        .x_desc("percentile")
        .y_desc("latency")
        .x_label_formatter(&|rarity| percentile(*rarity))
        .y_label_formatter(&|nanos| round(*nanos))
        .draw()?;
    for (line, curve) in &curves {
        let style = colour(*line).stroke_width(2);
        chart.draw_series(LineSeries::new(curve.iter().copied(), style))?;
    }
    draw_key(&key, curves)?;
    area.present()?;
    Ok(())
}

/// Draws the names of the curves, each once, in the order in which they end at the right.
fn draw_key(
    area: &Area<'_>,
    mut curves: Vec<(Line, Vec<(f64, f64)>)>,
) -> Result<(), Box<dyn Error>> {
    let end = |curve: &[(f64, f64)]| curve.last().map_or(0.0, |point| point.1);
    curves.dedup_by_key(|(line, _)| *line);
    curves.sort_by(|(_, a), (_, b)| end(b).total_cmp(&end(a)));
    for (row, (line, _)) in (0..).zip(curves) {
        let y = 70 + 26 * row;
        let style = colour(line).stroke_width(3);
        area.draw(&PathElement::new([(0, y), (24, y)], style))?;
        area.draw(&Text::new(line.name(), (32, y - 8), (FONT, 16)))?;
    }
    Ok(())
}

/// The labelled positions of the axis: the median, three quarters, and every factor of ten.
fn rarities(right: f64) -> Vec<f64> {
    let decades = (1..=right.log10().floor() as i32).map(|decade| 10_f64.powi(decade));
    [1.0, 2.0, 4.0].into_iter().chain(decades).collect()
}

/// The percentile that one of `rarity` records exceeds.
fn percentile(rarity: f64) -> String {
    let decimals = (rarity.log10().round() as usize).saturating_sub(2);
    format!("{:.decimals$} %", 100.0 - 100.0 / rarity)
}

/// Formats a latency that is a power of ten.
fn round(nanos: f64) -> String {
    let text = shown(Duration::from_nanos(nanos as u64));
    text.replace(".00", "").replace(".0", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_labelled_as_people_say_it() {
        let labels = [1.0, 10.0, 100.0, 1e3, 1e6].map(percentile);
        assert_eq!(labels, ["0 %", "90 %", "99 %", "99.9 %", "99.9999 %"]);
        let labels = [100.0, 1e3, 1e4, 1e8].map(round);
        assert_eq!(labels, ["100 ns", "1 µs", "10 µs", "100 ms"]);
    }
}
