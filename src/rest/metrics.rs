//! `GET /metrics`: OpenMetrics for whoever asks for it, as Prometheus does, else Prometheus' classic text format.

use super::App;
use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

/// What Prometheus asks for first.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What everything else that reads metrics knows.
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn show(State(app): State<App>, headers: HeaderMap) -> Response {
    let metrics = app.worker.metrics();
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    let accepted: Vec<&str> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let (kind, page) = match wants_open_metrics(&accepted.join(",")) {
        true => (OPEN_METRICS, metrics.render()),
        false => (CLASSIC, metrics.render_classic()),
    };
    ([(header::CONTENT_TYPE, kind)], page).into_response()
}

/// Whether an `Accept` header prefers OpenMetrics; of equal weights it does.
fn wants_open_metrics(accept: &str) -> bool {
    let (mut open, mut classic) = (0.0_f32, 0.0_f32);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let weight = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        match name.as_str() {
            "application/openmetrics-text" => open = open.max(weight),
            "text/plain" | "text/*" | "*/*" => classic = classic.max(weight),
            _ => {}
        }
    }
    open > 0.0 && open >= classic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for accept in [
            prometheus,
            "application/openmetrics-text",
            "*/*, Application/OpenMetrics-Text",
        ] {
            assert!(wants_open_metrics(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/html",
            "text/plain;version=0.0.4",
            "application/openmetrics-text;q=0, */*",
            "application/openmetrics-text; q=0.1, text/plain; q=0.9",
        ] {
            assert!(!wants_open_metrics(accept), "{accept}");
        }
    }
}
