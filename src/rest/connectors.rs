//! `/connectors`: created, listed, shown, changed and deleted, as Kafka Connect does it.

use super::{
    App,
    body::{self, Settings},
    failure::Failure,
    offsets, plugins,
    states::{self, ConnectorState},
};
use crate::{
    herder::{ConnectorInfo, Refused},
    plugins::keys,
    worker::{ConnectorKind, ConnectorStatus},
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, fmt::Write};
use tapline_sdk::Issue;

/// What to do about a connector that is not there.
pub(super) const LIST: &str =
    "`tapline connectors`, or GET /connectors, lists those that there are";

/// What to do about settings that do not hold.
const FORM: &str = "correct the keys that are named; the endpoint shows for each what it takes";

/// `GET /connectors/{name}`, fields in Kafka Connect's order.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    name: String,
    config: BTreeMap<String, String>,
    tasks: Vec<TaskId>,
    #[serde(rename = "type")]
    kind: ConnectorKind,
    /// What became of the offsets that a new connector was given (KIP-995).
    #[serde(skip_serializing_if = "Option::is_none")]
    offsets_status: Option<String>,
}

/// A task's name.
#[derive(Debug, Serialize)]
pub(super) struct TaskId {
    pub(super) connector: String,
    pub(super) task: u32,
}

/// A part of an entry of `GET /connectors?expand=…`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Part {
    Status(ConnectorState),
    Info(Shown),
}

/// The parts of an entry, in the order in which they were asked for.
#[derive(Debug, Default)]
struct Parts(Vec<(String, Part)>);

impl Serialize for Parts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(what, part)| (what, part)))
    }
}

pub(super) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let expand: Vec<String> = parameters(query.as_deref(), "expand").collect();
    let names = app.worker.names();
    if expand.is_empty() {
        return Json(names).into_response();
    }
    let expanded = names.into_iter().filter_map(|name| {
        // Deleted since: left out.
        let status = app.worker.status_of(&name)?;
        let info = app.worker.info(&name)?;
        let mut parts = Parts::default();
        // What Connect does not know, and what is asked for twice, is left out there, too.
        for what in &expand {
            let part = match what.as_str() {
                "status" => Part::Status(states::shown(&app.worker, &status, &app.worker_id())),
                "info" => Part::Info(shown(info.clone())),
                _ => continue,
            };
            if !parts.0.iter().any(|(known, _)| known == what) {
                parts.0.push((what.clone(), part));
            }
        }
        Some((name, parts))
    });
    Json(expanded.collect::<BTreeMap<_, _>>()).into_response()
}

pub(super) async fn create(State(app): State<App>, body: Bytes) -> Result<Response, Failure> {
    let create = body::create(&body)?;
    let config = config(&app, create.config, &create.name)?;
    let offsets = offsets::initial(&create.offsets, app.worker.kind_of(&config))?;
    let given = !offsets.is_empty();
    let created_at = app
        .worker
        .create_at(&create.name, config, create.target, offsets);
    let outcome = created_at.await;
    let (info, theirs) = outcome.map_err(|refused| failure(refused, &create.name))?;
    let status = given.then(|| offsets::done(theirs, "altered"));
    Ok(created(&app, &create.name, info, status))
}

pub(super) async fn info(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Shown>, Failure> {
    let info = app.worker.info(&name).ok_or_else(|| unknown(&name))?;
    Ok(Json(shown(info)))
}

pub(super) async fn config_of(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<BTreeMap<String, String>>, Failure> {
    let info = app.worker.info(&name).ok_or_else(|| unknown(&name))?;
    Ok(Json(info.config))
}

pub(super) async fn configure(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Failure> {
    let settings = body::settings(body::object(&body)?)?;
    let config = config(&app, settings, &name)?;
    let outcome = app.worker.configure(&name, config).await;
    let (info, new) = outcome.map_err(|refused| failure(refused, &name))?;
    Ok(if new {
        created(&app, &name, info, None)
    } else {
        Json(shown(info)).into_response()
    })
}

pub(super) async fn patch(
    State(app): State<App>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Shown>, Failure> {
    let changes = body::settings(body::object(&body)?)?;
    if let Some(other) = changes.get(keys::NAME.name())
        && other.as_deref() != Some(&name)
    {
        return Err(renamed(other.as_deref().unwrap_or_default(), &name));
    }
    let info = app.worker.patch(&name, changes).await;
    Ok(Json(shown(
        info.map_err(|refused| failure(refused, &name))?,
    )))
}

pub(super) async fn delete(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, Failure> {
    let removed = app.worker.remove(&name).await;
    removed.map_err(|refused| failure(refused, &name))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn status(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<ConnectorState>, Failure> {
    let status = app.worker.status_of(&name).ok_or_else(|| {
        Failure::not_found(format!("No status found for connector {name}")).remedy(LIST)
    })?;
    Ok(Json(states::shown(&app.worker, &status, &app.worker_id())))
}

/// Fails with Connect's words if there is no such connector.
pub(super) fn require(app: &App, name: &str) -> Result<ConnectorStatus, Failure> {
    app.worker.status_of(name).ok_or_else(|| unknown(name))
}

pub(super) fn unknown(name: &str) -> Failure {
    Failure::not_found(format!("Connector {name} not found")).remedy(LIST)
}

/// Why a change was not made, in Connect's words.
pub(super) fn failure(refused: Refused, name: &str) -> Failure {
    match refused {
        Refused::Unknown => unknown(name),
        Refused::Exists => Failure::new(
            StatusCode::CONFLICT,
            format!("Connector {name} already exists"),
        )
        .remedy(format!(
            "choose another name, or change it with PUT /connectors/{}/config",
            segment(name)
        )),
        Refused::UnknownClass(class, known) => Failure::bad_request(format!(
            "Failed to find any class that implements Connector and which name matches {class}, available connectors \
             are: {}",
            known.join(", ")
        ))
        .remedy("let connector.class name one of them, or an alias that GET /connector-plugins lists"),
        Refused::Invalid(issues) => Failure::bad_request(invalid(&issues)).remedy(FORM),
        Refused::NotValid(text) => Failure::bad_request(text).remedy(FORM),
        Refused::NotStopped => Failure::bad_request(format!(
            "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the \
             specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
        ))
        .remedy("stop it first, and resume it afterwards"),
        Refused::NotStarted => Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("Failed to start connector: {name}"),
        )
        .remedy("its status says why"),
        Refused::Failed(error) => error.into(),
    }
}

fn invalid(issues: &[Issue]) -> String {
    let mut text = format!(
        "Connector configuration is invalid and contains the following {} error(s):",
        issues.len()
    );
    for Issue {
        key,
        problem,
        remedy,
    } in issues
    {
        // A String takes everything.
        let _written = write!(text, "\n{key} {problem} ({remedy})");
    }
    text.push_str(
        "\nYou can also find the above list of errors at the endpoint \
         `/connector-plugins/{connectorType}/config/validate`",
    );
    text
}

/// Settings under one name that hold. A null that Connect takes means that the key is not given.
fn config(
    app: &App,
    mut settings: Settings,
    name: &str,
) -> Result<BTreeMap<String, String>, Failure> {
    if let Some(Some(other)) = settings.get(keys::NAME.name())
        && other != name
    {
        return Err(renamed(other, name));
    }
    settings.insert(keys::NAME.name().to_owned(), Some(name.to_owned()));
    // Everything else is checked once masked secrets are back in their places, with the same words.
    let null = settings.values().any(Option::is_none);
    if (null || !settings.contains_key(keys::CLASS.name()))
        && let Some(refusal) = plugins::validated(app, &settings)?.infos.refusal()
    {
        return Err(Failure::bad_request(refusal).remedy(FORM));
    }
    let given = settings.into_iter();
    Ok(given
        .filter_map(|(key, value)| Some((key, value?)))
        .collect())
}

fn renamed(given: &str, name: &str) -> Failure {
    Failure::bad_request(format!(
        "Connector name configuration ({given}) doesn't match connector name in the URL ({name})"
    ))
    .remedy("let both be the same, or leave name out: a connector is not renamed")
}

fn created(app: &App, name: &str, info: ConnectorInfo, offsets_status: Option<String>) -> Response {
    let mut shown = shown(info);
    shown.offsets_status = offsets_status;
    // As a worker there, which answers before its tasks are made.
    shown.tasks.clear();
    let mut response = (StatusCode::CREATED, Json(shown)).into_response();
    let location = HeaderValue::try_from(format!(
        "http://{}/connectors/{}",
        app.worker_id(),
        segment(name)
    ));
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn shown(info: ConnectorInfo) -> Shown {
    let task = |task| TaskId {
        connector: info.name.clone(),
        task,
    };
    Shown {
        tasks: (0..info.tasks).map(task).collect(),
        name: info.name,
        config: info.config,
        kind: info.kind,
        offsets_status: None,
    }
}

/// A name as one segment of an address (RFC 3986: unreserved, sub-delimiters, `:` and `@` stand for themselves).
fn segment(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // A String takes everything.
            let _written = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The values of a query's parameter, decoded, in order.
pub(super) fn parameters<'a>(
    query: Option<&'a str>,
    name: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let pairs = query.unwrap_or_default().split('&');
    let values = pairs.filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    });
    // The values that mean something here have nothing to decode.
    values.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_location_is_written_as_the_original_writes_it() {
        for (name, written) in [
            ("odd name", "odd%20name"),
            ("größe-数", "gr%C3%B6%C3%9Fe-%E6%95%B0"),
            ("a->b?c", "a-%3Eb%3Fc"),
            ("a#b&c", "a%23b&c"),
            ("a;b", "a;b"),
            ("a/b%", "a%2Fb%25"),
        ] {
            assert_eq!(segment(name), written);
        }
    }
}
