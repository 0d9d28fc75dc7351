//! What an answer to a bad request has to be, as rules that can be checked.
//!
//! | Rule | Holds if |
//! |---|---|
//! | answered | there is an answer, and its status is no 5xx |
//! | judged | 2xx if and only if the request is good by the generator's own knowledge |
//! | form | a refusal is JSON and says so; `error_code` fits the status; beside it stands `message`, and nothing but the `refusals` of pipelines |
//! | place | the message names what was broken: the key, name, path, header or word itself, or line and column inside the body |
//! | remedy | the message ends with a sentence in brackets that tells somebody to do something: it has a verb of [`VERBS`], or a request to send |

use super::case::{Case, Expect, Place, Server};
use crate::compare::client::Reply;
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// What a remedy tells people to do.
const VERBS: [&str; 33] = [
    "add", "ask", "begin", "change", "check", "close", "choose", "correct", "create", "declare",
    "empty", "give", "leave", "keep", "let", "lists", "look", "make", "move", "name", "names",
    "remove", "put", "report", "see", "send", "set", "shows", "spell", "split", "stop", "use",
    "write",
];

/// What is wrong with an answer; nothing if it is as it should be.
pub fn judge(case: &Case, reply: &Reply) -> Result<(), String> {
    match (reply.status, &case.expect) {
        (500.., _) => Err(format!("answered {}", reply.status)),
        (200..=299, Expect::Taken | Expect::Either(_)) => Ok(()),
        (200..=299, Expect::Refused(_)) => Err("taken, and should be refused".to_owned()),
        (400..=499, Expect::Taken) => Err("refused, and should be taken".to_owned()),
        (400..=499, Expect::Refused(places) | Expect::Either(places)) => {
            // An answer to HEAD has no body.
            if case.request.method == "HEAD" {
                return Ok(());
            }
            let message = form(case, reply)?;
            place(case, places, &message)?;
            remedy(&message)
        }
        (status, _) => Err(format!("answered {status}")),
    }
}

fn form(case: &Case, reply: &Reply) -> Result<String, String> {
    let kind = reply
        .headers
        .iter()
        .find(|(name, _)| name == "content-type");
    if !kind.is_some_and(|(_, kind)| kind.contains("json")) {
        return Err(format!("not said to be JSON: {kind:?}"));
    }
    let body: Value = serde_json::from_str(&reply.body).map_err(|error| error.to_string())?;
    let fields = body.as_object().ok_or("not an object")?;
    let known = ["error_code", "message", "refusals"];
    if let Some(field) = fields.keys().find(|field| !known.contains(&&***field)) {
        return Err(format!("has a field {field}"));
    }
    let code = body["error_code"].as_u64().ok_or("has no error_code")?;
    let status = u64::from(reply.status);
    let fits = code == status || (case.request.server == Server::Registry && code / 100 == status);
    if !fits {
        return Err(format!("error_code {code} under status {status}"));
    }
    let message = body["message"].as_str().ok_or("has no message")?;
    Ok(message.to_owned())
}

fn place(case: &Case, places: &[Place], message: &str) -> Result<(), String> {
    let named = places.iter().any(|place| match place {
        Place::Word(word) => !word.is_empty() && message.contains(word.as_str()),
        Place::LineAndColumn => inside(message, case.request.body.as_deref().unwrap_or_default()),
    });
    match named {
        true => Ok(()),
        false => Err(format!("names none of {places:?}")),
    }
}

/// Whether the message names a line and a column that the body has.
fn inside(message: &str, body: &[u8]) -> bool {
    static AT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"line (\d+) column (\d+)").expect("the pattern is valid"));
    let Some(found) = AT.captures(message) else {
        return false;
    };
    let number = |at: usize| found[at].parse::<usize>().unwrap_or(usize::MAX);
    let mut lines = body.split(|byte| *byte == b'\n');
    let line = number(1).checked_sub(1).and_then(|at| lines.nth(at));
    // One behind the end is where something is missing.
    line.is_some_and(|line| number(2) <= line.len() + 1)
}

fn remedy(message: &str) -> Result<(), String> {
    static LAST: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?s)^.+? \((.+)\)$").expect("the pattern is valid"));
    let remedy = LAST.captures(message).and_then(|found| found.get(1));
    let remedy = remedy.ok_or("has no remedy")?.as_str();
    match tells(remedy) {
        true => Ok(()),
        false => Err("its remedy tells nobody to do anything".to_owned()),
    }
}

/// Whether a remedy tells somebody to do something.
pub fn tells(remedy: &str) -> bool {
    let mut words = remedy.split(|letter: char| !letter.is_ascii_alphabetic());
    let asks = ["GET /", "PUT /", "POST /", "did you mean"];
    words.any(|word| VERBS.contains(&word)) || asks.iter().any(|what| remedy.contains(what))
}

#[test]
fn an_answer_without_place_or_remedy_is_found() {
    use super::case::Request;
    let case = Request::json(Server::Connect, "PUT", "/x", "{\n}").refused("test", &["the.key"]);
    let syntax = Request::json(Server::Connect, "PUT", "/x", "{\n}")
        .expecting("test", Expect::Refused(vec![Place::LineAndColumn]));
    let reply = |status: u16, message: &str| Reply {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: format!("{{\"error_code\":{status},\"message\":\"{message}\"}}"),
    };
    let right = reply(400, "the.key is wrong (remove it)");
    assert_eq!(judge(&case, &right), Ok(()));
    assert_eq!(
        judge(&syntax, &reply(400, "bad at line 2 column 2 (send JSON)")),
        Ok(())
    );
    for (case, wrong) in [
        (&case, reply(400, "something is wrong (remove it)")),
        (&case, reply(400, "the.key is wrong")),
        (&case, reply(400, "the.key is wrong (really)")),
        (&case, reply(500, "the.key is wrong (remove it)")),
        (&case, reply(200, "the.key is taken (remove it)")),
        (&syntax, reply(400, "bad at line 3 column 1 (send JSON)")),
        (&syntax, reply(400, "bad at line 1 column 9 (send JSON)")),
    ] {
        assert!(judge(case, &wrong).is_err(), "{}", wrong.body);
    }
}
