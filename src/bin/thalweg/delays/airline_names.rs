//! The join: gives results their airlines' names, and keeps them until the names are known.

use std::collections::HashMap;

use thalweg::checkpoint::{OperatorState, RestoredState};
use thalweg::operator::{CoProcessFunction, Outcome, ProcessContext};
use thalweg::record::View;
use thalweg::time::Timestamp;

use super::flight::Airline;
use super::hourly_delays::{By, HourlyDelays, KeyedDelays};

/// Joins results (first input) with all airlines (second input, broadcast).
///
/// Nothing orders the two inputs, so a result that came before its name would have none in some
/// runs. Therefore none is emitted before the second input is at its end. Watermarks wait too: an
/// operator's is the minimum of its inputs', and the airlines' only one is that at their end. What
/// was held back leaves ahead of the first watermark, so that no result is behind it.
#[derive(Clone, Debug, Default)]
pub(crate) struct AirlineNames {
    names: HashMap<[u8; 4], String>,
    /// Results that came before all names were known.
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

    /// All names are known: emits what was held back.
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

    /// Whether the names are complete is not kept: a job that goes on hears again that their input is at its
    /// end.
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
