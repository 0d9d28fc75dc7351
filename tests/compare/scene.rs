//! Scenes: what is asked, in order, as text files under `scenes/`.
//!
//! ```text
//! # A comment.
//! -- lines in.txt: one|two            appends lines to a file in the scene's folder
//! -- sql create table t (id int)      runs a statement on the scene's Postgres
//! -- until GET /connectors/a/status: /connector/state = RUNNING; /tasks/0/state = RUNNING
//! -- until GET /connectors/a: 404     asks until the answer is so
//! == title of a request, once in a scene
//! POST /connectors
//! Accept: text/plain                  headers; a body without Content-Type gets application/json, `-` sends none
//!
//! {"name": "a"}
//! == sent four times at once
//! times 4
//! lawful 201 | 201 409                either all are told 201, or some of them 409: who is first is nobody's to say
//! POST /connectors
//!
//! {"name": "b"}
//! == several at once
//! POST /connectors
//!
//! {"name": "b"}
//! &
//! DELETE /connectors/b
//! ```
//!
//! A client of `clients.rs` may stand for the method.
//!
//! `<dir>` stands for the scene's folder and `<pg>` for its Postgres' port. The answers to requests sent at once are
//! compared as a set; where the sets of codes that are lawful are said, any of them will do, each answer being one that
//! is recorded for its code.

use super::client::Request;
use std::{collections::BTreeSet, fs, path::Path};

/// One file of scenes.
#[derive(Debug)]
pub struct Scene {
    /// The file's name without its ending.
    pub name: String,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// One thing done in a scene.
#[derive(Debug)]
pub enum Step {
    /// Lines appended to a file.
    Lines(String, Vec<String>),
    /// A statement run on Postgres.
    Sql(String),
    /// A request repeated until its answer meets every condition.
    Until(Request, Vec<Condition>),
    /// Requests sent at once, whose answers are compared.
    Ask(Ask),
    /// The scene leaves connectors behind that no URL reaches.
    Leaves,
}

/// Requests whose answers are compared.
#[derive(Debug)]
pub struct Ask {
    /// Their title, once in a scene.
    pub title: String,
    /// One, or several that are sent at once.
    pub requests: Vec<Request>,
    /// The sets of status codes that may come back; empty: the one that is recorded.
    pub lawful: Vec<BTreeSet<u16>>,
}

/// What an awaited answer must be.
#[derive(Debug)]
pub enum Condition {
    /// Its status code.
    Status(u16),
    /// A JSON pointer and the plain value there; `(missing)` where nothing is.
    Value(String, String),
}

/// All scenes, in the order of their names.
pub fn all() -> Vec<Scene> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare/scenes");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the scenes' folder is there")
        .map(|entry| entry.expect("a scene's entry is readable").path())
        .collect();
    files.sort();
    let scenes: Vec<_> = files.iter().map(|file| scene(file)).collect();
    assert!(!scenes.is_empty(), "there are no scenes");
    scenes
}

fn scene(file: &Path) -> Scene {
    let text = fs::read_to_string(file).expect("a scene is text");
    let name = file
        .file_stem()
        .expect("a scene has a name")
        .to_string_lossy()
        .into_owned();
    let mut steps = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("-- ") {
            steps.push(preparation(rest).unwrap_or_else(|| panic!("{name}: {line}")));
        } else if let Some(title) = line.strip_prefix("== ") {
            let mut block = Vec::new();
            while let Some(line) = lines.next_if(|line| !begins_a_step(line)) {
                block.push(line);
            }
            let ask = ask(title, &block);
            let ask = ask.unwrap_or_else(|| panic!("{name}: {title}: not a request"));
            steps.push(Step::Ask(ask));
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{name}: {line}");
        }
    }
    Scene { name, steps }
}

fn begins_a_step(line: &str) -> bool {
    ["== ", "-- ", "# "]
        .iter()
        .any(|mark| line.starts_with(mark))
}

fn preparation(line: &str) -> Option<Step> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match verb {
        "lines" => {
            let (file, lines) = rest.split_once(": ")?;
            Step::Lines(
                file.to_owned(),
                lines.split('|').map(str::to_owned).collect(),
            )
        }
        "sql" => Step::Sql(rest.to_owned()),
        "until" => {
            let (request, conditions) = rest.split_once(": ")?;
            let (method, target) = request.split_once(' ')?;
            let conditions = conditions
                .split("; ")
                .map(condition)
                .collect::<Option<_>>()?;
            Step::Until(Request::bare(method, target), conditions)
        }
        "leaves" => Step::Leaves,
        _ => return None,
    })
}

fn condition(text: &str) -> Option<Condition> {
    match text.split_once(" = ") {
        Some((pointer, value)) => Some(Condition::Value(pointer.to_owned(), value.to_owned())),
        None => text.parse().ok().map(Condition::Status),
    }
}

fn ask(title: &str, block: &[&str]) -> Option<Ask> {
    let (times, block) = match block.first()?.strip_prefix("times ") {
        Some(times) => (times.parse().ok()?, block.get(1..)?),
        None => (1, block),
    };
    let (lawful, block) = match block.first()?.strip_prefix("lawful ") {
        Some(sets) => (codes(sets)?, block.get(1..)?),
        None => (Vec::new(), block),
    };
    let requests = block.split(|line| *line == "&").map(request);
    let requests = requests.collect::<Option<Vec<_>>>()?;
    Some(Ask {
        title: title.to_owned(),
        requests: std::iter::repeat_n(requests, times).flatten().collect(),
        lawful,
    })
}

fn codes(sets: &str) -> Option<Vec<BTreeSet<u16>>> {
    let set = |set: &str| set.split(' ').map(|code| code.parse().ok()).collect();
    sets.split(" | ").map(set).collect()
}

fn request(block: &[&str]) -> Option<Request> {
    let (method, target) = block.first()?.split_once(' ')?;
    let head = block
        .iter()
        .position(|line| line.is_empty())
        .unwrap_or(block.len());
    let body = block.get(head + 1..).unwrap_or_default().join("\n");
    let body = body.trim_end();
    let body = (!body.is_empty()).then(|| if body == "(empty)" { "" } else { body }.to_owned());
    let mut headers = Vec::new();
    for line in block.get(1..head)? {
        let (name, value) = line.split_once(": ")?;
        headers.push((name.to_owned(), value.to_owned()));
    }
    let typed = headers.iter().position(|(name, _)| name == "Content-Type");
    match typed {
        Some(at) if headers.get(at).is_some_and(|(_, value)| value == "-") => {
            headers.remove(at);
        }
        None if body.is_some() => {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        _ => {}
    }
    Some(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body,
    })
}
