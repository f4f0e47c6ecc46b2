//! The registry of a job's metrics: filled when subtasks open, read as one list.

use std::sync::{Arc, Mutex, PoisonError};

use super::counter::{Counter, Gauge};

/// A registered metric.
#[derive(Clone, Debug)]
pub enum Metric {
    /// A counter.
    Counter(Counter),
    /// A gauge.
    Gauge(Gauge),
}

/// The value of a metric at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSample {
    /// The name of the vertex or operator that the metric belongs to.
    pub operator: Arc<str>,
    /// The subtask's index, from 0.
    pub subtask: u32,
    /// The metric's name, ending with its unit.
    pub name: &'static str,
    /// Its value.
    pub value: i64,
}

#[derive(Debug)]
struct Entry {
    operator: Arc<str>,
    subtask: u32,
    name: &'static str,
    metric: Metric,
}

/// The metrics of one operator in one subtask, registered in the job's shared list.
///
/// Registering locks the list and happens when an operator opens; updating a metric never does.
#[derive(Clone, Debug)]
pub struct MetricGroup {
    entries: Arc<Mutex<Vec<Entry>>>,
    operator: Arc<str>,
    subtask: u32,
}

impl MetricGroup {
    /// An empty list of metrics, for one job.
    #[must_use]
    pub fn new() -> Self {
        MetricGroup {
            entries: Arc::default(),
            operator: "".into(),
            subtask: 0,
        }
    }

    /// The group of another operator in the same list.
    #[must_use]
    pub fn scoped(&self, operator: Arc<str>, subtask: u32) -> Self {
        MetricGroup {
            entries: Arc::clone(&self.entries),
            operator,
            subtask,
        }
    }

    fn register(&self, name: &'static str, metric: Metric) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(Entry {
            operator: Arc::clone(&self.operator),
            subtask: self.subtask,
            name,
            metric,
        });
    }

    /// Registers a counter.
    #[must_use]
    pub fn counter(&self, name: &'static str) -> Counter {
        let counter = Counter::default();
        self.register(name, Metric::Counter(counter.clone()));
        counter
    }

    /// Registers a gauge.
    #[must_use]
    pub fn gauge(&self, name: &'static str) -> Gauge {
        let gauge = Gauge::default();
        self.register(name, Metric::Gauge(gauge.clone()));
        gauge
    }

    /// Empties the list, of which the subtasks of a new attempt register their own.
    pub(crate) fn clear(&self) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.clear();
    }

    /// Reads every metric in the list, in order of registration.
    #[must_use]
    pub fn samples(&self) -> Vec<MetricSample> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = |entry: &Entry| MetricSample {
            operator: Arc::clone(&entry.operator),
            subtask: entry.subtask,
            name: entry.name,
            value: match &entry.metric {
                Metric::Counter(counter) => i64::try_from(counter.get()).unwrap_or(i64::MAX),
                Metric::Gauge(gauge) => gauge.get(),
            },
        };
        entries.iter().map(sample).collect()
    }

    /// The sum of every metric called `name`.
    #[must_use]
    pub fn total(&self, name: &str) -> i64 {
        self.samples()
            .iter()
            .filter(|s| s.name == name)
            .map(|s| s.value)
            .sum()
    }
}

impl Default for MetricGroup {
    fn default() -> Self {
        Self::new()
    }
}
