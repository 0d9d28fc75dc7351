//! `tapline consume TOPIC`: records as JSON lines, through the running worker.

use super::{Failure, Found, Target, client::Client};
use crate::rest::{HIGH_WATERMARK_HEADER, NEXT_OFFSET_HEADER};
use reqwest::Response;
use std::{io::Write, str::FromStr};
use tapline_sdk::{Error, Result};

/// Records of one request: a few hundred KiB of JSON.
const PAGE_RECORDS: u64 = 1_000;

/// How long the worker holds a request when there is nothing new.
const FOLLOW_WAIT_MS: u64 = 10_000;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The topic
    topic: String,
    /// The first offset: a number, `start` or `end`
    #[arg(long, value_name = "OFFSET", default_value = "start")]
    from: From,
    /// Wait for new records instead of ending with the last
    #[arg(long)]
    follow: bool,
    /// The partition
    #[arg(long, value_name = "N", default_value_t = 0)]
    partition: u32,
    /// End after this many records
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy)]
enum From {
    Offset(u64),
    End,
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "start" => Ok(Self::Offset(0)),
            "end" => Ok(Self::End),
            _ => text
                .parse()
                .map(Self::Offset)
                .map_err(|_| "neither a number nor `start` nor `end`".to_owned()),
        }
    }
}

pub(super) async fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    let client = Client::find(&arguments.target)?;
    let mut next = match arguments.from {
        From::Offset(offset) => offset,
        From::End => {
            let page = page(&client, arguments, u64::MAX >> 1, 1, 0).await?;
            offset(&page, HIGH_WATERMARK_HEADER)?
        }
    };
    let mut left = arguments.max.unwrap_or(u64::MAX);
    // Without --follow the end is where the topic ended at the first look: a busy topic would never let go.
    let mut end = None;
    while left > 0 {
        let wait = if arguments.follow { FOLLOW_WAIT_MS } else { 0 };
        let page = page(&client, arguments, next, left.min(PAGE_RECORDS), wait).await?;
        let high_watermark = offset(&page, HIGH_WATERMARK_HEADER)?;
        let after = offset(&page, NEXT_OFFSET_HEADER)?;
        let end = *end.get_or_insert(high_watermark);
        let text = page.text().await.map_err(|error| {
            Error::disconnected("the worker broke off")
                .code("TL0141")
                .because(error.without_url())
        })?;
        out.write_all(text.as_bytes())?;
        out.flush()?;
        left = left.saturating_sub(u64::try_from(text.lines().count()).unwrap_or(u64::MAX));
        let stuck = after <= next && !arguments.follow;
        next = after.max(next);
        if stuck || (!arguments.follow && next >= end) {
            break;
        }
    }
    Ok(Found::Fine)
}

async fn page(
    client: &Client,
    arguments: &Arguments,
    from: u64,
    max: u64,
    wait_ms: u64,
) -> Result<Response> {
    let query = [
        ("partition", arguments.partition.to_string()),
        ("offset", from.to_string()),
        ("max", max.to_string()),
        ("wait_ms", wait_ms.to_string()),
    ];
    let path = ["tapline", "v1", "topics", &arguments.topic, "records"];
    client.get(&path, &query).await
}

fn offset(page: &Response, header: &str) -> Result<u64> {
    let value = page
        .headers()
        .get(header)
        .and_then(|value| value.to_str().ok());
    value.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Error::config(format!("the answer has no header {header}"))
            .code("TL0141")
            .remedy("check that the address is a worker's, of this version")
    })
}
