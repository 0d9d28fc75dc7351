//! Plays scenes to a worker: prepares, waits, asks, and leaves the worker empty for the next scene.

use super::{
    client::{self, Reply, Request},
    json::Json,
    rules::{self, Answer, Places},
    scene::{Condition, Scene, Step},
};
use crate::support::{postgres::Postgres, wait};
use std::{fs::File, io::Write as _, net::SocketAddr, time::Duration};
use tokio::task::JoinSet;

/// What a condition may take: a start of a Debezium task on a loaded machine took 20 s.
const CONDITION_MAX: Duration = Duration::from_secs(60);

/// The answers of a scene: a title, and one answer, or a set of them where requests were sent at once.
pub type Answers = Vec<(String, Vec<Answer>)>;

/// Plays a scene; an error says which step could not be prepared or got no answer.
pub async fn play(worker: SocketAddr, pg: &Postgres, scene: &Scene) -> Result<Answers, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let places = Places {
        worker: worker.to_string(),
        dir: folder.path().display().to_string(),
        pg: pg.port().to_string(),
    };
    let mut answers = Answers::new();
    let mut leaves = false;
    let mut failed = None;
    for step in &scene.steps {
        let done = match step {
            Step::Lines(file, lines) => {
                let mut file = File::options()
                    .create(true)
                    .append(true)
                    .open(folder.path().join(file))
                    .expect("a scene's file opens");
                for line in lines {
                    writeln!(file, "{line}").expect("a line is written");
                }
                Ok(())
            }
            Step::Sql(sql) => {
                pg.execute(&places.put(sql)).await;
                Ok(())
            }
            Step::Until(request, conditions) => {
                until(worker, &filled(request, &places), conditions).await
            }
            Step::Ask(title, requests) => match ask(worker, requests, &places).await {
                Ok(given) => {
                    answers.push((title.clone(), given));
                    Ok(())
                }
                Err(error) => Err(format!("{title}: {error}")),
            },
            Step::Leaves => {
                leaves = true;
                Ok(())
            }
        };
        if let Err(error) = done {
            failed = Some(error);
            break;
        }
    }
    let emptied = empty(worker, leaves).await;
    match failed {
        Some(error) => Err(format!("{}: {error}", scene.name)),
        None => emptied
            .map(|()| answers)
            .map_err(|error| format!("{}: {error}", scene.name)),
    }
}

fn filled(request: &Request, places: &Places) -> Request {
    Request {
        target: places.put(&request.target),
        body: request.body.as_deref().map(|body| places.put(body)),
        ..request.clone()
    }
}

async fn ask(
    worker: SocketAddr,
    requests: &[Request],
    places: &Places,
) -> Result<Vec<Answer>, String> {
    let mut sent = JoinSet::new();
    for request in requests {
        let request = filled(request, places);
        let places = places.clone();
        sent.spawn(async move {
            let reply = client::send(worker, &request).await?;
            Ok::<_, String>(rules::answer(&reply, &request.target, &places))
        });
    }
    let mut answers = sent
        .join_all()
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    answers.sort_by_key(|answer| (answer.status, answer.body.to_string()));
    Ok(answers)
}

async fn until(
    worker: SocketAddr,
    request: &Request,
    conditions: &[Condition],
) -> Result<(), String> {
    let mut last = String::new();
    let met = wait::within(CONDITION_MAX, async || {
        match client::send(worker, request).await {
            Ok(reply) if conditions.iter().all(|condition| holds(condition, &reply)) => Some(()),
            Ok(reply) => {
                last = format!("{} {}", reply.status, reply.body);
                None
            }
            Err(error) => {
                last = error;
                None
            }
        }
    });
    let met = met.await;
    met.ok_or_else(|| format!("{} never became {conditions:?}: {last}", request.target))
}

fn holds(condition: &Condition, reply: &Reply) -> bool {
    match condition {
        Condition::Status(status) => reply.status == *status,
        Condition::Value(pointer, wanted) => {
            let body = Json::read(&reply.body);
            let found = body
                .as_ref()
                .and_then(|body| body.at(pointer))
                .map(Json::plain);
            found.as_deref().unwrap_or("(missing)") == wanted
        }
    }
}

/// Deletes every connector and waits until none is listed.
async fn empty(worker: SocketAddr, leaves: bool) -> Result<(), String> {
    let list = Request::bare("GET", "/connectors");
    let reply = client::send(worker, &list).await?;
    if let Some(Json::List(names)) = Json::read(&reply.body) {
        for name in names {
            let path = format!("/connectors/{}", encoded(&name.plain()));
            client::send(worker, &Request::bare("DELETE", &path)).await?;
        }
    }
    if leaves {
        return Ok(());
    }
    let none = wait::within(CONDITION_MAX, async || {
        let reply = client::send(worker, &list).await.ok()?;
        (reply.body.trim() == "[]").then_some(())
    });
    none.await
        .ok_or_else(|| "its connectors could not be deleted".to_owned())
}

fn encoded(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    name.bytes().map(byte).collect()
}
