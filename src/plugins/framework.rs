//! The runtime's keys as Kafka Connect's tools show them: headings, labels, places and order of its worker.
//!
//! What a key means and its default stand in [`super::keys`], where it is declared; keys that Connect has and nothing
//! here reads are declared here, so that a form shows them. Owns no rule about values: see [`super::rules`].

use super::keys;
use crate::worker::ConnectorKind;
use tapline_sdk::{
    Definition,
    Importance::{High, Low, Medium},
    Kind, Presence, Width,
};

const COMMON: &str = "Common";
const TRANSFORMS: &str = "Transforms";
const PREDICATES: &str = "Predicates";
const ERRORS: &str = "Error Handling";
const TOPIC_CREATION: &str = "Topic Creation";
const EXACTLY_ONCE: &str = "Exactly Once Support";
const OFFSETS: &str = "offsets.topic";

const NAME: Definition = required(keys::NAME.definition)
    .under(COMMON)
    .shown(High, Width::Medium)
    .display("Connector name")
    .order(1);
const CLASS: Definition = required(keys::CLASS.definition)
    .under(COMMON)
    .shown(High, Width::Long)
    .display("Connector class")
    .order(2);
const TASKS_MAX: Definition = keys::TASKS_MAX
    .definition
    .under(COMMON)
    .shown(High, Width::Short)
    .display("Tasks max")
    .order(4);
const TASKS_MAX_ENFORCE: Definition = keys::TASKS_MAX_ENFORCE
    .definition
    .under(COMMON)
    .shown(Low, Width::Short)
    .display("Enforce tasks max")
    .order(5);
const KEY_CONVERTER: Definition = class(keys::KEY_CONVERTER.definition)
    .display("Key converter class")
    .order(6);
const VALUE_CONVERTER: Definition = class(keys::VALUE_CONVERTER.definition)
    .display("Value converter class")
    .order(8);
const HEADER_CONVERTER: Definition = class(keys::HEADER_CONVERTER.definition)
    .display("Header converter class")
    .order(10);
const TRANSFORM_LIST: Definition = keys::TRANSFORMS
    .definition
    .under(TRANSFORMS)
    .or("")
    .shown(Low, Width::Long)
    .display("Transforms")
    .order(12);
const PREDICATE_LIST: Definition = keys::PREDICATES
    .definition
    .under(PREDICATES)
    .or("")
    .shown(Low, Width::Long)
    .display("Predicates")
    .order(13);
const RELOAD: Definition = keys::RELOAD
    .definition
    .under(COMMON)
    .shown(Low, Width::Medium)
    .display("Reload Action")
    .order(14);
const RETRY_TIMEOUT: Definition = keys::RETRY_TIMEOUT
    .definition
    .under(ERRORS)
    .shown(Medium, Width::Medium)
    .display("Retry Timeout for Errors");
const RETRY_DELAY_MAX: Definition = keys::RETRY_DELAY_MAX
    .definition
    .under(ERRORS)
    .shown(Medium, Width::Medium)
    .display("Maximum Delay Between Retries for Errors");
const TOLERANCE: Definition = keys::TOLERANCE
    .definition
    .under(ERRORS)
    .shown(Medium, Width::Short)
    .display("Error Tolerance");
const LOG_ENABLE: Definition = switch("errors.log.enable", "Log Errors").documented(
    "accepted and not read: a record that cannot be handled is always named in the log",
);
const LOG_MESSAGES: Definition = switch("errors.log.include.messages", "Log Error Details")
    .documented("whether records themselves are logged; they never are");

const TOPIC_GROUPS: Definition =
    Definition::foreign("topic.creation.groups", Kind::List, TOPIC_CREATION)
        .or("")
        .shown(Low, Width::Long)
        .display("Topic Creation Groups")
        .documented("groups of topics that are created alike");
const SUPPORT: Definition = keys::EXACTLY_ONCE
    .definition
    .under(EXACTLY_ONCE)
    .shown(Medium, Width::Short)
    .display("Exactly once support")
    .order(2);
const BOUNDARY: Definition = Definition::foreign("transaction.boundary", Kind::Text, EXACTLY_ONCE)
    .or("poll")
    .shown(Medium, Width::Short)
    .display("Transaction Boundary")
    .documented("accepted and not read: every batch of a source is one commit");
const BOUNDARY_INTERVAL: Definition =
    Definition::foreign("transaction.boundary.interval.ms", Kind::Long, EXACTLY_ONCE)
        .shown(Low, Width::Short)
        .display("Transaction boundary interval")
        .documented("accepted and not read: every batch of a source is one commit");
const OFFSETS_TOPIC: Definition = Definition::foreign("offsets.storage.topic", Kind::Text, OFFSETS)
    .shown(Low, Width::Long)
    .display("Offsets topic")
    .documented("a topic of the connector's own for offsets; they are kept in connect-offsets");

const TOPICS: Definition = keys::TOPICS_LIST
    .definition
    .under(COMMON)
    .or("")
    .shown(High, Width::Long)
    .display("Topics")
    .order(4);
const TOPICS_REGEX: Definition = keys::TOPICS_REGEX
    .definition
    .under(COMMON)
    .or("")
    .shown(High, Width::Long)
    .display("Topics regex")
    .order(4);
const DEAD_LETTERS: Definition =
    Definition::foreign("errors.deadletterqueue.topic.name", Kind::Text, ERRORS)
        .or("")
        .shown(Medium, Width::Medium)
        .display("Dead Letter Queue Topic Name")
        .documented("the topic of records that cannot be handled; dead letters are not built yet");
const DEAD_LETTER_COPIES: Definition = Definition::foreign(
    "errors.deadletterqueue.topic.replication.factor",
    Kind::Short,
    ERRORS,
)
.or("3")
.shown(Medium, Width::Medium)
.display("Dead Letter Queue Topic Replication Factor")
.documented("accepted and not read: the log keeps one copy");
const DEAD_LETTER_HEADERS: Definition = switch(
    "errors.deadletterqueue.context.headers.enable",
    "Enable Error Context Headers",
)
.shown(Medium, Width::Medium)
.documented(
    "whether dead letters carry headers that tell the error; dead letters are not built yet",
);

/// Keys that every connector has, in Connect's order.
const SHARED: [Definition; 19] = [
    NAME,
    CLASS,
    version("connector.plugin.version", "Connector version", 3).shown(Medium, Width::Medium),
    TASKS_MAX,
    TASKS_MAX_ENFORCE,
    KEY_CONVERTER,
    version("key.converter.plugin.version", "Key converter version", 7),
    VALUE_CONVERTER,
    version(
        "value.converter.plugin.version",
        "Value converter version",
        9,
    ),
    HEADER_CONVERTER,
    version(
        "header.converter.plugin.version",
        "Header converter version",
        11,
    ),
    TRANSFORM_LIST,
    PREDICATE_LIST,
    RELOAD,
    RETRY_TIMEOUT,
    RETRY_DELAY_MAX,
    TOLERANCE,
    LOG_ENABLE,
    LOG_MESSAGES,
];

const OF_SOURCES: [Definition; 5] = [
    TOPIC_GROUPS,
    SUPPORT,
    BOUNDARY,
    BOUNDARY_INTERVAL,
    OFFSETS_TOPIC,
];

const OF_SINKS: [Definition; 5] = [
    TOPICS,
    TOPICS_REGEX,
    DEAD_LETTERS,
    DEAD_LETTER_COPIES,
    DEAD_LETTER_HEADERS,
];

/// Keys of Connect that are shown and accepted, and mean nothing here.
pub(super) const UNREAD: [&str; 7] = [
    "connector.plugin.version",
    "key.converter.plugin.version",
    "value.converter.plugin.version",
    "header.converter.plugin.version",
    LOG_ENABLE.name,
    DEAD_LETTER_COPIES.name,
    DEAD_LETTER_HEADERS.name,
];

/// Connect's keys of a connector of this kind, in the order in which its worker shows them.
pub(super) fn definitions(kind: ConnectorKind) -> Vec<Definition> {
    let own = match kind {
        ConnectorKind::Source => OF_SOURCES,
        ConnectorKind::Sink => OF_SINKS,
    };
    [SHARED.as_slice(), own.as_slice()].concat()
}

/// Keys of the runtime that Connect has not: shown for our own classes.
pub(super) fn ours(kind: ConnectorKind) -> Vec<Definition> {
    match kind {
        ConnectorKind::Source => vec![
            keys::COMPRESSION.definition,
            keys::PLACEHOLDER.definition,
            keys::PARTITIONS.definition,
            keys::REPLICATION.definition,
        ],
        ConnectorKind::Sink => vec![keys::TOPICS_OF.definition],
    }
}

/// Whether this is what leaving the key out means, so that a key which is not built asks for nothing.
pub(super) fn is_default(key: &str, value: &str) -> bool {
    let mut known = SHARED.iter().chain(&OF_SOURCES).chain(&OF_SINKS);
    known.any(|known| {
        known.name == key
            && matches!(known.presence, Presence::Default(default) if default == value)
    })
}

/// Pipeline files name both for the connector; elsewhere they must be given.
const fn required(mut definition: Definition) -> Definition {
    definition.presence = Presence::Required;
    definition
}

const fn class(mut definition: Definition) -> Definition {
    definition.kind = Kind::Class;
    definition.under(COMMON).shown(Low, Width::Short)
}

const fn switch(name: &'static str, label: &'static str) -> Definition {
    Definition::foreign(name, Kind::Boolean, ERRORS)
        .or("false")
        .shown(Medium, Width::Short)
        .display(label)
}

const fn version(name: &'static str, label: &'static str, order: i32) -> Definition {
    Definition::foreign(name, Kind::Text, COMMON)
        .shown(Low, Width::Short)
        .display(label)
        .order(order)
        .documented("the version that must be in use; there is one of each")
}
