//! How long a record takes from the source, on worker 0, to the count of its key, on worker 1.

use foldhash::fast::FixedState;
use harness::{Latency, Tick, Ticks, Trial};
use hashbrown::HashMap;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::operators::probe::Handle;
use timely::dataflow::operators::{Operator, Probe};
use timely::dataflow::{Scope, StreamVec};

pub(crate) const LATENCY: Latency = Latency {
    setting: "two pinned workers that step without pause; a container for what is due at each step; \
              time advances every millisecond",
    workers: 2,
    run,
};

/// How long, in nanoseconds of due times, a time of the dataflow is.
const TIME_NANOS: i64 = 1_000_000;

/// The worker that counts.
const COUNTING: u64 = 1;

fn run(trial: &Trial) {
    let trial = trial.clone();
    let guards = timely::execute(timely::Config::process(2), move |worker| {
        harness::pin(worker.index());
        let ticks = (worker.index() == 0).then(|| trial.ticks());
        let probe = Handle::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let counts = count(ticks_source(scope, ticks));
            sink(counts.probe_with(&probe), &trial);
        });
        // A worker left to itself would sleep when it has nothing to do.
        while !probe.done() {
            worker.step();
        }
    });
    for result in guards.expect("workers start").join() {
        result.expect("no worker panics");
    }
}

/// Hands on what is due, each time that it is asked.
fn ticks_source<'s>(scope: Scope<'s, u64>, ticks: Option<Ticks>) -> StreamVec<'s, u64, Tick> {
    source::<_, CapacityContainerBuilder<Vec<Tick>>, _, _>(scope, "ticks", |capability, info| {
        let activator = scope.activator_for(info.address);
        let mut open = ticks.map(|ticks| (ticks, capability));
        move |output| {
            let Some((ticks, capability)) = open.as_mut() else {
                return;
            };
            activator.activate();
            ticks.look();
            let mut time = *capability.time();
            let mut session = output.session(capability);
            while let Some(tick) = ticks.take() {
                time = (tick.due_nanos / TIME_NANOS) as u64;
                session.give(tick);
            }
            drop(session);
            capability.downgrade(&time);
            if ticks.is_over() {
                open = None;
            }
        }
    })
}

/// Running counts, all of them on one worker, written into the containers that brought the ticks.
fn count(ticks: StreamVec<'_, u64, Tick>) -> StreamVec<'_, u64, Tick> {
    let by_key = Exchange::new(|_: &Tick| COUNTING);
    ticks.unary::<CapacityContainerBuilder<Vec<Tick>>, _, _, _>(by_key, "count", |_, _| {
        let mut counts: HashMap<u64, u64, FixedState> = HashMap::default();
        move |input, output| {
            input.for_each(|capability, ticks| {
                for tick in ticks.iter_mut() {
                    let count = counts.entry(tick.key).or_insert(0);
                    *count += 1;
                    tick.number = *count;
                }
                output.session(&capability).give_container(ticks);
            });
        }
    })
}

/// Records when counts arrive.
fn sink(counts: StreamVec<'_, u64, Tick>, trial: &Trial) {
    let (trial, mut arrivals) = (trial.clone(), Some(trial.arrivals()));
    counts.sink(Pipeline, "latencies", move |(input, frontier)| {
        input.for_each(|_, counts| {
            let arrivals = arrivals.as_mut().expect("nothing comes after the end");
            for counted in counts.iter() {
                arrivals.arrived(counted.due_nanos, counted.number);
            }
        });
        if frontier.is_empty()
            && let Some(arrivals) = arrivals.take()
        {
            trial.end(arrivals);
        }
    });
}
