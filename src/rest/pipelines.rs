//! `POST /tapline/v1/pipelines`: what files declare becomes what runs, or only a plan of it.
//!
//! The comparison happens here because only the worker knows the stored secrets; what differs is answered with secrets
//! masked. Declarations are carried out one after another, and to their end even if nobody waits for the answer.

use super::{App, body, failure::Failure};
use crate::{
    herder::{Changes, Declaration},
    plugins::keys,
    worker::{ApplyError, Author, ConnectorKind, ConnectorSpec, Origin, Refusal, TopicSpec},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::Mutex;

/// What to do about a body of the wrong form.
const DECLARATION: &str = "send {\"pipelines\": [{\"name\": …, \"connectors\": [{\"name\": …, \"type\": \"source\" or \
                           \"sink\", \"config\": {…}}], \"topics\": [{\"name\": …, \"partitions\": 1, \"config\": {…}}]}]}, as \
                           `tapline apply` does";

/// Held while a declaration is carried out.
pub(super) type Turn = Arc<Mutex<()>>;

/// More than a worker runs; bounds what one request can ask for.
const CONNECTORS_MAX: usize = 10_000;

/// As many topics: more than one machine serves.
const TOPICS_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    pipelines: Vec<Pipeline>,
    #[serde(default)]
    prune: bool,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pipeline {
    name: String,
    file: Option<String>,
    connectors: Vec<Connector>,
    #[serde(default)]
    topics: Vec<Topic>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Topic {
    name: String,
    partitions: Option<u32>,
    #[serde(default)]
    config: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Connector {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    line: u32,
    config: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Source,
    Sink,
}

pub(super) async fn declare(
    State(app): State<App>,
    Extension(turn): Extension<Turn>,
    body: Bytes,
) -> Result<Response, Failure> {
    let body: Body = serde_json::from_slice(&body).map_err(|error| {
        body::misshapen("the body is no declaration", &error).remedy(DECLARATION)
    })?;
    let dry_run = body.dry_run;
    let declared = declaration(body)?;
    let worker = app.worker.clone();
    // A task of its own: a caller that goes away must not leave half of it to chance.
    let carried_out = tokio::spawn(async move {
        let _turn = turn.lock().await;
        if dry_run {
            worker.plan(&declared)
        } else {
            worker.declare(declared).await
        }
    });
    match carried_out.await {
        Ok(Ok(changes)) => Ok(planned(&changes, !dry_run)),
        Ok(Err(ApplyError::Refused(refusals))) => Ok(refused(&refusals)),
        Ok(Err(ApplyError::Failed(error))) => Err(error.into()),
        Err(error) => {
            tracing::error!(error = %error, "a declaration ended early");
            let message = "the worker failed to carry the declaration out; its log says more";
            Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message).remedy("report it"))
        }
    }
}

fn declaration(body: Body) -> Result<Declaration, Failure> {
    let mut declared = Declaration {
        pipelines: BTreeSet::new(),
        topics: Vec::new(),
        connectors: Vec::new(),
        prune: body.prune,
    };
    let mut names = BTreeSet::new();
    let mut topics = BTreeSet::new();
    for pipeline in body.pipelines {
        for topic in pipeline.topics {
            once(&mut topics, "topic", &topic.name)?;
            declared.topics.push(TopicSpec {
                name: topic.name,
                pipeline: pipeline.name.clone(),
                partitions: topic.partitions,
                config: topic.config,
            });
        }
        for connector in pipeline.connectors {
            let part = connector.name.strip_prefix(&pipeline.name);
            if !part.is_some_and(|part| part.len() > 1 && part.starts_with('.')) {
                let (name, connector) = (&pipeline.name, &connector.name);
                let message = format!("connector {connector} is not called {name}.<part>");
                return Err(Failure::bad_request(message)
                    .remedy("begin its name with the pipeline's and a dot"));
            }
            once(&mut names, "connector", &connector.name)?;
            declared
                .connectors
                .push(spec(&pipeline.name, pipeline.file.as_deref(), connector)?);
        }
        if pipeline.name.is_empty() || !declared.pipelines.insert(pipeline.name.clone()) {
            let message = format!("pipeline name `{}` is empty or given twice", pipeline.name);
            return Err(
                Failure::bad_request(message).remedy("give each pipeline a name of its own")
            );
        }
    }
    bounded(&declared)?;
    Ok(declared)
}

fn once(names: &mut BTreeSet<String>, what: &str, name: &str) -> Result<(), Failure> {
    if names.insert(name.to_owned()) {
        return Ok(());
    }
    let message = format!("{what} {name} is given twice");
    Err(Failure::bad_request(message).remedy("remove one of them"))
}

fn bounded(declared: &Declaration) -> Result<(), Failure> {
    for (what, count, max) in [
        ("connectors", declared.connectors.len(), CONNECTORS_MAX),
        ("topics", declared.topics.len(), TOPICS_MAX),
    ] {
        if count > max {
            let message = format!("more than {max} {what} are declared");
            return Err(Failure::bad_request(message).remedy("declare them in several requests"));
        }
    }
    Ok(())
}

fn spec(
    pipeline: &str,
    file: Option<&str>,
    connector: Connector,
) -> Result<ConnectorSpec, Failure> {
    let Connector {
        name,
        kind,
        line,
        config: mut settings,
    } = connector;
    let Some(class) = settings.remove(keys::CLASS.name()) else {
        let message = format!("connector {name} has no connector.class");
        return Err(Failure::bad_request(message).remedy("add it to the connector's config"));
    };
    settings.insert(keys::PIPELINE.name().to_owned(), pipeline.to_owned());
    Ok(ConnectorSpec {
        name,
        kind: match kind {
            Kind::Source => ConnectorKind::Source,
            Kind::Sink => ConnectorKind::Sink,
        },
        class,
        settings,
        origin: file.map(|file| Origin {
            file: file.to_owned(),
            line,
        }),
        author: Author::Request,
    })
}

fn planned(changes: &Changes, applied: bool) -> Response {
    let Changes { topics, connectors } = changes;
    Json(json!({"topics": topics, "changes": connectors, "applied": applied})).into_response()
}

/// Connect's error with every refusal beside it, so that a client can say where in its file each stands.
fn refused(refusals: &[Refusal]) -> Response {
    let lines: Vec<String> = refusals.iter().map(Refusal::line).collect();
    let each: Vec<Value> = refusals
        .iter()
        .map(|Refusal { subject, issue }| {
            let mut refusal = json!(subject);
            if let Some(fields) = refusal.as_object_mut() {
                fields.insert("key".to_owned(), json!(issue.key));
                fields.insert("problem".to_owned(), json!(issue.problem));
                fields.insert("remedy".to_owned(), json!(issue.remedy));
            }
            refusal
        })
        .collect();
    let status = StatusCode::BAD_REQUEST;
    let body = json!({
        "error_code": status.as_u16(),
        "message": format!("{} (correct the keys that are named; nothing was changed)", lines.join("; ")),
        "refusals": each,
    });
    (status, Json(body)).into_response()
}
