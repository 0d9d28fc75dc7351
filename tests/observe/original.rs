//! What a real Kafka Connect told of copying a file, held against what a worker tells of the same work.
//!
//! `connect-metrics.txt` is what `JmxTool` printed of Kafka Connect 4.3.1 after `FileStreamSource` (`in`) and
//! `FileStreamSink` (`out`) had copied 40 lines through one partition: `group[,connector=…[,task=…]]:attribute=value`.

use crate::support::{
    wait::{DEADLINE, within},
    worker::Worker,
};
use std::{fs, path::Path};
use tempfile::TempDir;

const ORIGINAL: &str = include_str!("../fixtures/connect-metrics.txt");

/// Attributes whose values follow from the work alone.
const EQUAL: [&str; 28] = [
    "connector-count",
    "connector-destroyed-task-count",
    "connector-failed-task-count",
    "connector-paused-task-count",
    "connector-restarting-task-count",
    "connector-running-task-count",
    "connector-startup-attempts-total",
    "connector-startup-failure-percentage",
    "connector-startup-failure-total",
    "connector-startup-success-total",
    "connector-total-task-count",
    "connector-unassigned-task-count",
    "last-error-timestamp",
    "offset-commit-failure-percentage",
    "offset-commit-success-percentage",
    "partition-count",
    "pause-ratio",
    "sink-record-active-count",
    "sink-record-read-total",
    "sink-record-send-total",
    "source-record-active-count",
    "source-record-poll-total",
    "source-record-write-total",
    "task-count",
    "total-errors-logged",
    "total-record-errors",
    "total-record-failures",
    "total-retries",
];

/// Attributes that are text.
const TEXTS: [&str; 4] = [
    "status",
    "connector-type",
    "connector-class",
    "connector-version",
];

struct Told<'a> {
    group: &'a str,
    connector: Option<&'a str>,
    task: bool,
    attribute: &'a str,
    value: &'a str,
}

fn told() -> Vec<Told<'static>> {
    let parse = |line: &'static str| {
        let (object, attribute) = line.split_once(':')?;
        let (attribute, value) = attribute.split_once('=')?;
        let mut parts = object.split(',');
        let group = parts.next()?;
        let connector = parts
            .next()
            .and_then(|part| part.strip_prefix("connector="));
        Some(Told {
            group,
            connector,
            task: parts.next().is_some(),
            attribute,
            value,
        })
    };
    let told: Vec<Told> = ORIGINAL.lines().filter_map(parse).collect();
    assert_eq!(told.len(), ORIGINAL.lines().count());
    assert!(told.len() > 90, "{}", told.len());
    told
}

impl Told<'_> {
    fn is_text(&self) -> bool {
        TEXTS.contains(&self.attribute) && !(self.task && self.attribute != "status")
    }

    fn name(&self) -> String {
        let name = format!("kafka_connect_{}_{}", self.group, self.attribute).replace('-', "_");
        if self.is_text() {
            format!("{name}_info")
        } else {
            name
        }
    }

    /// How its series begins in a worker's page.
    fn series(&self) -> String {
        let connector = self.connector.map(|name| match name {
            "in" => "copy.source",
            _ => "copy.sink",
        });
        let mut labels = Vec::new();
        if self.is_text() {
            let label = self.attribute.replace('-', "_");
            labels.push(format!("{label}=\"{}\"", self.value));
        }
        labels.extend(connector.map(|name| format!("connector=\"{name}\"")));
        labels.extend(self.task.then(|| "task=\"0\"".to_owned()));
        match labels.is_empty() {
            true => format!("{} ", self.name()),
            false => format!("{}{{{}}} ", self.name(), labels.join(",")),
        }
    }

    /// The difference between the original and this page.
    fn difference(&self, page: &str) -> Option<String> {
        let series = self.series();
        let found = page.lines().find_map(|line| line.strip_prefix(&series));
        let expected: f64 = if self.is_text() {
            1.0
        } else {
            self.value.parse().ok()?
        };
        let equal = found
            .and_then(|value| value.parse::<f64>().ok())
            .is_some_and(|value| (value - expected).abs() < 1e-9);
        (!equal).then(|| format!("{series}is {found:?}, not {}", self.value))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_figures_are_those_of_the_original_for_the_same_work() {
    let folder = TempDir::new().expect("a folder");
    let (from, to) = (folder.path().join("lines"), folder.path().join("copy"));
    let lines: String = (1..=40).map(|line| format!("{line}\n")).collect();
    fs::write(&from, &lines).expect("lines");
    let text = format!(
        "version: 1\nname: copy\nsource: {{connector: file, file: {}, topic: t}}\nsink: {{connector: file, file: {}}}\n",
        from.display(),
        to.display()
    );
    let mut worker = Worker::new(
        Path::new(env!("CARGO_BIN_EXE_tapline")),
        folder.path(),
        &text,
    );
    worker.start();
    let told = told();
    // Class and version are each product's own.
    let compared = |one: &&Told| {
        EQUAL.contains(&one.attribute)
            || matches!(
                (one.attribute, one.is_text()),
                ("status" | "connector-type", true)
            )
    };
    let mut differences = vec!["nothing was told".to_owned()];
    let equal = within(DEADLINE, async || {
        let page = worker.get("/metrics").await?;
        let compared = told.iter().filter(compared);
        differences = compared.filter_map(|one| one.difference(&page)).collect();
        differences.is_empty().then_some(page)
    });
    let Some(page) = equal.await else {
        panic!("{differences:#?}\n{}", worker.log());
    };
    assert_eq!(fs::read_to_string(&to).ok(), Some(lines));

    let document = include_str!("../../docs/metrics.md");
    let (_, left_out) = document.split_once("| Left out | Why |").expect("a table");
    let missing: Vec<String> = told
        .iter()
        .filter(|one| !page.contains(&format!("\n# TYPE {} ", one.name())))
        .filter(|one| !left_out.contains(&format!("`{}`", one.attribute)))
        .map(Told::name)
        .collect();
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "neither told nor named as left out"
    );
}
