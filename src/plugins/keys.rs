//! The runtime's own keys: what every connector's settings may hold, with Kafka Connect's names and meanings.

use crate::converter::{PLACEHOLDER as PLACEHOLDER_TEXT, Placeholder};
use std::time::Duration;
use tapline_sdk::{Definition, Key};

/// The heading of keys about what a connector is.
const GENERAL: &str = "General";
/// The heading of keys about errors.
const ERRORS: &str = "Errors";
/// The heading of keys about topics.
const TOPICS: &str = "Topics";

/// `name`.
pub const NAME: Key<String> =
    Key::required("name", GENERAL, "the connector's unique name").optional();
/// `connector.class`.
pub const CLASS: Key<String> = Key::required(
    "connector.class",
    GENERAL,
    "the connector's class, alias or short name",
)
.optional();
/// `tapline.pipeline`.
pub const PIPELINE: Key<String> = Key::required(
    "tapline.pipeline",
    GENERAL,
    "the pipeline whose file owns the connector; written by `tapline run` and `tapline apply`, never by people",
)
.optional();
/// `tasks.max`.
pub const TASKS_MAX: Key<u32> =
    Key::required("tasks.max", GENERAL, "the most tasks to run, at least 1").or("1");
/// `tasks.max.enforce`.
pub const TASKS_MAX_ENFORCE: Key<bool> = Key::required(
    "tasks.max.enforce",
    GENERAL,
    "whether a connector that makes more tasks than tasks.max is FAILED; false: a warning, and all of them run",
)
.or("true");
/// `transforms`.
pub const TRANSFORMS: Key<Vec<String>> = Key::required(
    "transforms",
    GENERAL,
    "names of transforms, applied in this order",
)
.optional();
/// `transforms.*`.
pub const TRANSFORM_KEYS: Key<String> =
    Key::required("transforms.*", GENERAL, "settings of a transform").optional();
/// `predicates`.
pub const PREDICATES: Key<Vec<String>> = Key::required(
    "predicates",
    GENERAL,
    "names of predicates, which say to which records a transform applies",
)
.optional();
/// `predicates.*`.
pub const PREDICATE_KEYS: Key<String> =
    Key::required("predicates.*", GENERAL, "settings of a predicate").optional();
/// `key.converter`.
pub const KEY_CONVERTER: Key<String> = Key::required(
    "key.converter",
    GENERAL,
    "how keys are written in the log, or read from it: avro, json, string, bytes, boolean, short, integer, long, \
     float, double, or Kafka's class of one of them",
)
.or("avro");
/// `key.converter.*`.
pub const KEY_CONVERTER_KEYS: Key<String> = Key::required(
    "key.converter.*",
    GENERAL,
    "settings of the converter of keys",
)
.optional();
/// `value.converter`.
pub const VALUE_CONVERTER: Key<String> = Key::required(
    "value.converter",
    GENERAL,
    "how values are written in the log, or read from it: as for keys",
)
.or("avro");
/// `value.converter.*`.
pub const VALUE_CONVERTER_KEYS: Key<String> = Key::required(
    "value.converter.*",
    GENERAL,
    "settings of the converter of values",
)
.optional();
/// `header.converter`.
pub const HEADER_CONVERTER: Key<String> = Key::required(
    "header.converter",
    GENERAL,
    "how headers are written and read: simple, or one of the others but avro; unset: text as it is, structs as keys",
)
.optional();
/// `header.converter.*`.
pub const HEADER_CONVERTER_KEYS: Key<String> = Key::required(
    "header.converter.*",
    GENERAL,
    "settings of the converter of headers",
)
.optional();
/// `compression.type`.
pub const COMPRESSION: Key<String> = Key::required(
    "compression.type",
    GENERAL,
    "how a source's batches are compressed: lz4, zstd or none",
)
.or("lz4");
/// `unavailable.value.placeholder`.
pub const PLACEHOLDER: Key<Placeholder> = Key::required(
    "unavailable.value.placeholder",
    GENERAL,
    "what a source's converter writes for a large value that did not change; bytes in hexadecimal after `hex:`",
)
.or(PLACEHOLDER_TEXT);
/// `topics`.
pub const TOPICS_LIST: Key<Vec<String>> =
    Key::required("topics", TOPICS, "the topics that a sink reads").optional();
/// `topics.regex`.
pub const TOPICS_REGEX: Key<String> = Key::required(
    "topics.regex",
    TOPICS,
    "an expression that matches the whole name of each topic that a sink reads",
)
.optional();
/// `topics.of`.
pub const TOPICS_OF: Key<Vec<String>> = Key::required(
    "topics.of",
    TOPICS,
    "source connectors: a sink reads every topic that they write, new ones included",
)
.optional();
/// `topic.creation.default.partitions`.
pub const PARTITIONS: Key<u32> = Key::required(
    "topic.creation.default.partitions",
    TOPICS,
    "partitions of the topics that a source creates; 1 keeps the order of a table's changes",
)
.or("1");
/// `topic.creation.default.replication.factor`.
pub const REPLICATION: Key<i32> = Key::required(
    "topic.creation.default.replication.factor",
    TOPICS,
    "copies of a topic: the embedded log keeps 1 (-1: its own default)",
)
.or("-1");
/// `errors.retry.timeout`.
pub const RETRY_TIMEOUT: Key<i64> = Key::required(
    "errors.retry.timeout",
    ERRORS,
    "milliseconds without progress for which a task tries again before it is FAILED; 0: it fails at once, -1: for ever",
)
.or("-1");
/// `errors.retry.delay.max.ms`.
pub const RETRY_DELAY_MAX: Key<Duration> = Key::required(
    "errors.retry.delay.max.ms",
    ERRORS,
    "the longest wait between two attempts, in milliseconds",
)
.or("10000");
/// `errors.tolerance`.
pub const TOLERANCE: Key<String> = Key::required(
    "errors.tolerance",
    ERRORS,
    "what becomes of a record that cannot be handled; none: the task fails and names it",
)
.or("none");
/// `config.action.reload`.
pub const RELOAD: Key<String> = Key::required(
    "config.action.reload",
    GENERAL,
    "restart or none: what to do when a secret's provider has a new value",
)
.or("restart");
/// `exactly.once.support`.
pub const EXACTLY_ONCE: Key<String> = Key::required(
    "exactly.once.support",
    GENERAL,
    "requested or required: records and source offsets are one commit either way",
)
.or("requested");

/// The log's id, beside [`NAME`] in what [`tapline_sdk::Connector::alter_offsets`] of a sink is given: a target keeps
/// positions under both. No key that people write.
pub const CLUSTER_ID: &str = "cluster.id";

/// Keys of sources and sinks.
pub const ALL: [Definition; 27] = [
    NAME.definition,
    CLASS.definition,
    PIPELINE.definition,
    TASKS_MAX.definition,
    TASKS_MAX_ENFORCE.definition,
    TRANSFORMS.definition,
    TRANSFORM_KEYS.definition,
    PREDICATES.definition,
    PREDICATE_KEYS.definition,
    KEY_CONVERTER.definition,
    KEY_CONVERTER_KEYS.definition,
    VALUE_CONVERTER.definition,
    VALUE_CONVERTER_KEYS.definition,
    HEADER_CONVERTER.definition,
    HEADER_CONVERTER_KEYS.definition,
    COMPRESSION.definition,
    PLACEHOLDER.definition,
    TOPICS_LIST.definition,
    TOPICS_REGEX.definition,
    TOPICS_OF.definition,
    PARTITIONS.definition,
    REPLICATION.definition,
    RETRY_TIMEOUT.definition,
    RETRY_DELAY_MAX.definition,
    TOLERANCE.definition,
    RELOAD.definition,
    EXACTLY_ONCE.definition,
];

/// Kafka Connect's keys that mean nothing here: accepted with a warning.
pub(super) const INERT: [&str; 2] = ["transaction.boundary", "transaction.boundary.interval.ms"];

/// Kafka Connect's keys that are not built yet, with what to do.
pub(super) const REFUSED: [(&str, &str); 8] = [
    (
        "errors.deadletterqueue.*",
        "remove it: a record that cannot be handled fails the task and is named",
    ),
    (
        "errors.log.*",
        "remove it: a record that cannot be handled is always named in the log",
    ),
    (
        "producer.override.*",
        "remove it: records go into the embedded log, which has no producer",
    ),
    (
        "consumer.override.*",
        "remove it: records come from the embedded log, which has no consumer",
    ),
    (
        "admin.override.*",
        "remove it: the embedded log has no admin client",
    ),
    (
        "offsets.storage.topic",
        "remove it: offsets are kept in connect-offsets",
    ),
    (
        "topic.creation.groups",
        "remove it: use topic.creation.default.partitions",
    ),
    (
        "topic.creation.*",
        "remove it: only topic.creation.default.partitions is read",
    ),
];
