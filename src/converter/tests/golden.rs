//! What Kafka Connect's own converters read and write, recorded by `tests/fixtures/converters/Golden.java`, against
//! ours: equal byte for byte, but for the cases listed here with their reasons.

use super::super::{
    Converter, Converters, Placeholder,
    avro::Output,
    headers::{self, HeaderText},
    plan::Bound,
    reading::{AvroReader, Reading},
};
use crate::{registry::Registry, state::tests::Memory};
use std::{collections::BTreeMap, sync::Arc};
use tapline_sdk::{Arena, Cell, Schema, Type};

const GOLDEN: &str = include_str!("../../../tests/fixtures/converters/golden.jsonl");

/// Where ours does something else, and why.
const DIFFERENT: &str = include_str!("../../../tests/fixtures/converters/differences.jsonl");

/// One line of [`DIFFERENT`]: what is read, by whom it is written (`*`: reading differs), what ours does.
#[derive(serde::Deserialize)]
struct Difference {
    from: String,
    #[serde(rename = "in")]
    input: String,
    to: String,
    ours: String,
    why: String,
}

/// An outcome as the fixture tells it.
#[derive(Debug, PartialEq)]
enum Answer {
    Bytes(Option<Vec<u8>>),
    Refused,
}

struct Datum {
    arena: Arena,
    schema: Option<Arc<Schema>>,
    cell: Cell,
}

fn class_of(short: &str) -> &str {
    super::super::Class::find(short).expect("a converter").class
}

/// `json schemas.enable=false` under Kafka's own name, and so with its defaults.
pub(super) fn converter(words: &str) -> Converter {
    let mut words = words.split(' ');
    let name = class_of(words.next().expect("a name")).to_owned();
    let mut settings = BTreeMap::from([("value.converter".to_owned(), name)]);
    for word in words {
        let (key, value) = word.split_once('=').expect("key=value");
        settings.insert(format!("value.converter.{key}"), value.to_owned());
    }
    let (converters, _) = Converters::parse(&settings).expect("valid settings");
    converters.value
}

fn read(from: &str, bytes: Option<&[u8]>, avro: &mut AvroReader) -> Option<Datum> {
    let mut arena = Arena::default();
    let (kind, rest) = from.split_once(' ').unwrap_or((from, ""));
    let (schema, cell) = match (kind, bytes) {
        ("float32", _) => {
            let value = f32::from_bits(u32::from_str_radix(rest, 16).expect("bits"));
            (
                Some(Schema::of(Type::Float32).build()),
                Cell::Float(value.into()),
            )
        }
        ("float64", _) => {
            let value = f64::from_bits(u64::from_str_radix(rest, 16).expect("bits"));
            (Some(Schema::of(Type::Float64).build()), Cell::Float(value))
        }
        ("simple", Some(bytes)) => {
            let text = std::str::from_utf8(bytes).expect("text");
            match headers::told_apart(text) {
                Some((schema, cell)) => (Some(schema), cell),
                None => (Some(Schema::string()), arena.text(text)),
            }
        }
        (_, None) => (None, Cell::Null),
        (_, Some(bytes)) => {
            let read = Reading::new(&converter(from)).read(bytes, avro, &mut arena);
            read.ok()?
        }
    };
    Some(Datum {
        arena,
        schema,
        cell,
    })
}

fn write(to: &str, datum: &Datum) -> Answer {
    let mut out = Output::default();
    let present = if to == "simple" {
        let schema = datum.schema.as_deref();
        let (arena, cell) = (&datum.arena, datum.cell);
        match cell {
            Cell::Null => Ok(false),
            cell => headers::text(HeaderText::Simple, schema, arena, cell, &mut out.bytes)
                .map(|()| true),
        }
    } else {
        let bound = Bound::unregistered(
            &converter(to),
            datum.schema.as_ref(),
            &Placeholder::default(),
        );
        let bound = bound.expect("compiles").expect("not Avro");
        bound.append(&datum.arena, datum.cell, &mut out)
    };
    match present {
        Ok(present) => Answer::Bytes(present.then_some(out.bytes)),
        Err(_) => Answer::Refused,
    }
}

fn text_or_hex(json: &serde_json::Value) -> Option<Vec<u8>> {
    let text = json.get("text").and_then(|text| text.as_str());
    let hex = json.get("hex").and_then(|hex| hex.as_str());
    let hex = hex.map(|hex| hex::decode(hex).expect("hex"));
    text.map(|text| text.as_bytes().to_vec()).or(hex)
}

fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Refused => "refused".to_owned(),
        Answer::Bytes(None) => "null".to_owned(),
        Answer::Bytes(Some(bytes)) => {
            String::from_utf8(bytes.clone()).unwrap_or_else(|_| hex::encode(bytes))
        }
    }
}

/// What both make of each case.
fn outcomes(avro: &mut AvroReader) -> Vec<(Difference, Answer, Answer)> {
    let mut all = Vec::new();
    for line in GOLDEN.lines() {
        let one: serde_json::Value = serde_json::from_str(line).expect("a case");
        let from = one["from"].as_str().expect("from");
        let bytes = text_or_hex(&one);
        let datum = read(from, bytes.as_deref(), avro);
        let mut add = |to: &str, theirs: Answer, ours: Answer| {
            let of = Difference {
                from: from.to_owned(),
                input: String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned(),
                to: to.to_owned(),
                ours: shown(&ours),
                why: String::new(),
            };
            all.push((of, theirs, ours));
        };
        let answers = one["answers"].as_object().expect("answers");
        if answers
            .get("error")
            .is_some_and(serde_json::Value::is_string)
        {
            let ours = datum
                .as_ref()
                .map_or(Answer::Refused, |datum| write("json", datum));
            add("*", Answer::Refused, ours);
            continue;
        }
        for (to, answer) in answers {
            let theirs = match answer.get("error") {
                Some(_) => Answer::Refused,
                None => Answer::Bytes(text_or_hex(answer)),
            };
            let ours = datum
                .as_ref()
                .map_or(Answer::Refused, |datum| write(to, datum));
            add(to, theirs, ours);
        }
    }
    all
}

#[tokio::test]
async fn bytes_are_those_of_kafkas_converters() {
    let log = Memory::default();
    let mut avro = AvroReader::new(Registry::open(log.broker()).await.unwrap());
    let mut listed: Vec<Difference> = DIFFERENT
        .lines()
        .map(|line| serde_json::from_str(line).expect("a difference"))
        .collect();
    assert!(
        listed.iter().all(|one| !one.why.is_empty()),
        "each difference has a reason"
    );
    let (mut equal, mut different, mut wrong) = (0, 0, String::new());
    for (of, theirs, ours) in outcomes(&mut avro) {
        if theirs == ours {
            equal += 1;
            continue;
        }
        let same = |one: &Difference| {
            (&one.from, &one.input, &one.to, &one.ours) == (&of.from, &of.input, &of.to, &of.ours)
        };
        match listed.iter().position(same) {
            Some(at) => {
                listed.swap_remove(at);
                different += 1;
            }
            None => {
                let Difference {
                    from,
                    input,
                    to,
                    ours,
                    ..
                } = &of;
                let line = serde_json::json!({"from": from, "in": input, "to": to, "ours": ours});
                wrong.push_str(&format!("{line}\n  theirs: {}\n", shown(&theirs)));
            }
        }
    }
    assert!(wrong.is_empty(), "not as Kafka's:\n{wrong}");
    let idle: Vec<&str> = listed.iter().map(|one| one.input.as_str()).collect();
    assert!(idle.is_empty(), "different no longer: {idle:?}");
    println!("{equal} outcomes equal those of Kafka's converters, {different} differ as listed");
    assert!(equal > 600, "the fixture was not read");
}
