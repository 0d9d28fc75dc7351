//! What stands behind a path's question mark, and versions in paths.

use super::failure::Failure;
use crate::registry::{Refusal, Which};
use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use std::collections::HashMap;

/// The most that one page lists; whoever wants more asks for the next.
const LIMIT_MAX: usize = 10_000;

/// The parameters of a request. What is malformed counts as absent, as in Confluent's registry.
pub(super) struct Asked(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = query.map_err(|error| {
            let remedy = "send name=value&name=value, percent-encoded";
            Failure::plain(400, format!("the query: {error} ({remedy})"))
        })?;
        Ok(Self(pairs.into_iter().collect()))
    }
}

impl Asked {
    /// Whether a flag is set; Python's clients write `True`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A parameter that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    /// Versions in use, or those that `deleted` and `deletedOnly` ask for.
    pub(super) fn which(&self) -> Which {
        match (self.flag("deletedOnly"), self.flag("deleted")) {
            (true, _) => Which::Deleted,
            (false, true) => Which::All,
            (false, false) => Which::Live,
        }
    }

    /// The part of a list that `offset` and `limit` ask for.
    pub(super) fn page<T>(&self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        let number = |name| self.text(name).and_then(|text| text.parse::<usize>().ok());
        let limit = number("limit").filter(|limit| *limit > 0);
        let limit = limit.map_or(LIMIT_MAX, |limit| limit.min(LIMIT_MAX));
        let items = items.into_iter().skip(number("offset").unwrap_or(0));
        items.take(limit).collect()
    }

    /// Whether a schema's references are to be written out.
    ///
    /// # Errors
    /// Another `format` than Avro's `resolved`.
    pub(super) fn resolved(&self) -> Result<bool, Refusal> {
        match self.text("format") {
            None | Some("default") => Ok(false),
            Some("resolved") => Ok(true),
            Some(other) => {
                let reason = format!("the format '{other}' is not supported, only resolved");
                Err(Refusal::Unsupported(reason))
            }
        }
    }
}

/// A version in a path; `None` is the newest.
///
/// # Errors
/// It is neither a number from 1 nor `latest` nor -1.
pub(super) fn version(text: &str) -> Result<Option<i32>, Refusal> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("latest") || text == "-1" {
        return Ok(None);
    }
    let number = text.parse::<i32>().ok().filter(|number| *number > 0);
    number
        .map(Some)
        .ok_or_else(|| Refusal::InvalidVersion(text.to_owned()))
}
