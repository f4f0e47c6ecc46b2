//! Contracts of keyed process functions with state, timers and a side output.

use thalweg::operator::{
    KeyedOpenContext, KeyedProcess, KeyedProcessContext, KeyedProcessFunction, Outcome, OutputTag,
    Outputs, Push, TimeDomain,
};
use thalweg::record::OwnedSelector;
use thalweg::state::ValueState;
use thalweg::testing::{Contract, Output, Violation};
use thalweg::time::Timestamp;

use super::records;

/// Counts a key's records; emits the count ten after each record in event time, twice, and at 500 in processing time
/// to the side output.
#[derive(Clone)]
struct Reminders {
    count: ValueState<u64>,
    side: OutputTag<u64>,
}

impl KeyedProcessFunction<u64, u64> for Reminders {
    type Out = (u64, u64);

    fn open(&mut self, cx: &mut KeyedOpenContext<'_, u64>) -> Outcome {
        self.count = cx.state().value_state("count")?;
        Ok(())
    }

    fn process(&mut self, _: &u64, cx: &mut impl KeyedProcessContext<u64, (u64, u64)>) -> Outcome {
        self.count.update(cx, |count| *count += 1);
        let at = cx.timestamp().ok_or("no timestamp")?;
        cx.register_event_timer(at.saturating_add(10));
        cx.register_processing_timer(Timestamp(500));
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: Timestamp,
        domain: TimeDomain,
        cx: &mut impl KeyedProcessContext<u64, (u64, u64)>,
    ) -> Outcome {
        let told = (*cx.key(), self.count.value(cx).unwrap_or_default());
        if domain == TimeDomain::Event {
            cx.emit(&told);
            cx.emit(&told);
        } else {
            cx.emit_to(&self.side, &told.1);
        }
        Ok(())
    }
}

#[test]
fn keyed_process_keeps_its_contract() -> Result<(), Violation> {
    let side = OutputTag::new("processing time");
    let record = |n: u64| (n % 40, Timestamp(n as i64));
    // More timers than are fired at once, so that firing yields and is resumed.
    let outputs = Contract::<u64>::new()
        .records((0..700).map(record))
        .watermark(Timestamp(300))
        .time(Timestamp(499))
        .records((700..720).map(record))
        .time(Timestamp(600))
        .watermark(Timestamp(900))
        .restores()
        .ties_in_any_order()
        .check(|tail| {
            let mut outputs = Outputs::new(tail.clone());
            let chain: Box<dyn Push<u64>> = Box::new(tail.side(&side));
            outputs.sides.connect(side.name().clone(), chain);
            let function = Reminders {
                count: ValueState::default(),
                side: side.clone(),
            };
            KeyedProcess::new(
                "reminders".into(),
                OwnedSelector(|n: &u64| *n),
                function,
                outputs,
            )
        })?;
    assert_eq!(records(&outputs).len(), 2 * 720);
    let sides = outputs.iter().filter(|o| matches!(o, Output::Side(..)));
    assert_eq!(sides.count(), 40);
    let times: Vec<i64> = records(&outputs).iter().map(|(_, at)| *at).collect();
    assert!(times.is_sorted(), "timers fire in the order of their times");
    Ok(())
}
