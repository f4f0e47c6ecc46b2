//! The join: gives results their airlines' names, and keeps them until the names are known.

use std::collections::HashMap;

use thalweg::operator::{CoProcessFunction, Outcome, ProcessContext};
use thalweg::record::View;

use super::flight::Airline;
use super::hourly_delays::{By, HourlyDelays, KeyedDelays};

/// Joins results (first input) with all airlines (second input, broadcast).
///
/// Nothing orders the two inputs, so a result that came before its name would have none in some runs.
/// Therefore none is emitted before the second input has ended. Watermarks wait too: an operator's is
/// the minimum of its inputs', and the airlines have none before their end.
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
}

impl CoProcessFunction<KeyedDelays, View<Airline>> for AirlineNames {
    type Out = HourlyDelays;

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

    fn end_second(&mut self, cx: &mut impl ProcessContext<HourlyDelays>) -> Outcome {
        self.is_complete = true;
        for delays in std::mem::take(&mut self.held) {
            cx.emit(&self.named(&delays));
        }
        Ok(())
    }
}
