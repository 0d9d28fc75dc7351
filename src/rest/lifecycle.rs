//! Pause, resume, stop and restart of connectors and tasks, and the lists of tasks and topics.

use super::{
    App,
    connectors::{LIST, TaskId, failure, parameters, unknown},
    failure::{Failure, cut},
    states::{self, TaskState},
};
use crate::{herder::Refused, state::TargetState};
use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What to do about a task that is not there.
const TASKS: &str = "GET /connectors/{connector}/tasks lists those that there are";

/// An entry of `GET /connectors/{name}/tasks`.
#[derive(Debug, Serialize)]
pub(super) struct Task {
    id: TaskId,
    config: BTreeMap<String, String>,
}

pub(super) async fn pause(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, Failure> {
    target(&app, &name, TargetState::Paused).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn resume(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, Failure> {
    target(&app, &name, TargetState::Started).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn stop(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, Failure> {
    target(&app, &name, TargetState::Stopped).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn target(app: &App, name: &str, target: TargetState) -> Result<(), Failure> {
    let outcome = app.worker.set_target(name, target).await;
    outcome.map_err(|refused| match refused {
        Refused::Unknown => Failure::not_found(format!("Unknown connector {name}")).remedy(LIST),
        refused => failure(refused, name),
    })
}

pub(super) async fn restart(
    State(app): State<App>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    // Of a parameter that stands twice the first counts; what is not true is false.
    let flag = |name| {
        let first = parameters(query.as_deref(), name).next();
        first.is_some_and(|text| text.eq_ignore_ascii_case("true"))
    };
    let (include_tasks, only_failed) = (flag("includeTasks"), flag("onlyFailed"));
    let refused = |refused| restart_failure(refused, &name);
    if !include_tasks && !only_failed {
        let restarted = app.worker.restart_connector(&name).await;
        restarted.map_err(refused)?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let status = app
        .worker
        .restart_selected(&name, include_tasks, only_failed)
        .map_err(refused)?;
    let shown = states::shown(&app.worker, &status, &app.worker_id());
    Ok((StatusCode::ACCEPTED, Json(shown)).into_response())
}

fn restart_failure(refused: Refused, name: &str) -> Failure {
    match refused {
        Refused::Unknown => Failure::not_found(format!("Unknown connector: {name}")).remedy(LIST),
        refused => failure(refused, name),
    }
}

pub(super) async fn tasks(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Vec<Task>>, Failure> {
    let configs = app
        .worker
        .task_configs(&name)
        .ok_or_else(|| unknown(&name))?;
    let task = |(task, config)| Task {
        id: TaskId {
            connector: name.clone(),
            task,
        },
        config,
    };
    Ok(Json((0..).zip(configs).map(task).collect()))
}

pub(super) async fn task_status(
    State(app): State<App>,
    Path((name, task)): Path<(String, String)>,
) -> Result<Json<TaskState>, Failure> {
    let task = number(&task)?;
    let status = app.worker.status_of(&name);
    let shown = status.map(|status| states::shown(&app.worker, &status, &app.worker_id()));
    let tasks = shown.into_iter().flat_map(|shown| shown.tasks);
    let mut found = tasks.filter(|one| i64::from(one.id) == i64::from(task));
    found.next().map(Json).ok_or_else(|| {
        Failure::not_found(format!("No status found for task {name}-{task}")).remedy(TASKS)
    })
}

pub(super) async fn task_restart(
    State(app): State<App>,
    Path((name, task)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let task = number(&task)?;
    let restarted = match u32::try_from(task) {
        Ok(task) => app.worker.restart_task(&name, task).await,
        Err(_negative) => app
            .worker
            .info(&name)
            .map(|_| false)
            .ok_or(Refused::Unknown),
    };
    match restarted {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(Failure::not_found(format!("Unknown task: {name}-{task}")).remedy(TASKS)),
        Err(refused) => Err(restart_failure(refused, &name)),
    }
}

/// A task's number is Java's int; what is none is no path there.
fn number(text: &str) -> Result<i32, Failure> {
    text.parse().map_err(|_| {
        let remedy = format!("{} is no number of a task: {TASKS}", cut(text));
        Failure::not_found("HTTP 404 Not Found").remedy(remedy)
    })
}

pub(super) async fn topics(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    if !app.worker.topic_tracking().shown {
        return Err(forbidden("Topic tracking is disabled."));
    }
    let topics = app.worker.topics_of(&name);
    let topics: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
    Ok(Json(json!({ name: {"topics": topics} })))
}

pub(super) async fn topics_reset(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, Failure> {
    let tracking = app.worker.topic_tracking();
    if !tracking.shown {
        return Err(forbidden("Topic tracking is disabled."));
    }
    if !tracking.reset {
        return Err(forbidden("Topic tracking reset is disabled."));
    }
    app.worker.reset_topics(&name).await?;
    Ok(StatusCode::ACCEPTED)
}

fn forbidden(why: &str) -> Failure {
    Failure::new(StatusCode::FORBIDDEN, why)
}
