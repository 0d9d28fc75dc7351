//! Every configuration key of the pair, declared once, and the profile of Kafka's classes.
//!
//! Owns names, defaults and documentation. Kafka's `FileStreamSource` and `FileStreamSink` are the same connectors with
//! Kafka's record shape, line ends and texts: an alias is a profile.

use tapline_sdk::{
    Alias, Config, ConfigValue, Definition, Error, Files, Importance, Info, Key, Kind,
};

const FILE_GROUP: &str = "File";
const RECORDS: &str = "Records";

/// `file` of the source.
pub const SOURCE_FILE: Key<String> = Key::required(
    "file",
    FILE_GROUP,
    "the file to read; it is waited for if it does not exist",
)
.optional()
.importance(Importance::High);

/// `topic`.
pub const TOPIC: Key<String> =
    Key::required("topic", RECORDS, "the topic to publish data to").importance(Importance::High);

/// `batch.size`.
pub const BATCH_SIZE: Key<i32> = Key::required(
    "batch.size",
    RECORDS,
    "the maximum number of records the source reads from the file at once",
)
.or("2000")
.importance(Importance::Low);

/// `record.format`.
pub const RECORD_FORMAT: Key<RecordFormat> = Key::required(
    "record.format",
    RECORDS,
    "struct: message, path, offset, host, and the exact bytes where the message is not the same; a line ends with LF or \
     CRLF. string: the bare text as Kafka's FileStreamSource gives it; LF, CRLF and CR end a line",
)
.or("struct");

/// `line.max.bytes`.
pub const LINE_BYTES_MAX: Key<u32> = Key::required(
    "line.max.bytes",
    RECORDS,
    "the longest line in one record: a longer one becomes several records that say so (struct), or fails the task \
     (string); at least 16, at most 1 GiB",
)
.or("1048576");

/// `file.shrunk`.
pub const SHRUNK: Key<Shrunk> = Key::required(
    "file.shrunk",
    FILE_GROUP,
    "what to do when the file is shorter than what was read of it: restart at its beginning, or wait until it has grown \
     past that place, as Kafka's FileStreamSource does",
)
.or("restart");

/// `file` of the sink.
pub const SINK_FILE: Key<String> = Key::required(
    "file",
    FILE_GROUP,
    "the file to append to; without it, lines go to the standard output. Positions are kept beside it, in FILE.tapline",
)
.optional()
.importance(Importance::High);

/// `line.format`.
pub const LINE_FORMAT: Key<LineFormat> = Key::required(
    "line.format",
    RECORDS,
    "plain: texts and lines as they are, other values as JSON; java: as Java's toString() prints them, like Kafka's \
     FileStreamSink",
)
.or("plain");

/// What a record of the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFormat {
    /// A struct that says where the line stood, lossless.
    Struct,
    /// Kafka's: a string.
    Text,
}

/// What becomes of a file that is shorter than the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shrunk {
    /// Another file stands there now: read it from its beginning.
    Restart,
    /// Kafka's: nothing, until the file is longer than the position.
    Wait,
}

/// How the sink writes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// Texts as they are, everything else as JSON.
    Plain,
    /// Java's `toString()`.
    Java,
}

macro_rules! words {
    ($($type:ident: $($word:literal => $value:ident),+;)+) => {$(
        impl ConfigValue for $type {
            const KIND: Kind = Kind::Text;
            const VALUES: &'static [&'static str] = &[$($word),+];
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$value),)+
                    _ => Err(format!("\"{text}\" is not one of: {}", Self::VALUES.join(", "))),
                }
            }
        }
    )+};
}

words! {
    RecordFormat: "struct" => Struct, "string" => Text;
    Shrunk: "restart" => Restart, "wait" => Wait;
    LineFormat: "plain" => Plain, "java" => Java;
}

/// Kafka's defaults, where ours differ. Its lines have no limit of their own; this one still fits a batch of the log.
const SOURCE_PROFILE: &[(&str, &str)] = &[
    ("record.format", "string"),
    ("file.shrunk", "wait"),
    ("line.max.bytes", "8388608"),
];

const SINK_PROFILE: &[(&str, &str)] = &[("line.format", "java")];

/// What Kafka's own forms show, where these keys have no heading.
const SOURCE_FORM: &[Definition] = &[
    SOURCE_FILE.definition.under(""),
    TOPIC.definition.under(""),
    BATCH_SIZE.definition.under(""),
];

const SINK_FORM: &[Definition] = &[SINK_FILE.definition.under("")];

const fn alias(
    class: &'static str,
    defaults: &'static [(&'static str, &'static str)],
    keys: &'static [Definition],
) -> Alias {
    Alias {
        class,
        defaults,
        renames: &[],
        keys,
        required: &[],
        connects: None,
    }
}

/// The source in the registry.
pub const SOURCE_INFO: Info = Info {
    class: "io.tapline.file.FileSource",
    short: "file",
    version: env!("CARGO_PKG_VERSION"),
    keys: &[
        SOURCE_FILE.definition,
        TOPIC.definition,
        BATCH_SIZE.definition,
        RECORD_FORMAT.definition,
        LINE_BYTES_MAX.definition,
        SHRUNK.definition,
    ],
    aliases: &[
        alias(
            "org.apache.kafka.connect.file.FileStreamSourceConnector",
            SOURCE_PROFILE,
            SOURCE_FORM,
        ),
        alias("FileStreamSourceConnector", SOURCE_PROFILE, SOURCE_FORM),
        alias("FileStreamSource", SOURCE_PROFILE, SOURCE_FORM),
    ],
    inert: &[],
    refused: &[],
};

/// The sink in the registry.
pub const SINK_INFO: Info = Info {
    class: "io.tapline.file.FileSink",
    short: "file",
    version: env!("CARGO_PKG_VERSION"),
    keys: &[SINK_FILE.definition, LINE_FORMAT.definition],
    aliases: &[
        alias(
            "org.apache.kafka.connect.file.FileStreamSinkConnector",
            SINK_PROFILE,
            SINK_FORM,
        ),
        alias("FileStreamSinkConnector", SINK_PROFILE, SINK_FORM),
        alias("FileStreamSink", SINK_PROFILE, SINK_FORM),
    ],
    inert: &[],
    refused: &[],
};

/// The least `line.max.bytes`: a piece of a line must have room for some characters.
pub const LINE_BYTES_LEAST: u32 = 16;

/// The greatest `line.max.bytes`: what a record batch can hold.
pub const LINE_BYTES_MOST: u32 = 1 << 30;

/// The source's settings, parsed.
#[derive(Debug, Clone)]
pub(crate) struct SourceSettings {
    /// The files that may be read.
    pub(crate) files: Files,
    pub(crate) file: String,
    pub(crate) topic: String,
    pub(crate) batch_lines: usize,
    pub(crate) format: RecordFormat,
    pub(crate) line_bytes_max: usize,
    pub(crate) shrunk: Shrunk,
}

impl SourceSettings {
    pub(crate) fn parse(config: &Config) -> Result<Self, Error> {
        let file = config.find(&SOURCE_FILE)?.ok_or_else(|| {
            Error::config("file is not set, and a service's standard input cannot be read again")
                .code("TL0704")
                .remedy("set file to the path of the file to read")
        })?;
        Ok(Self {
            files: config.files().clone(),
            file,
            topic: config.get(&TOPIC)?,
            // Kafka's source also reads one line at a time where the key says zero or less.
            batch_lines: usize::try_from(config.get(&BATCH_SIZE)?)
                .unwrap_or(1)
                .max(1),
            format: config.get(&RECORD_FORMAT)?,
            line_bytes_max: usize::try_from(config.get(&LINE_BYTES_MAX)?).unwrap_or(usize::MAX),
            shrunk: config.get(&SHRUNK)?,
        })
    }
}
