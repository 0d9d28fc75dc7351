//! `tapline plan FILE…` and `tapline apply FILE…`: what files declare against what a worker has, and making it so.
//!
//! The worker compares, because only it knows the stored secrets; this side reads files, shows the plan, and says where
//! in a file stands what the worker refused. `plan` exits with 2 if there is something to do, `apply` with 0 once it is
//! done.

use super::{Failure, Found, Target, client::Client, files, output::Output};
use crate::{
    pipeline::{Elsewhere, Pipeline},
    plugins::{Plugins, keys},
    worker::{self, Subject, TopicSpec},
};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, io::Write, path::PathBuf};
use tapline_sdk::{Error, Issue, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Pipeline files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Delete connectors that these pipelines own and that the files no longer hold; offsets and topics stay
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct ApplyArguments {
    #[command(flatten)]
    plan: Arguments,
    /// Show what would be done, as `plan` does
    #[arg(long)]
    dry_run: bool,
}

/// The worker's answer.
#[derive(Deserialize)]
struct Answer {
    topics: Vec<TopicChange>,
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct TopicChange {
    topic: String,
    action: String,
    partitions: u32,
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Change {
    connector: String,
    kind: String,
    class: String,
    action: String,
    #[serde(default)]
    keys: Vec<Key>,
    renamed_from: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    key: String,
    old: Option<String>,
    new: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(flatten)]
    subject: Subject,
    key: String,
    problem: String,
    remedy: String,
}

/// What the words of a plan are before and after it is carried out: action, sign, before, after.
const ACTIONS: [(&str, char, &str, &str); 5] = [
    ("create", '+', "to create", "created"),
    ("change", '~', "to change", "changed"),
    ("delete", '-', "to delete", "deleted"),
    ("left", ' ', "left as they are", "left as they are"),
    ("unchanged", ' ', "unchanged", "unchanged"),
];

pub(super) async fn plan(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    declare(arguments, true, out).await
}

pub(super) async fn apply(
    arguments: &ApplyArguments,
    out: &mut dyn Write,
) -> Result<Found, Failure> {
    declare(&arguments.plan, arguments.dry_run, out).await
}

async fn declare(
    arguments: &Arguments,
    dry_run: bool,
    out: &mut dyn Write,
) -> Result<Found, Failure> {
    // Secrets are put in where the connectors run, which may be another machine.
    let pipelines = files::compile(&arguments.files, &Elsewhere(Plugins::builtin()))?;
    let client = Client::find(&arguments.target)?;
    let body = declaration(&pipelines, arguments.prune, dry_run);
    let path = ["tapline", "v1", "pipelines"];
    let (status, answer) = client.exchange(Method::POST, &path, &body).await?;
    if status != StatusCode::OK {
        return Err(refused(&pipelines, status, &answer));
    }
    let parsed: Answer = serde_json::from_value(answer.clone()).map_err(unknown_form)?;
    let planned = |action: &str| matches!(action, "create" | "change" | "delete");
    let mut actions = parsed.actions();
    actions.append(&mut parsed.topic_actions());
    let changes = actions.into_iter().any(planned);
    if arguments.output.is_json() {
        super::output::write(out, &with_summary(answer, &parsed))?;
    } else {
        write!(out, "{}", problem_free(&files::warnings(&pipelines)))?;
        for topic in &parsed.topics {
            write!(out, "{}", topic.shown())?;
        }
        for change in &parsed.changes {
            write!(out, "{}", change.shown(dry_run))?;
        }
        writeln!(out, "{}", summary(&parsed, dry_run))?;
    }
    Ok(match dry_run && changes {
        true => Found::Changes,
        false => Found::Fine,
    })
}

/// Warnings, if any, with an empty line after them.
fn problem_free(warnings: &str) -> String {
    match warnings {
        "" => String::new(),
        warnings => format!("{warnings}\n"),
    }
}

/// The body of the request. Placeholders travel as they are written.
fn declaration(pipelines: &[Pipeline], prune: bool, dry_run: bool) -> Value {
    let declared: Vec<Value> = pipelines
        .iter()
        .map(|pipeline| {
            let connectors = pipeline.connectors.iter().map(|part| {
                let spec = part.spec(&pipeline.file);
                let mut config: BTreeMap<String, String> = spec.settings;
                config.insert(keys::CLASS.name().to_owned(), spec.class);
                json!({
                    "name": spec.name,
                    "type": part.role,
                    "line": part.place.line,
                    "config": config,
                })
            });
            let connectors: Vec<Value> = connectors.collect();
            let topics = pipeline.topics.iter().map(|topic| {
                let TopicSpec {
                    name,
                    partitions,
                    config,
                    ..
                } = &topic.spec;
                json!({"name": name, "partitions": partitions, "config": config})
            });
            let topics: Vec<Value> = topics.collect();
            json!({
                "name": pipeline.name,
                "file": pipeline.file,
                "connectors": connectors,
                "topics": topics,
            })
        })
        .collect();
    json!({"pipelines": declared, "prune": prune, "dry_run": dry_run})
}

/// Every refusal at the line of its key; what is not about keys as one error.
fn refused(pipelines: &[Pipeline], status: StatusCode, answer: &Value) -> Failure {
    let refusals = answer.get("refusals").cloned().unwrap_or_default();
    let refusals: Vec<Refusal> = serde_json::from_value(refusals).unwrap_or_default();
    if refusals.is_empty() {
        return Client::refusal(status, answer).into();
    }
    let known = refusals.into_iter().map(|refusal| worker::Refusal {
        subject: refusal.subject,
        issue: Issue::new(refusal.key, refusal.problem, refusal.remedy),
    });
    files::refused(pipelines, &known.collect::<Vec<_>>())
}

fn unknown_form(error: serde_json::Error) -> Error {
    Error::config("the worker's plan has an unknown form")
        .code("TL0141")
        .remedy("use the tapline of the worker's version")
        .because(error)
}

impl Change {
    /// Its lines; none if there is nothing to say.
    fn shown(&self, dry_run: bool) -> String {
        let Self {
            connector,
            kind,
            class,
            action,
            ..
        } = self;
        let known = ACTIONS.iter().find(|(name, ..)| name == action);
        let (_, sign, ..) = known.unwrap_or(&("", '?', "", ""));
        let mut text = match action.as_str() {
            "unchanged" => return String::new(),
            "left" => format!(
                "  {connector}  left as it is: no file holds it any more, --prune deletes it\n"
            ),
            "delete" if kind == "source" => {
                format!("- {connector}  delete; its offsets and topics stay\n")
            }
            "delete" => format!("- {connector}  delete; its offsets stay\n"),
            "create" => format!("+ {connector}  create ({class} {kind})\n"),
            _ => format!("{sign} {connector}  {action}\n"),
        };
        if let Some(old) = &self.renamed_from {
            let it = if dry_run { "starts" } else { "started" };
            text.push_str(&format!(
                "    {old} under a new name? offsets do not move: it {it} without any\n"
            ));
        }
        for key in &self.keys {
            text.push_str(&key.shown());
        }
        text
    }
}

impl TopicChange {
    /// Its lines; none if there is nothing to say.
    fn shown(&self) -> String {
        let Self {
            topic, partitions, ..
        } = self;
        let plural = if *partitions == 1 { "" } else { "s" };
        let mut text = match self.action.as_str() {
            "unchanged" => return String::new(),
            "create" => format!("+ topic {topic}  create ({partitions} partition{plural})\n"),
            other => format!("~ topic {topic}  {other}\n"),
        };
        for key in &self.keys {
            text.push_str(&key.shown());
        }
        text
    }
}

impl Key {
    fn shown(&self) -> String {
        let Self { key, old, new } = self;
        match (old, new) {
            (Some(old), Some(new)) if old == new => format!("    {key}: another secret\n"),
            (Some(old), Some(new)) => format!("    {key}: {old} → {new}\n"),
            (None, Some(new)) => format!("    {key}: {new} (new)\n"),
            (Some(old), None) => format!("    {key}: {old} (removed)\n"),
            (None, None) => String::new(),
        }
    }
}

impl Answer {
    fn actions(&self) -> Vec<&str> {
        let changes = self.changes.iter();
        changes.map(|change| change.action.as_str()).collect()
    }

    fn topic_actions(&self) -> Vec<&str> {
        let changes = self.topics.iter();
        changes.map(|change| change.action.as_str()).collect()
    }
}

/// How often each action is taken, those included that are not.
fn counts(actions: &[&str]) -> [usize; ACTIONS.len()] {
    ACTIONS.map(|(action, ..)| actions.iter().filter(|taken| **taken == action).count())
}

/// Words for the actions that are taken; `None` if there are none.
fn counted(counts: [usize; ACTIONS.len()], dry_run: bool) -> Option<String> {
    let taken = ACTIONS.iter().zip(counts).filter(|(_, count)| *count > 0);
    let words = taken.map(|((_, _, before, after), count)| {
        let words = if dry_run { before } else { after };
        format!("{count} {words}")
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn summary(answer: &Answer, dry_run: bool) -> String {
    let connectors = counted(counts(&answer.actions()), dry_run);
    let topics = counted(counts(&answer.topic_actions()), dry_run);
    let topics = topics.map(|topics| format!("topics: {topics}"));
    let both: Vec<String> = connectors.into_iter().chain(topics).collect();
    match both.is_empty() {
        true => "nothing is declared".to_owned(),
        false => both.join("; "),
    }
}

fn with_summary(mut answer: Value, parsed: &Answer) -> Value {
    let object = |counts: [usize; ACTIONS.len()]| {
        let named = ACTIONS.iter().zip(counts);
        let named = named.map(|((action, ..), count)| ((*action).to_owned(), json!(count)));
        named.collect::<serde_json::Map<String, Value>>()
    };
    let mut summary = object(counts(&parsed.actions()));
    let mut topics = object(counts(&parsed.topic_actions()));
    // No plan deletes a topic, or leaves one that it would: it holds records.
    topics.retain(|action, _| !matches!(action.as_str(), "delete" | "left"));
    summary.insert("topics".to_owned(), Value::Object(topics));
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("summary".to_owned(), Value::Object(summary));
    }
    answer
}
