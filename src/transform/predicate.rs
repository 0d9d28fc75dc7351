//! Predicates: to which records a transform applies.
//!
//! Owns the keys `predicates` and `predicates.*`, and a transform's `predicate` and `negate`. Changes no record.

use super::{Class, Keys, PACKAGE, list, pick, regex_router::Pattern};
use std::{collections::BTreeMap, sync::Arc};
use tapline_sdk::{ConfigValue, Definition, Issue, Key, Record, Value};

/// Makes one predicate from its settings.
pub(crate) type MakeTest = fn(&Keys<'_>) -> Result<Test, Vec<Issue>>;

const PATTERN: Key<Pattern> = Key::required(
    "pattern",
    "",
    "an expression that matches the whole name of a topic",
);
const NAME: Key<HeaderName> = Key::required("name", "", "the header's name");

/// Every predicate.
pub(crate) const PREDICATES: [Class<MakeTest>; 3] = [
    Class {
        name: "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
        keys: &[NAME.definition],
        make: |keys| {
            let HeaderName(name) = keys.only(&NAME, &[])?;
            Ok(Test::Header(name))
        },
    },
    Class {
        name: "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone",
        keys: NONE,
        make: |keys| match keys.unknown(&[]) {
            issues if issues.is_empty() => Ok(Test::Tombstone),
            issues => Err(issues),
        },
    },
    Class {
        name: "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        keys: &[PATTERN.definition],
        make: |keys| keys.only(&PATTERN, &[]).map(Test::Topic),
    },
];

const NONE: &[Definition] = &[];

/// A header's name: anything but nothing.
pub(crate) struct HeaderName(String);

impl ConfigValue for HeaderName {
    const KIND: tapline_sdk::Kind = tapline_sdk::Kind::Text;
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("String must be non-empty".to_owned()),
            name => Ok(Self(name.to_owned())),
        }
    }
}

/// What is asked of a record.
#[derive(Debug)]
pub enum Test {
    /// Does its topic match as a whole?
    Topic(Pattern),
    /// Is its value null?
    Tombstone,
    /// Has it a header of this name?
    Header(String),
}

/// When a transform applies.
#[derive(Debug, Clone)]
pub struct Condition {
    test: Arc<Test>,
    negate: bool,
}

impl Condition {
    /// Whether it holds for this record.
    #[must_use]
    pub fn holds(&self, record: &Record) -> bool {
        let found = match &*self.test {
            Test::Topic(pattern) => pattern.matches(&record.topic),
            Test::Tombstone => matches!(record.value.value(), Value::Null),
            Test::Header(name) => record.headers.iter().any(|header| *header.name == **name),
        };
        found != self.negate
    }

    /// Whether it holds for every record of this topic; `None` if the topic alone does not tell.
    #[must_use]
    pub fn holds_for_topic(&self, topic: &str) -> Option<bool> {
        match &*self.test {
            Test::Topic(pattern) => Some(pattern.matches(topic) != self.negate),
            Test::Tombstone | Test::Header(_) => None,
        }
    }
}

/// The predicates of a connector's settings, by name.
pub(super) struct Tests(BTreeMap<String, Arc<Test>>);

impl Tests {
    /// Reads `predicates` and `predicates.*`; what is wrong with them is added to `issues`.
    pub(super) fn parse(settings: &BTreeMap<String, String>, issues: &mut Vec<Issue>) -> Self {
        let mut tests = BTreeMap::new();
        for name in list(settings, "predicates", issues) {
            let made = Keys::of(settings, "predicates", name)
                .and_then(|mut keys| pick(&PREDICATES, "predicate", &mut keys)?(&keys));
            match made {
                Ok(test) => drop(tests.insert(name.to_owned(), Arc::new(test))),
                Err(found) => issues.extend(found),
            }
        }
        Self(tests)
    }

    /// Takes `predicate` and `negate` out of a transform's keys.
    pub(super) fn condition(
        &self,
        listed: &str,
        keys: &mut Keys<'_>,
    ) -> Result<Option<Condition>, Vec<Issue>> {
        let negate = keys.values.remove("negate");
        let Some(name) = keys.values.remove("predicate").filter(|n| !n.is_empty()) else {
            let stray = || {
                vec![keys.issue(
                    "negate",
                    "is given without a predicate",
                    "name one in `predicate`, or remove it",
                )]
            };
            return negate.map_or(Ok(None), |_| Err(stray()));
        };
        let negate = bool::parse(negate.unwrap_or("false"))
            .map_err(|why| vec![keys.issue("negate", why, "set it to true or false")])?;
        match self.0.get(name) {
            Some(test) => Ok(Some(Condition {
                test: Arc::clone(test),
                negate,
            })),
            // A predicate that is listed and wrong has been named already.
            None if listed.split(',').any(|known| known.trim() == name) => Ok(None),
            None => Err(vec![keys.issue(
                "predicate",
                format!("\"{name}\" is not listed in `predicates`"),
                format!("add {name} to predicates and give it a type, such as {PACKAGE}predicates.TopicNameMatches"),
            )]),
        }
    }
}
