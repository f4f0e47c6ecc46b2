//! The join: adds airline names to results, which are held back until the names are known.

use std::collections::HashMap;

use thalweg::checkpoint::{OperatorState, RestoredState};
use thalweg::operator::{CoProcessFunction, Outcome, ProcessContext};
use thalweg::record::View;
use thalweg::time::Timestamp;

use super::flight::Airline;
use super::hourly_delays::{By, HourlyDelays, KeyedDelays};

/// Joins results (first input) with all airlines (second input, broadcast).
///
/// The two inputs are not ordered relative to each other, so in some runs a result could arrive before its name and
/// would have none. Therefore no result is emitted before the second input has ended. Watermarks wait too: an
/// operator's watermark is the minimum of its inputs', and the airlines' only one is at their end. What was held back
/// is emitted before the first watermark, so that no result is late.
#[derive(Clone, Debug, Default)]
pub(crate) struct AirlineNames {
    names: HashMap<[u8; 4], String>,
    /// Results that arrived before all names were known.
    held: Vec<KeyedDelays>,
    is_complete: bool,
}

impl AirlineNames {
    fn named(&self, delays: &KeyedDelays) -> HourlyDelays {
        let name = match delays.by {
            By::Carrier => self.names.get(&delays.key.bytes()).cloned(),
            By::Origin => None,
        };
        HourlyDelays::named(delays, name)
    }

    /// All names are known: emits the results held back.
    fn release(&mut self, cx: &mut impl ProcessContext<HourlyDelays>) -> Outcome {
        self.is_complete = true;
        for delays in std::mem::take(&mut self.held) {
            cx.emit(&self.named(&delays));
        }
        Ok(())
    }
}

impl CoProcessFunction<KeyedDelays, View<Airline>> for AirlineNames {
    type Out = HourlyDelays;

    const STATEFUL: bool = true;

    fn process_first(
        &mut self,
        delays: &KeyedDelays,
        cx: &mut impl ProcessContext<HourlyDelays>,
    ) -> Outcome {
        if self.is_complete {
            cx.emit(&self.named(delays));
        } else {
            self.held.push(*delays);
        }
        Ok(())
    }

    fn process_second(
        &mut self,
        airline: &View<Airline>,
        _cx: &mut impl ProcessContext<HourlyDelays>,
    ) -> Outcome {
        let name = airline.name.as_str().to_owned();
        self.names.insert(airline.carrier, name);
        Ok(())
    }

    fn on_watermark(
        &mut self,
        _at: Timestamp,
        cx: &mut impl ProcessContext<HourlyDelays>,
    ) -> Outcome {
        self.release(cx)
    }

    fn end_second(&mut self, cx: &mut impl ProcessContext<HourlyDelays>) -> Outcome {
        self.release(cx)
    }

    /// Whether the names are complete is not stored: a job that resumes is notified again that their input has ended.
    fn snapshot(&mut self, state: &mut OperatorState) -> Outcome {
        let airlines = self.names.iter().map(|(carrier, name)| Airline {
            carrier: *carrier,
            name: name.clone(),
        });
        state.broadcast("names", &airlines.collect::<Vec<_>>())?;
        Ok(state.list("held", &self.held)?)
    }

    fn restore(&mut self, state: &RestoredState<'_>) -> Outcome {
        let airlines = state.broadcast::<Airline>("names")?.into_iter();
        self.names = airlines
            .map(|airline| (airline.carrier, airline.name))
            .collect();
        self.held = state.list("held")?;
        Ok(())
    }
}
