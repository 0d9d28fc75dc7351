//! Kafka Connect's metrics, under the names that Prometheus knows them by.
//!
//! Owns how a worker's connectors become series: `kafka_connect_<group>_<attribute>`, and for what well-known dashboards
//! and alerts read, also the shorter names that they use. Every page is made from the connectors as they are then, so
//! that a series lasts exactly as long as what it tells of. What has no meaning here is left out: docs/metrics.md names
//! it.

mod startups;
mod table;

pub(crate) use startups::Startups;

use super::work::{Reading, Work};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};
use std::{fmt, sync::Arc};
use table::{CONNECTORS, ERRORS, Family, SINKS, SOURCES, TASKS, Text, WORKER};

/// One connector as it stands.
pub(crate) struct ConnectorSeen {
    pub(crate) name: Arc<str>,
    /// `source` or `sink`.
    pub(crate) kind: &'static str,
    pub(crate) class: String,
    pub(crate) version: &'static str,
    /// As Kafka Connect writes it, here and in tasks: `RUNNING`.
    pub(crate) state: &'static str,
    pub(crate) tasks: Vec<TaskSeen>,
}

/// One task as it stands.
pub(crate) struct TaskSeen {
    pub(crate) task: u32,
    pub(crate) state: &'static str,
    /// The share of its life that it was running.
    pub(crate) running_ratio: f64,
    /// The share of its life that it was paused.
    pub(crate) pause_ratio: f64,
    /// Attempts after the first.
    pub(crate) retries: u64,
    pub(crate) work: Arc<Work>,
}

/// A task with its figures at this moment.
struct Read {
    task: TaskSeen,
    reading: Reading,
}

/// Looks at the connectors whenever a page is made.
pub(super) struct Connect<F> {
    pub(super) look: F,
    pub(super) startups: Arc<Startups>,
}

impl<F> fmt::Debug for Connect<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connect")
    }
}

/// A series' labels.
type Labels = Vec<(&'static str, String)>;

/// What a page is made of: connectors, and tasks with those of sources first, each with its labels.
#[derive(Default)]
struct Page {
    connectors: Vec<(Labels, Told)>,
    tasks: Vec<(Labels, Read)>,
    sources: usize,
    startups: startups::Reading,
}

/// What is told of the worker itself.
struct Whole {
    connectors: usize,
    tasks: usize,
    startups: startups::Reading,
}

/// A connector apart from its tasks' figures.
struct Told {
    kind: &'static str,
    class: String,
    version: &'static str,
    state: &'static str,
    tasks: Vec<&'static str>,
}

impl Whole {
    fn of(page: &Page) -> Self {
        Self {
            connectors: page.connectors.len(),
            tasks: page.tasks.len(),
            startups: page.startups,
        }
    }
}

impl<F> Collector for Connect<F>
where
    F: Fn() -> Vec<ConnectorSeen> + Send + Sync + 'static,
{
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let page = Page::of((self.look)(), self.startups.reading());
        page.encode(&mut encoder)
    }
}

impl Page {
    fn of(seen: Vec<ConnectorSeen>, startups: startups::Reading) -> Self {
        let mut page = Self {
            startups,
            ..Self::default()
        };
        let (mut sources, mut sinks) = (Vec::new(), Vec::new());
        for connector in seen {
            let name = || ("connector", connector.name.to_string());
            let told = Told {
                kind: connector.kind,
                class: connector.class,
                version: connector.version,
                state: connector.state,
                tasks: connector.tasks.iter().map(|task| task.state).collect(),
            };
            let of_kind = match connector.kind {
                "source" => &mut sources,
                _ => &mut sinks,
            };
            of_kind.extend(connector.tasks.into_iter().map(|task| {
                let labels = vec![name(), ("task", task.task.to_string())];
                let reading = task.work.reading();
                (labels, Read { task, reading })
            }));
            page.connectors.push((vec![name()], told));
        }
        page.sources = sources.len();
        page.tasks = sources;
        page.tasks.append(&mut sinks);
        page
    }

    fn encode(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (sources, sinks) = self.tasks.split_at(self.sources.min(self.tasks.len()));
        let worker = [(Labels::new(), Whole::of(self))];
        families(to, WORKER, &worker)?;
        families(to, CONNECTORS, &self.connectors)?;
        table::ABOUT_CONNECTORS
            .iter()
            .try_for_each(|about| texts(to, about, &self.connectors))?;
        texts(to, &table::TASK_STATUS, &self.tasks)?;
        families(to, TASKS, &self.tasks)?;
        families(to, ERRORS, &self.tasks)?;
        families(to, SOURCES, sources)?;
        families(to, SINKS, sinks)
    }
}

/// Every family of a table, each with all its series, and again under its shorter name.
fn families<T>(
    to: &mut DescriptorEncoder<'_>,
    table: &[Family<T>],
    series: &[(Labels, T)],
) -> fmt::Result {
    for family in table {
        for name in [family.name].into_iter().chain(family.short) {
            let kind = match family.counter {
                true => MetricType::Counter,
                false => MetricType::Gauge,
            };
            let mut encoder = to.encode_descriptor(name, family.help, None, kind)?;
            for (labels, one) in series {
                let value = (family.value)(one);
                if labels.is_empty() {
                    number(&mut encoder, family.counter, value)?;
                } else {
                    number(&mut encoder.encode_family(labels)?, family.counter, value)?;
                }
            }
        }
    }
    Ok(())
}

fn number(to: &mut MetricEncoder<'_>, counter: bool, value: f64) -> fmt::Result {
    match counter {
        true => to.encode_counter::<NoLabelSet, f64, f64>(&value, None),
        false => to.encode_gauge(&value),
    }
}

/// A text as a series with the value 1: as an `info`, and under its shorter name as a gauge.
fn texts<T>(
    to: &mut DescriptorEncoder<'_>,
    about: &Text<T>,
    series: &[(Labels, T)],
) -> fmt::Result {
    let mut encoder = to.encode_descriptor(about.name, about.help, None, MetricType::Info)?;
    for (labels, one) in series {
        let text = [(about.label, (about.value)(one))];
        encoder.encode_family(labels)?.encode_info(&text)?;
    }
    let mut encoder = to.encode_descriptor(about.short, about.help, None, MetricType::Gauge)?;
    for (labels, one) in series {
        let mut labels = labels.clone();
        labels.push((about.label, (about.value)(one)));
        encoder.encode_family(&labels)?.encode_gauge(&1_u32)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
