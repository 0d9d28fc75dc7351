//! What Confluent's Avro converter writes and reads, recorded by `tests/fixtures/converters/GoldenAvro.java`, against
//! ours: the registered schema and the bytes equal, and the same data read back, but for the cases listed with their
//! reasons.

use super::{
    super::{
        Converter,
        avro::{Output, Placeholder, Reader, Scratch, schema_text},
        json,
        plan::Bound,
    },
    golden::converter,
};
use serde_json::Value;
use std::{fs, path::Path, sync::Arc};
use tapline_sdk::{Arena, Cell, Schema};

/// What was recorded.
const GOLDEN: &str = "avro-golden.jsonl";

/// Where ours does something else, and why.
const DIFFERENT: &str = "avro-differences.jsonl";

/// How the recorder writes what was read.
const BACK: &str = "json replace.null.with.default=false";

/// One line of [`DIFFERENT`]: the case, which part of its answer, what ours is, why.
#[derive(serde::Deserialize)]
struct Difference {
    of: String,
    part: String,
    ours: String,
    why: String,
}

/// Part by part, what theirs is and what ours is.
type Answers = Vec<(&'static str, String, String)>;

struct Datum {
    arena: Arena,
    schema: Arc<Schema>,
    cell: Cell,
}

fn text<'a>(one: &'a Value, name: &str) -> Option<&'a str> {
    one[name].as_str()
}

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/converters");
    fs::read_to_string(folder.join(name)).expect("a fixture")
}

/// What the recorder was given; nothing where our JSON converter refuses what Kafka's reads, as `golden` lists.
fn given(text: &str) -> Option<Datum> {
    let Converter::Json(settings) = converter(BACK) else {
        unreachable!("it is JSON");
    };
    let mut arena = Arena::default();
    let read = json::Reader::new(settings).decode(text.as_bytes(), &mut arena);
    let (schema, cell) = read.ok()?;
    let schema = schema.expect("it has a schema");
    Some(Datum {
        arena,
        schema,
        cell,
    })
}

/// The bytes behind the frame; `null` for Kafka's null.
fn written(datum: &Datum) -> String {
    let bound = Bound::avro(&datum.schema, 1, &Placeholder::default()).expect("compiles");
    let mut out = Output::default();
    match bound.append(&datum.arena, datum.cell, &mut out) {
        Ok(true) => hex::encode(&out.bytes[bound.frame_bytes()..]),
        Ok(false) => "null".to_owned(),
        Err(_) => "refused".to_owned(),
    }
}

/// What ours reads, as the recorder writes it.
fn read(schema: &str, hex: &str) -> String {
    let bytes = hex::decode(hex).expect("hex");
    let Ok(reader) = Reader::parse(schema) else {
        return "refused".to_owned();
    };
    let mut arena = Arena::default();
    let Ok(cell) = reader.decode(&bytes, &mut arena, &mut Scratch::default()) else {
        return "refused".to_owned();
    };
    let bound = Bound::unregistered(
        &converter(BACK),
        Some(&reader.schema),
        &Placeholder::default(),
    );
    let bound = bound.expect("compiles").expect("not Avro");
    let mut out = Output::default();
    match bound.append(&arena, cell, &mut out) {
        Ok(_) => String::from_utf8(out.bytes).expect("JSON"),
        Err(_) => "refused".to_owned(),
    }
}

/// A schema without a version gets that of its subject from theirs, where ours leaves it as it was written.
fn without_subjects_version(back: &str, ours: &str) -> String {
    let version =
        |text: &str| serde_json::from_str::<Value>(text).ok()?["schema"]["version"].as_i64();
    match (version(back), version(ours)) {
        (Some(1), None) => {
            // The root's own attribute stands behind those of its fields.
            let at = back.rfind(",\"version\":1").expect("it has one");
            [&back[..at], &back[at + ",\"version\":1".len()..]].concat()
        }
        _ => back.to_owned(),
    }
}

fn answers(one: &Value) -> Answers {
    let refused = || "refused".to_owned();
    let mut answers = Vec::new();
    let datum = match text(one, "text").map(given) {
        Some(None) => return answers,
        Some(Some(datum)) => Some(datum),
        None => None,
    };
    let schema = match datum {
        None => text(one, "avro").expect("a schema").to_owned(),
        Some(datum) => {
            let ours = schema_text(&datum.schema).unwrap_or_else(|_| refused());
            if one.get("error").is_some() {
                return vec![("bytes", refused(), written(&datum))];
            }
            if one["hex"].is_null() {
                return vec![("bytes", "null".to_owned(), written(&datum))];
            }
            let theirs = text(one, "schema").expect("a schema").to_owned();
            let bytes = text(one, "hex").expect("bytes").to_owned();
            answers.push(("bytes", bytes, written(&datum)));
            answers.push(("schema", theirs.clone(), ours));
            theirs
        }
    };
    let ours = read(&schema, text(one, "hex").expect("bytes"));
    let theirs = match text(one, "back") {
        Some(back) => without_subjects_version(back, &ours),
        None => refused(),
    };
    answers.push(("back", theirs, ours));
    answers
}

#[test]
fn schemas_and_bytes_are_those_of_confluents_converter() {
    let mut listed: Vec<Difference> = fixture(DIFFERENT)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a difference"))
        .collect();
    assert!(
        listed.iter().all(|one| !one.why.is_empty()),
        "each difference has a reason"
    );
    let (mut equal, mut different, mut wrong) = (0, 0, String::new());
    for line in fixture(GOLDEN).lines() {
        let one: Value = serde_json::from_str(line).expect("a case");
        let of = text(&one, "text").or(text(&one, "avro")).expect("a case");
        for (part, theirs, ours) in answers(&one) {
            if theirs == ours {
                equal += 1;
                continue;
            }
            let same = |one: &Difference| one.of == of && one.part == part && one.ours == ours;
            if let Some(at) = listed.iter().position(same) {
                listed.swap_remove(at);
                different += 1;
                continue;
            }
            let line = serde_json::json!({"of": of, "part": part, "ours": ours, "why": ""});
            wrong.push_str(&format!("{line}\n  theirs: {theirs}\n"));
        }
    }
    assert!(wrong.is_empty(), "not as Confluent's:\n{wrong}");
    let idle: Vec<&str> = listed.iter().map(|one| one.of.as_str()).collect();
    assert!(idle.is_empty(), "different no longer: {idle:?}");
    println!(
        "{equal} answers equal those of Confluent's Avro converter, {different} differ as listed"
    );
    assert!(equal > 300, "the fixture was not read");
}
