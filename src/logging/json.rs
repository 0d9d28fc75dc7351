//! Log lines for programs: one flat JSON object a line.
//!
//! ```json
//! {"timestamp":"2026-11-21T17:50:24.000001Z","level":"INFO","target":"tapline::task","connector":"shop.source","task":0,"message":"task is running"}
//! ```
//!
//! Fields of the spans around an event stand beside the event's own, which win. Nothing is looked up or left out here:
//! what must not be logged is not given to `tracing` in the first place.

use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// A field of an event or span that is called as one of a line's own is told under this prefix.
const TAKEN: [&str; 4] = ["timestamp", "level", "target", "message"];

/// The fields under which the `log` crate's records arrive.
const OF_LOG: &str = "log.";

/// Formats events as JSON. Spans' fields must be formatted by
/// [`JsonFields`](tracing_subscriber::fmt::format::JsonFields).
pub(crate) struct JsonLines;

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    target: &'a str,
    #[serde(flatten)]
    scope: Map<String, Value>,
    message: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// What an event holds.
#[derive(Default)]
struct Fields {
    message: String,
    target: Option<String>,
    others: Map<String, Value>,
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let scope = scope(context, &fields.others);
        let line = Line {
            timestamp,
            level: metadata.level().as_str(),
            target: fields.target.as_deref().unwrap_or(metadata.target()),
            scope,
            message: fields.message,
            fields: fields.others,
        };
        let text = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{text}")
    }
}

/// The fields of the spans around an event, inner ones first, without those that it has itself.
fn scope<S, N>(context: &FmtContext<'_, S, N>, own: &Map<String, Value>) -> Map<String, Value>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut found = Map::new();
    for span in context
        .event_scope()
        .into_iter()
        .flat_map(IntoIterator::into_iter)
    {
        let extensions = span.extensions();
        let formatted = extensions.get::<FormattedFields<N>>();
        let fields = formatted.and_then(|text| serde_json::from_str::<Map<_, _>>(text).ok());
        for (name, value) in fields.unwrap_or_default() {
            let name = free(&name);
            if !own.contains_key(&name) {
                found.entry(name).or_insert(value);
            }
        }
    }
    found
}

/// A field's name beside a line's own.
fn free(name: &str) -> String {
    match TAKEN.contains(&name) {
        true => format!("field.{name}"),
        false => name.to_owned(),
    }
}

impl Fields {
    fn take(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => self.message = text(value),
            "log.target" => self.target = Some(text(value)),
            name if name.starts_with(OF_LOG) => {}
            name => {
                self.others.insert(free(name), value);
            }
        }
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests;
