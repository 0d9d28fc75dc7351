//! `/connector-plugins`: which connectors, transforms, predicates and converters exist, their keys, and whether a
//! configuration is valid.
//!
//! Reads the registry of plugins and the worker's placeholders; changes nothing. With `probe=true`, which is ours, a
//! validate also asks the other system; for a class whose product connects anyway, it connects without.

use super::{App, body, failure::Failure};
use crate::{
    plugins::{ConfigInfos, ConfigKeyInfo, Given, PluginInfo, Validated},
    worker::Author,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    routing::{MethodRouter, get, put},
};

/// Connect's classes of what fills placeholders in: no plugins whose keys can be asked for.
const PROVIDERS: [&str; 3] = [
    "EnvVarConfigProvider",
    "FileConfigProvider",
    "DirectoryConfigProvider",
];

/// Query parameters in order: of a repeated one the first counts, as in Kafka Connect.
type Parameters = Query<Vec<(String, String)>>;

/// What is served here.
pub(super) fn routes() -> [(&'static str, MethodRouter<App>); 3] {
    [
        ("/connector-plugins", get(list)),
        ("/connector-plugins/{plugin}/config", get(definitions)),
        ("/connector-plugins/{plugin}/config/validate", put(validate)),
    ]
}

async fn list(State(app): State<App>, Query(query): Parameters) -> Json<Vec<PluginInfo>> {
    let connectors_only = parameter(&query, "connectorsOnly").is_none_or(is_true);
    Json(app.worker.settings().plugins.list(connectors_only))
}

async fn definitions(
    State(app): State<App>,
    Path(plugin): Path<String>,
    Query(query): Parameters,
) -> Result<Json<Vec<ConfigKeyInfo>>, Failure> {
    let plugins = &app.worker.settings().plugins;
    if let Some(provider) = plugin.strip_prefix("org.apache.kafka.common.config.provider.")
        && PROVIDERS.contains(&provider)
    {
        return Err(Failure::bad_request(format!(
            "Invalid plugin class {plugin}. Valid types are sink, source, converter, header_converter, transformation, \
             predicate."
        ))
        .remedy("GET /connector-plugins?connectorsOnly=false lists those that there are"));
    }
    let found = plugins.definitions(&plugin).ok_or_else(|| {
        Failure::not_found(format!("Unknown plugin {plugin}."))
            .remedy("GET /connector-plugins?connectorsOnly=false lists those that there are")
    })?;
    if let Some(version) = parameter(&query, "version") {
        let known = plugins.version(&plugin).unwrap_or_default();
        if version != known {
            return Err(Failure::bad_request(format!(
                "Plugin {plugin} not found that matches the version range [{version},{version}], \
                 available versions: [{known}]"
            ))
            .remedy("leave version out, or name that one"));
        }
    }
    Ok(Json(found))
}

async fn validate(
    State(app): State<App>,
    Path(plugin): Path<String>,
    Query(query): Parameters,
    body: Bytes,
) -> Result<Json<ConfigInfos>, Failure> {
    let given = body::settings(body::object(&body)?)?;
    if let Some(Some(class)) = given.get("connector.class")
        && !stem(class).ends_with(stem(&plugin))
    {
        return Err(Failure::bad_request(format!(
            "Included connector type {class} does not match request type {plugin}"
        ))
        .remedy("let connector.class and the address name the same class"));
    }
    let settings = app.worker.settings();
    let placeholders = settings.placeholders.as_deref();
    let Validated {
        mut infos,
        resolved,
    } = settings
        .plugins
        .examine(&given, placeholders, Author::Request)
        .await?;
    if let Some(resolved) = resolved
        && parameter(&query, "probe").is_some_and(is_true)
    {
        infos.add(resolved.probe().await, &given, placeholders);
    }
    Ok(Json(infos))
}

/// Looks at a configuration as `validate` does: for whoever is about to store it.
pub(super) fn validated(app: &App, given: &Given) -> Result<Validated, Failure> {
    let settings = app.worker.settings();
    let placeholders = settings.placeholders.as_deref();
    Ok(settings
        .plugins
        .validate(given, placeholders, Author::Request)?)
}

/// A class or alias without «Connector» at its end.
fn stem(name: &str) -> &str {
    match name.strip_suffix("Connector") {
        Some("") | None => name,
        Some(stem) => stem,
    }
}

fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = query.iter().filter(|(key, _)| key == name);
    found.next().map(|(_, value)| value.as_str())
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}
