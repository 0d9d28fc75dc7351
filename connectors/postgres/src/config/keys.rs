//! The keys, each declared once.

use super::{
    filter::NameList,
    modes::{Autocreate, Off, Plugin, Prefix, Profile, SlotName, SnapshotMode},
};
use crate::{
    options::{
        BinaryMode, ColumnMatch, DecimalMode, HstoreMode, IntervalMode, KeyColumns, NameAdjustment,
        SkippedOperations, TimePrecision,
    },
    wire::SslMode,
};
use std::time::Duration;
use tapline_sdk::{Definition, Importance, Key, Secret};

const CONNECTION: &str = "Connection";
const CAPTURE: &str = "Capture";
const SNAPSHOT: &str = "Snapshot";
const STREAM: &str = "Stream";
const EVENTS: &str = "Events";

/// Declares keys and the list of their definitions.
macro_rules! keys {
    ($($name:ident: $type:ty = $key:expr;)+) => {
        $(pub(super) const $name: Key<$type> = $key;)+
        /// Every key, in the order in which tools show them.
        pub(super) const KEYS: &[Definition] = &[$($name.definition),+];
    };
}

keys! {
    HOSTNAME: String = Key::required("database.hostname", CONNECTION, "host name or address of the server")
        .importance(Importance::High);
    PORT: u16 = Key::required("database.port", CONNECTION, "TCP port of the server").or("5432");
    USER: String = Key::required("database.user", CONNECTION, "role that has LOGIN and REPLICATION")
        .importance(Importance::High);
    PASSWORD: Secret = Key::required("database.password", CONNECTION, "password of the role").optional()
        .importance(Importance::High);
    DATABASE: String = Key::required("database.dbname", CONNECTION, "database to capture")
        .importance(Importance::High);
    SSL_MODE: SslMode = Key::required("database.sslmode", CONNECTION, "TLS, with libpq's meaning of the modes")
        .or("prefer");
    SSL_ROOT: String = Key::required("database.sslrootcert", CONNECTION, "PEM file of the authorities to trust")
        .optional();
    SSL_CERT: String = Key::required("database.sslcert", CONNECTION, "PEM file of our certificate").optional();
    SSL_KEY: String = Key::required("database.sslkey", CONNECTION, "PEM file of our certificate's key").optional();
    TOPIC_PREFIX: Prefix = Key::required("topic.prefix", CAPTURE,
        "logical name of the server, the first part of every topic; default: the part of the connector's name \
         before the first dot").optional().importance(Importance::High);
    TOPIC_DELIMITER: String = Key::required("topic.delimiter", CAPTURE, "between the parts of a topic's name").or(".");
    PLUGIN: Plugin = Key::required("plugin.name", STREAM, "output plugin: always pgoutput").or("pgoutput");
    SLOT: SlotName = Key::required("slot.name", STREAM,
        "replication slot, created if it is missing; default: tapline_ and topic.prefix").optional();
    SLOT_DROP: bool = Key::required("slot.drop.on.stop", STREAM,
        "drop the slot when the task stops: changes made meanwhile are lost, for tests only").or("false");
    SLOT_RETRIES: u32 = Key::required("slot.max.retries", STREAM,
        "how often to try again while another process uses the slot").or("6");
    SLOT_RETRY_DELAY: Duration = Key::required("slot.retry.delay.ms", STREAM, "pause between these tries").or("10000");
    PUBLICATION: String = Key::required("publication.name", STREAM,
        "publication to read; default: tapline_ and topic.prefix").optional();
    AUTOCREATE: Autocreate = Key::required("publication.autocreate.mode", STREAM,
        "whether and with which tables the publication is created").or("filtered");
    VIA_ROOT: bool = Key::required("publish.via.partition.root", STREAM,
        "changes of partitions come as changes of the partitioned table; set when the publication is created, and \
         the snapshot reads the same way. Truncates of single partitions are not published then").or("true");
    STATUS_INTERVAL: Duration = Key::required("status.update.interval.ms", STREAM,
        "how often the server is told how far we are, at least three times per wal_sender_timeout").or("10000");
    SCHEMAS: NameList = Key::required("schema.include.list", CAPTURE, "schemas to capture: names or patterns")
        .optional();
    SCHEMAS_NOT: NameList = Key::required("schema.exclude.list", CAPTURE, "schemas not to capture").optional();
    TABLES: NameList = Key::required("table.include.list", CAPTURE,
        "tables to capture, schema.table: names or patterns; default: all").optional().importance(Importance::High);
    TABLES_NOT: NameList = Key::required("table.exclude.list", CAPTURE, "tables not to capture").optional();
    COLUMNS: ColumnMatch = Key::required("column.include.list", CAPTURE,
        "columns to capture, schema.table.column: names or patterns; default: all").optional();
    COLUMNS_NOT: ColumnMatch = Key::required("column.exclude.list", CAPTURE, "columns not to capture").optional();
    KEY_COLUMNS: KeyColumns = Key::required("message.key.columns", CAPTURE,
        "columns that make the key, where it is not the primary key: schema.table:a,b;pattern:c").optional();
    SNAPSHOT_MODE: SnapshotMode = Key::required("snapshot.mode", SNAPSHOT, "when tables are read").or("initial")
        .importance(Importance::High);
    SNAPSHOT_THREADS: u32 = Key::required("snapshot.max.threads", SNAPSHOT,
        "connections that read tables at the same time").or("2");
    SNAPSHOT_LOCK_TIMEOUT: Duration = Key::required("snapshot.lock.timeout.ms", SNAPSHOT,
        "how long to wait for a table whose definition somebody changes").or("10000");
    SNAPSHOT_DELAY: Duration = Key::required("snapshot.delay.ms", SNAPSHOT, "pause before tables are read").or("0");
    PROFILE: Profile = Key::required("mapping.profile", EVENTS,
        "lossless: what a Connect type would lose travels as exact text; debezium: its mapping").or("lossless");
    TOMBSTONES: bool = Key::required("tombstones.on.delete", EVENTS, "a null value follows each delete").or("true");
    SKIPPED: SkippedOperations = Key::required("skipped.operations", EVENTS, "operations that yield no record: c, u, \
        d, t or none").or("none");
    DECIMAL: DecimalMode = Key::required("decimal.handling.mode", EVENTS, "how numeric travels").or("exact");
    TIME: TimePrecision = Key::required("time.precision.mode", EVENTS, "how times travel").or("microseconds");
    BINARY: BinaryMode = Key::required("binary.handling.mode", EVENTS, "how bytea travels").or("bytes");
    HSTORE: HstoreMode = Key::required("hstore.handling.mode", EVENTS, "how hstore travels").or("exact");
    INTERVAL: IntervalMode = Key::required("interval.handling.mode", EVENTS, "how intervals travel").or("exact");
    MONEY_DIGITS: u16 = Key::required("money.fraction.digits", EVENTS, "scale of money as a decimal").or("2");
    UNKNOWN: bool = Key::required("include.unknown.datatypes", EVENTS,
        "columns whose type is not known travel as text; the lossless profile always does so").or("true");
    SCHEMA_NAMES: NameAdjustment = Key::required("schema.name.adjustment.mode", EVENTS,
        "what becomes of characters that Avro forbids in schema names").or("none");
    FIELD_NAMES: NameAdjustment = Key::required("field.name.adjustment.mode", EVENTS,
        "what becomes of characters that Avro forbids in field names").or("none");
    PROPAGATE_COLUMNS: ColumnMatch = Key::required("column.propagate.source.type", EVENTS,
        "columns whose fields tell the column's type; the lossless profile tells it of all").optional();
    PROPAGATE_TYPES: ColumnMatch = Key::required("datatype.propagate.source.type", EVENTS,
        "types whose fields tell the column's type").optional();
    EXTENDED_HEADERS: bool = Key::required("extended.headers.enabled", EVENTS,
        "records carry __debezium.context headers").or("false");
    HEARTBEAT: Off = Key::required("heartbeat.interval.ms", STREAM,
        "heartbeats are not built; an idle slot advances without them").or("0");
    TRANSACTION_METADATA: Off = Key::required("provide.transaction.metadata", EVENTS,
        "the transaction topic is not built").or("false");
    FAILOVER: Off = Key::required("slot.failover", STREAM, "failover slots are not built").or("false");
    WITHOUT_CHANGE: Off = Key::required("skip.messages.without.change", EVENTS,
        "leaving out updates that change no captured column is not built").or("false");
    READ_ONLY: Off = Key::required("read.only", SNAPSHOT, "incremental snapshots are not built").or("false");
}
