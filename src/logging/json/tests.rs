use super::*;
use crate::logging::scope;
use parking_lot::Mutex;
use std::{io, sync::Arc};
use tracing_subscriber::{
    Layer,
    fmt::{self as lines, MakeWriter, format::JsonFields},
    layer::SubscriberExt,
};

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The lines that are written while this runs under these directives.
fn logged(directives: &str, run: impl FnOnce()) -> Vec<Map<String, Value>> {
    let written = Written::default();
    let layer = lines::layer()
        .with_writer(written.clone())
        .fmt_fields(JsonFields::new())
        .event_format(JsonLines);
    let filter = scope::filter(directives).expect("valid directives");
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
    tracing::subscriber::with_default(subscriber, run);
    let bytes = written.0.lock().clone();
    let text = String::from_utf8(bytes).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn a_line_is_flat_and_an_events_own_fields_win() {
    let lines = logged("info", || {
        let _task = scope::of_task("a\"b", 3).entered();
        tracing::info!(count = 7, part = 0.5, done = true, path = %"x\ny", "it happened");
        tracing::warn!(connector = "other", "of another");
        tracing::info!(target: "tapline::test", level = "high", "taken");
    });
    assert_eq!(lines.len(), 3, "{lines:?}");
    let line = Value::Object(lines[0].clone());
    assert_eq!(line["message"], "it happened");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["connector"], "a\"b");
    assert_eq!(line["task"], 3);
    assert_eq!(
        (&line["count"], &line["part"], &line["done"]),
        (&7.into(), &0.5.into(), &true.into())
    );
    assert_eq!(line["path"], "x\ny");
    assert!(
        line["timestamp"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    assert_eq!(
        (&lines[1]["connector"], &lines[1]["task"]),
        (&"other".into(), &3.into())
    );
    assert_eq!(
        (&lines[2]["level"], &lines[2]["field.level"]),
        (&"INFO".into(), &"high".into())
    );
    assert_eq!(lines[2]["target"], "tapline::test");
}

#[test]
fn no_directive_hides_whose_a_line_is() {
    for directives in [
        "error",
        "off,tapline::logging=error",
        "error,tapline::scope=off",
        "tapline=error",
    ] {
        let lines = logged(directives, || {
            let _task = scope::of_task("in", 0).entered();
            let _inner = tracing::debug_span!("hidden").entered();
            tracing::error!("failed");
        });
        assert_eq!(lines.len(), 1, "{directives}");
        assert_eq!(lines[0]["connector"], "in", "{directives}");
    }
}

#[test]
fn a_task_is_no_child_of_its_connectors_span() {
    let lines = logged("info", || {
        let _connector = scope::of_connector("outer").entered();
        tracing::info!("connector started");
        scope::of_task("inner", 1).in_scope(|| tracing::info!("task is running"));
    });
    assert_eq!(lines[0]["connector"], "outer");
    assert!(!lines[0].contains_key("task"));
    assert_eq!(
        (&lines[1]["connector"], &lines[1]["task"]),
        (&"inner".into(), &1.into())
    );
}
