//! What is unlike between two answers, as a list of places with what stands there on either side.

use super::{json::Json, rules::Answer};
use indexmap::IndexMap;
use std::{
    collections::BTreeSet,
    fmt::{self, Display, Formatter},
};

/// What stands where nothing is.
pub const MISSING: &str = "(missing)";

/// One place where the answers are unlike.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// `scene / title of the request`.
    pub step: String,
    /// `status`, `header NAME`, a JSON pointer into the body, or a pointer and ` (order)`.
    pub place: String,
    /// What the original says there.
    pub original: String,
    /// What Tapline says there.
    pub ours: String,
}

impl Display for Difference {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            place,
            original,
            ours,
        } = self;
        write!(
            to,
            "{step} | {place}\n    original: {original}\n    ours:     {ours}"
        )
    }
}

/// Everything that is unlike in the answers to one request.
pub fn between(step: &str, original: &[Answer], ours: &[Answer]) -> Vec<Difference> {
    let mut found = Found {
        step,
        differences: Vec::new(),
    };
    if original.len() != ours.len() {
        found.push(
            "answers",
            original.len().to_string(),
            ours.len().to_string(),
        );
    }
    for (original, ours) in original.iter().zip(ours) {
        if original.status != ours.status {
            found.push(
                "status",
                original.status.to_string(),
                ours.status.to_string(),
            );
        }
        found.headers(&original.headers, &ours.headers);
        found.json("", &original.body, &ours.body);
    }
    found.differences
}

/// As [`between`] for requests sent at once to which several sets of codes are a lawful answer: the codes must be one of
/// these sets, and each answer one of those recorded for its code.
pub fn among(
    step: &str,
    lawful: &[BTreeSet<u16>],
    recorded: &[Answer],
    given: &[Answer],
) -> Vec<Difference> {
    let mut found = Found {
        step,
        differences: Vec::new(),
    };
    let codes: BTreeSet<u16> = given.iter().map(|answer| answer.status).collect();
    if !lawful.contains(&codes) {
        found.push("codes", format!("{lawful:?}"), format!("{codes:?}"));
    }
    for answer in given {
        let same = recorded.iter().filter(|one| one.status == answer.status);
        let unlike = same.map(|one| {
            between(
                step,
                std::slice::from_ref(one),
                std::slice::from_ref(answer),
            )
        });
        match unlike.min_by_key(Vec::len) {
            Some(least) => found.differences.extend(least),
            None => found.push(
                "answers",
                "never recorded".to_owned(),
                answer.status.to_string(),
            ),
        }
    }
    found.differences
}

struct Found<'a> {
    step: &'a str,
    differences: Vec<Difference>,
}

impl Found<'_> {
    fn push(&mut self, place: &str, original: String, ours: String) {
        self.differences.push(Difference {
            step: self.step.to_owned(),
            place: if place.is_empty() { "/" } else { place }.to_owned(),
            original,
            ours,
        });
    }

    fn headers(&mut self, original: &IndexMap<String, String>, ours: &IndexMap<String, String>) {
        for (name, value) in original {
            let other = ours.get(name).map_or(MISSING, String::as_str);
            if value != other {
                self.push(&format!("header {name}"), value.clone(), other.to_owned());
            }
        }
        for (name, value) in ours
            .iter()
            .filter(|(name, _)| !original.contains_key(*name))
        {
            self.push(&format!("header {name}"), MISSING.to_owned(), value.clone());
        }
    }

    fn json(&mut self, place: &str, original: &Json, ours: &Json) {
        match (original, ours) {
            (Json::Object(original), Json::Object(ours)) => self.objects(place, original, ours),
            (Json::List(original), Json::List(ours)) if original.len() == ours.len() => {
                for (position, (original, ours)) in original.iter().zip(ours).enumerate() {
                    self.json(&format!("{place}/{position}"), original, ours);
                }
            }
            _ if original == ours => {}
            _ => self.push(place, original.to_string(), ours.to_string()),
        }
    }

    fn objects(
        &mut self,
        place: &str,
        original: &IndexMap<String, Json>,
        ours: &IndexMap<String, Json>,
    ) {
        for (name, value) in original {
            let place = format!("{place}/{name}");
            match ours.get(name) {
                Some(other) => self.json(&place, value, other),
                None => self.push(&place, value.to_string(), MISSING.to_owned()),
            }
        }
        for (name, value) in ours
            .iter()
            .filter(|(name, _)| !original.contains_key(*name))
        {
            self.push(
                &format!("{place}/{name}"),
                MISSING.to_owned(),
                value.to_string(),
            );
        }
        let order = |of: &IndexMap<String, Json>, other: &IndexMap<String, Json>| {
            let names = of.keys().filter(|name| other.contains_key(*name));
            names.cloned().collect::<Vec<_>>()
        };
        let (original, ours) = (order(original, ours), order(ours, original));
        if original != ours {
            self.push(
                &format!("{place} (order)"),
                original.join(","),
                ours.join(","),
            );
        }
    }
}

#[test]
fn every_unlike_place_is_found_once() {
    let answer = |status, body: &str| Answer {
        status,
        headers: IndexMap::new(),
        body: Json::read(body).expect("it is JSON"),
    };
    let original = answer(200, r#"{"a": 1, "b": [1, {"c": 2}], "d": null, "e": 0}"#);
    let ours = answer(201, r#"{"b": [1, {"c": 3}], "a": 1, "e": 0, "f": 5}"#);
    let found = between("x", std::slice::from_ref(&original), &[ours]);
    let places: Vec<_> = found.iter().map(|one| one.place.as_str()).collect();
    assert_eq!(places, ["status", "/b/1/c", "/d", "/f", " (order)"]);
    assert_eq!(
        between(
            "x",
            std::slice::from_ref(&original),
            std::slice::from_ref(&original)
        ),
        []
    );
}

#[test]
fn a_race_may_end_in_any_lawful_way_and_in_no_other() {
    let answer = |status, body: &str| Answer {
        status,
        headers: IndexMap::new(),
        body: Json::read(body).expect("it is JSON"),
    };
    let (first, second) = (answer(201, "1"), answer(409, "2"));
    let lawful: Vec<BTreeSet<u16>> = vec![[201].into(), [201, 409].into()];
    let recorded = [first.clone(), second.clone()];
    let unlike = |given: &[Answer]| among("x", &lawful, &recorded, given).len();
    assert_eq!(unlike(std::slice::from_ref(&first)), 0);
    assert_eq!(unlike(&[first.clone(), second.clone()]), 0);
    assert_eq!(unlike(&[second]), 1, "not all of them may lose");
    assert_eq!(unlike(&[first, answer(409, "3")]), 1, "the text counts");
    assert_eq!(
        unlike(&[answer(500, "1")]),
        2,
        "neither code nor answer is lawful"
    );
}
