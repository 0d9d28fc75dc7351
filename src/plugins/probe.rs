//! Whether the other system can be reached: asked by whoever wants to know, and before a configuration is accepted where
//! the product whose class it names asks, too.
//!
//! Connects and changes nothing; what a key may hold is [`super::validate`]'s.

use super::{Given, Plugins, Resolved, Validated};
use crate::worker::{Author, ConnectorKind, Placeholders};
use std::time::Duration;
use tapline_sdk::{Issue, Result};

/// A server that does not answer is reported before the client gives the request up (90 s).
const PROBE_TIME_MAX: Duration = Duration::from_secs(30);

impl Plugins {
    /// As [`Plugins::validate`]; and if all of it holds and names a class whose product connects before it accepts
    /// anything, as Debezium does, an error says why that is not possible.
    ///
    /// # Errors
    /// As those of [`Plugins::validate`].
    pub async fn examine(
        &self,
        given: &Given,
        placeholders: Option<&dyn Placeholders>,
        author: Author,
    ) -> Result<Validated> {
        let mut validated = self.validate(given, placeholders, author)?;
        let Some(resolved) = validated.resolved.take() else {
            return Ok(validated);
        };
        let Some(key) = resolved.connects else {
            validated.resolved = Some(resolved);
            return Ok(validated);
        };
        let late = |issue: &Issue| issue.key.is_empty() && issue.problem.contains(NO_ANSWER);
        let mut issues = resolved.probe().await.into_iter();
        match issues.find(|issue| issue.key == key || late(issue)) {
            None => validated.resolved = Some(resolved),
            Some(Issue {
                problem, remedy, ..
            }) => {
                let error = format!("Error while validating connector config: {problem}: {remedy}");
                let readers = (placeholders, author);
                validated.infos.blame(key, &error, given, readers);
            }
        }
        Ok(validated)
    }
}

/// What a probe that took too long says.
const NO_ANSWER: &str = "did not answer in";

impl Resolved {
    /// Every problem that the connector finds by asking the other system.
    pub async fn probe(&self) -> Vec<Issue> {
        let asked = self.plugin.probe(&self.config);
        let asked = tokio::time::timeout(PROBE_TIME_MAX, asked).await;
        asked.unwrap_or_else(|_late| {
            let other = match self.kind {
                ConnectorKind::Source => "source",
                ConnectorKind::Sink => "target",
            };
            let seconds = PROBE_TIME_MAX.as_secs();
            let problem = format!("names a connector whose {other} {NO_ANSWER} {seconds} s");
            vec![Issue::new("", problem, "see whether it can be reached")]
        })
    }
}
