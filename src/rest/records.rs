//! `GET /tapline/v1/topics/{topic}/records`: records decoded to JSON, one a line.

use super::{
    App,
    failure::{Failure, cut},
    topics::LIST,
};
use crate::worker::{Page, Read};
use axum::{
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use std::time::Duration;

/// Where to read on.
pub const NEXT_OFFSET_HEADER: &str = "tapline-next-offset";

/// The first offset that cannot be read yet.
pub const HIGH_WATERMARK_HEADER: &str = "tapline-high-watermark";

/// Records of a page unless asked otherwise; a screenful or two.
const RECORDS_DEFAULT: usize = 100;

/// A page is built in memory; more records come with the next request.
const RECORDS_MAX: usize = 10_000;

/// A longer wait could outlive proxies on the way; followers ask again.
const WAIT_MS_MAX: u64 = 30_000;

/// Holds connectors' settings; what is sealed there stays sealed, and the rest is nobody's business either (I9).
const TOPIC_HIDDEN: &str = "connect-configs";

/// What to do about a query of the wrong form.
const QUERY: &str =
    "use partition, offset, max and wait_ms, each once, each a whole number that is not negative";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default)]
    partition: u32,
    #[serde(default)]
    offset: u64,
    max: Option<usize>,
    #[serde(default)]
    wait_ms: u64,
}

pub(super) async fn read(
    State(app): State<App>,
    Path(topic): Path<String>,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Failure> {
    let Query(wanted) = wanted.map_err(|rejection| {
        Failure::bad_request(format!("the query: {}", cut(&rejection.body_text()))).remedy(QUERY)
    })?;
    require(&app, &topic, wanted.partition)?;
    let read = Read {
        topic,
        partition: wanted.partition,
        from: wanted.offset,
        records_max: wanted.max.unwrap_or(RECORDS_DEFAULT).clamp(1, RECORDS_MAX),
        wait: Duration::from_millis(wanted.wait_ms.min(WAIT_MS_MAX)),
    };
    let page = app.worker.read(read).await?;
    Ok(response(&page))
}

fn require(app: &App, topic: &str, partition: u32) -> Result<(), Failure> {
    if topic == TOPIC_HIDDEN {
        let message = format!("topic {topic} holds settings of connectors and is not shown");
        let failure = Failure::new(StatusCode::FORBIDDEN, message);
        return Err(failure.remedy("GET /connectors/{connector}/config shows them without secrets"));
    }
    let found = app.worker.broker().topic(topic);
    let found = found
        .ok_or_else(|| Failure::not_found(format!("there is no topic {topic}")).remedy(LIST))?;
    let count = found.partitions.len();
    if usize::try_from(partition).is_ok_and(|partition| partition < count) {
        return Ok(());
    }
    let message =
        format!("topic {topic} has {count} partitions, there is no partition {partition}");
    Err(Failure::not_found(message).remedy(LIST))
}

fn response(page: &Page) -> Response {
    let mut body = String::with_capacity(page.lines.iter().map(|line| line.len() + 1).sum());
    for line in &page.lines {
        body.push_str(line);
        body.push('\n');
    }
    let headers = [
        (
            header::CONTENT_TYPE.as_str(),
            "application/x-ndjson".to_owned(),
        ),
        (NEXT_OFFSET_HEADER, page.next.to_string()),
        (HIGH_WATERMARK_HEADER, page.high_watermark.to_string()),
    ];
    (headers, body).into_response()
}
