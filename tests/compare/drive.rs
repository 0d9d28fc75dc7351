//! Plays scenes to a worker: prepares, waits, asks, and leaves the worker empty for the next scene.

use super::{
    client::{self, Reply, Request},
    clients, diff,
    json::Json,
    rules::{self, Answer, Places},
    scene::{Ask, Condition, Scene, Step},
};
use crate::support::{postgres::Postgres, wait};
use futures_util::future::join_all;
use std::{fs::File, io::Write as _, net::SocketAddr, path::Path, time::Duration};

/// What a condition may take: a start of a Debezium task on a loaded machine took 10 s.
const CONDITION_MAX: Duration = Duration::from_secs(45);

/// What the original may take until it shows what it was told: its workers share out tasks, and its states and offsets
/// travel through topics.
const SHOWN_MAX: Duration = Duration::from_secs(20);

/// The answers of a scene: a title, and one answer, or a set of them where requests were sent at once.
pub type Answers = Vec<(String, Vec<Answer>)>;

/// What playing a scene gave.
#[derive(Debug)]
pub struct Played {
    /// The answers, up to where it failed.
    pub answers: Answers,
    /// What could not be prepared, got no answer or never became so.
    pub failed: Option<String>,
}

/// Plays a scene, as far as it can be played. What is read counts at once, unless answers are expected: then it is read
/// again until it is what is expected, for as long as the original may take to show it.
pub async fn play(
    worker: SocketAddr,
    pg: &Postgres,
    scene: &Scene,
    expected: Option<&Answers>,
) -> Played {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let places = Places {
        worker: worker.to_string(),
        dir: folder.path().display().to_string(),
        pg: pg.port().to_string(),
    };
    let mut answers = Answers::new();
    let mut failed = None;
    for step in &scene.steps {
        if let Err(error) = take(step, worker, pg, &places, expected, &mut answers).await {
            failed = Some(format!("{}: {error}", scene.name));
            break;
        }
    }
    let leaves = scene.steps.iter().any(|step| matches!(step, Step::Leaves));
    if let Err(error) = empty(worker, leaves).await {
        failed.get_or_insert(format!("{}: {error}", scene.name));
    }
    Played { answers, failed }
}

async fn take(
    step: &Step,
    worker: SocketAddr,
    pg: &Postgres,
    places: &Places,
    expected: Option<&Answers>,
    answers: &mut Answers,
) -> Result<(), String> {
    match step {
        Step::Lines(file, lines) => {
            let file = Path::new(&places.dir).join(file);
            let mut file = File::options()
                .create(true)
                .append(true)
                .open(file)
                .expect("a scene's file opens");
            let text: String = lines.iter().map(|line| places.put(line) + "\n").collect();
            file.write_all(text.as_bytes()).expect("lines are written");
        }
        Step::Sql(sql) => pg.execute(&places.put(sql)).await,
        Step::Until(request, conditions) => {
            until(worker, &filled(request, places), conditions).await?;
        }
        Step::Ask(ask) => {
            let title = &ask.title;
            let expected = expected.and_then(|all| all.iter().find(|(one, _)| one == title));
            let given = match expected {
                Some((_, expected)) if reads(ask) => shown(worker, ask, places, expected).await,
                _ => asked(worker, ask, places).await,
            };
            let given = given.map_err(|error| format!("{title}: {error}"))?;
            answers.push((title.clone(), given));
        }
        Step::Leaves => {}
    }
    Ok(())
}

fn filled(request: &Request, places: &Places) -> Request {
    Request {
        target: places.put(&request.target),
        body: request.body.as_deref().map(|body| places.put(body)),
        ..request.clone()
    }
}

/// Whether asking again changes nothing.
fn reads(ask: &Ask) -> bool {
    ask.requests.iter().all(|request| request.method == "GET")
}

/// The answer once it is as expected, or the last one.
async fn shown(
    worker: SocketAddr,
    ask: &Ask,
    places: &Places,
    expected: &[Answer],
) -> Result<Vec<Answer>, String> {
    let mut last = Err("it was not asked".to_owned());
    let as_expected = wait::within(SHOWN_MAX, async || {
        last = asked(worker, ask, places).await;
        let given = last.as_ref().ok()?;
        diff::between("", expected, given).is_empty().then_some(())
    });
    // The last answer says what differs, if it was never as expected.
    let _found = as_expected.await;
    last
}

async fn asked(worker: SocketAddr, ask: &Ask, places: &Places) -> Result<Vec<Answer>, String> {
    // All are polled by one task; each has a connection of its own, so that the worker meets them at once.
    let sent = ask.requests.iter().map(async |request| {
        let request = filled(request, places);
        let answer = if clients::is_command(&request) {
            let reply = clients::run(worker, &request).await?;
            rules::answer(&reply, clients::resource(&request), places)
        } else {
            let reply = settled(worker, &request).await?;
            rules::answer(&reply, &request.target, places)
        };
        Ok::<_, String>(answer)
    });
    let given = join_all(sent).await;
    let mut answers = given.into_iter().collect::<Result<Vec<_>, _>>()?;
    // Rule «at once»: who was first is chance, and how many were second, too; what all were told is a set.
    answers.sort_by_key(|answer| (answer.status, answer.body.to_string()));
    answers.dedup();
    Ok(answers)
}

/// What the original says, to any request and before it does anything, while its workers share out tasks. Tapline has one
/// worker and nothing to share out; the rule «rebalance» asks again.
const REBALANCE: &str = "a rebalance is expected";

async fn settled(worker: SocketAddr, request: &Request) -> Result<Reply, String> {
    let settled = wait::within(CONDITION_MAX, async || {
        let reply = client::send(worker, request).await;
        let again = reply
            .as_ref()
            .is_ok_and(|reply| reply.body.contains(REBALANCE));
        (!again).then_some(reply)
    });
    let settled = settled.await;
    settled.unwrap_or_else(|| Err(format!("{}: it never stopped rebalancing", request.target)))
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
