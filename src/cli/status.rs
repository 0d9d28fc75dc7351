//! `tapline status`: one line per connector; exits with 2 if one is FAILED.

use super::{
    Failure, Found, Target,
    client::Client,
    figures,
    output::{self, Output},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    io::Write,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tapline_sdk::{Error, Result};

/// Between the two looks that a rate is made of: short for whoever waits, long against the worker's own rhythm.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

/// A connector in the worker's own form.
#[derive(Deserialize)]
pub(super) struct Connector {
    pub(super) name: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) class: String,
    pub(super) state: String,
    since_ms: i64,
    #[serde(default)]
    own: Own,
    #[serde(default)]
    pub(super) tasks: Vec<Task>,
    pub(super) origin: Option<Place>,
}

/// Where it was written.
#[derive(Deserialize)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: u32,
}

/// The connector without its tasks.
#[derive(Default, Deserialize)]
struct Own {
    error: Option<Cause>,
}

#[derive(Deserialize)]
pub(super) struct Task {
    #[serde(default)]
    id: u32,
    state: String,
    error: Option<Cause>,
    #[serde(default)]
    gauges: Gauges,
}

#[derive(Deserialize, Serialize)]
struct Cause {
    code: Option<String>,
    message: String,
    remedy: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Gauges {
    records_log: u64,
    records_delivered: u64,
    lag_records: u64,
    lag_seconds: f64,
    wal_held_bytes: Option<u64>,
}

pub(super) async fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    let client = Client::find(&arguments.target)?;
    let began = Instant::now();
    let before = look(&client).await?;
    tokio::time::sleep(LOOK_AGAIN).await;
    let now = look(&client).await?;
    let seconds = began.elapsed().as_secs_f64();
    let moved = |connector: &Connector| {
        let earlier = before.iter().find(|earlier| earlier.name == connector.name);
        let moved = earlier.map(|earlier| connector.moved().saturating_sub(earlier.moved()));
        per_second(moved.unwrap_or_default(), seconds)
    };
    if arguments.output.is_json() {
        let shown: Vec<Value> = now.iter().map(|one| one.document(moved(one))).collect();
        output::write(out, &Value::Array(shown))?;
    } else {
        let width = now.iter().map(|connector| connector.name.chars().count());
        let width = width.max().unwrap_or_default();
        for connector in &now {
            writeln!(
                out,
                "{}",
                connector.line(moved(connector), width).trim_end()
            )?;
            for help in connector.remedies() {
                writeln!(out, "  help: {help}")?;
            }
        }
    }
    let failed = now.iter().any(|connector| connector.state == "FAILED");
    Ok(if failed { Found::Failed } else { Found::Fine })
}

/// Every connector of the worker.
///
/// # Errors
/// The worker does not answer, or in another version's form.
pub(super) async fn look(client: &Client) -> Result<Vec<Connector>> {
    let status = client.json(&["tapline", "v1", "status"]).await?;
    serde_json::from_value(status).map_err(|error| {
        Error::config("the worker's status has an unknown form")
            .code("TL0141")
            .remedy("use the tapline of the worker's version")
            .because(error)
    })
}

impl Connector {
    /// Records that went through, whichever way.
    fn moved(&self) -> u64 {
        let through = |task: &Task| match self.kind.as_str() {
            "source" => task.gauges.records_log,
            _ => task.gauges.records_delivered,
        };
        self.tasks.iter().map(through).sum()
    }

    /// What is wrong: with the connector itself, then with its tasks.
    fn causes(&self) -> impl Iterator<Item = &Cause> {
        let tasks = self.tasks.iter().filter_map(|task| task.error.as_ref());
        self.own.error.iter().chain(tasks)
    }

    fn line(&self, rate: u64, width: usize) -> String {
        let Self { name, state, .. } = self;
        let running = self
            .tasks
            .iter()
            .filter(|task| task.state == "RUNNING")
            .count();
        let tasks = format!("{running}/{}", self.tasks.len());
        let rate = if running == 0 {
            "-".to_owned()
        } else {
            format!("{}/s", figures::compact(rate))
        };
        let age = figures::duration(self.age_seconds());
        let mut line = format!(
            "{name:width$}  {state:10} {age:6} {tasks:4} {rate:8} {}",
            self.lag()
        );
        let held: u64 = self
            .tasks
            .iter()
            .filter_map(|task| task.gauges.wal_held_bytes)
            .sum();
        if held > 0 {
            line.push_str(&format!("  WAL {}", figures::bytes(held)));
        }
        for cause in self.causes() {
            let code = cause.code.as_ref().map(|code| format!("[{code}] "));
            line.push_str(&format!("  {}{}", code.unwrap_or_default(), cause.message));
        }
        line
    }

    /// The same for programs.
    fn document(&self, rate: u64) -> Value {
        let tasks = self
            .tasks
            .iter()
            .map(|task| json!({"id": task.id, "state": task.state, "error": task.error}));
        let tasks: Vec<Value> = tasks.collect();
        json!({
            "name": self.name,
            "type": self.kind,
            "state": self.state,
            "since_ms": self.since_ms,
            "error": self.own.error,
            "records_per_second": rate,
            "lag_records": self.lag_records(),
            "lag_seconds": self.lag_seconds(),
            "wal_held_bytes": self.tasks.iter().find_map(|task| task.gauges.wal_held_bytes),
            "tasks": tasks,
        })
    }

    fn lag_records(&self) -> u64 {
        self.tasks.iter().map(|task| task.gauges.lag_records).sum()
    }

    fn lag_seconds(&self) -> f64 {
        let seconds = self.tasks.iter().map(|task| task.gauges.lag_seconds);
        seconds.fold(0.0, f64::max)
    }

    fn lag(&self) -> String {
        let (records, seconds) = (self.lag_records(), self.lag_seconds());
        match self.kind.as_str() {
            "source" => format!("lag {}", figures::duration(seconds)),
            _ => format!(
                "lag {} {}",
                figures::compact(records),
                figures::duration(seconds)
            ),
        }
    }

    fn age_seconds(&self) -> f64 {
        let since = u64::try_from(self.since_ms).unwrap_or_default();
        let since = UNIX_EPOCH + Duration::from_millis(since);
        SystemTime::now()
            .duration_since(since)
            .unwrap_or_default()
            .as_secs_f64()
    }

    fn remedies(&self) -> impl Iterator<Item = &str> {
        self.causes().filter_map(|cause| cause.remedy.as_deref())
    }
}

/// Whole records a second, without a cast: the count in thousandths of a second, divided as integers.
fn per_second(count: u64, seconds: f64) -> u64 {
    let millis = Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_millis()
        .max(1);
    let rate = u128::from(count) * 1000 / millis;
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Connector, per_second};

    #[test]
    fn a_line_says_state_rate_lag_and_error() {
        let connector: Connector = serde_json::from_str(
            r#"{"name": "shop.replica", "kind": "sink", "state": "FAILED", "since_ms": 0, "tasks": [{"state": "FAILED",
                "error": {"code": "TL0401", "class": "config", "message": "column \"email\": value too long",
                "remedy": "widen the column"}, "gauges": {"lag_records": 41000, "lag_seconds": 180.0}}]}"#,
        )
        .expect("the worker's own form");
        let line = connector.line(0, 12);
        assert!(line.starts_with("shop.replica  FAILED     "), "{line}");
        assert!(
            line.ends_with("0/1  -        lag 41k 3m  [TL0401] column \"email\": value too long"),
            "{line}"
        );
        assert_eq!(
            connector.remedies().collect::<Vec<_>>(),
            ["widen the column"]
        );
    }

    #[test]
    fn rates_are_per_second() {
        assert_eq!(per_second(1_550, 0.5), 3_100);
        assert_eq!(per_second(7, 0.0), 7_000);
    }
}
