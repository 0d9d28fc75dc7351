//! Modes that connection, snapshot and publication have.

use tapline_sdk::{ConfigValue, Kind};

/// `snapshot.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotMode {
    /// Tables that were never read are read first; then the stream.
    Initial,
    /// Tables are read, then the connector is done.
    InitialOnly,
    /// Only the stream, from the slot's creation on.
    NoData,
    /// Every start reads every table.
    Always,
    /// As initial; a position that can no longer be read is given up and every table read anew.
    WhenNeeded,
}

impl ConfigValue for SnapshotMode {
    const KIND: Kind = Kind::Text;
    const VALUES: &'static [&'static str] = &[
        "initial",
        "initial_only",
        "no_data",
        "always",
        "when_needed",
    ];

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "initial" => Ok(Self::Initial),
            "initial_only" => Ok(Self::InitialOnly),
            "no_data" | "never" | "schema_only" => Ok(Self::NoData),
            "always" => Ok(Self::Always),
            "when_needed" => Ok(Self::WhenNeeded),
            "configuration_based" | "custom" | "exported" | "recovery" => Err(format!(
                "is {}, which is not built; use one of {}",
                text.trim(),
                Self::VALUES.join(", ")
            )),
            _ => Err(format!("is not one of {}", Self::VALUES.join(", "))),
        }
    }
}

/// `publication.autocreate.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Autocreate {
    /// A publication of the captured tables, changed by the difference.
    Filtered,
    /// A publication of all tables, created if it is missing; needs a superuser.
    AllTables,
    /// Somebody else sees to it.
    Disabled,
    /// An empty publication, created if it is missing.
    NoTables,
}

impl ConfigValue for Autocreate {
    const KIND: Kind = Kind::Text;
    const VALUES: &'static [&'static str] = &["filtered", "all_tables", "disabled", "no_tables"];

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "filtered" => Ok(Self::Filtered),
            "all_tables" => Ok(Self::AllTables),
            "disabled" => Ok(Self::Disabled),
            "no_tables" => Ok(Self::NoTables),
            _ => Err(format!("is not one of {}", Self::VALUES.join(", "))),
        }
    }
}

/// `mapping.profile`: whose defaults and losses hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Ours.
    Lossless,
    /// Debezium's.
    Debezium,
}

impl ConfigValue for Profile {
    const KIND: Kind = Kind::Text;
    const VALUES: &'static [&'static str] = &["lossless", "debezium"];

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "lossless" => Ok(Self::Lossless),
            "debezium" => Ok(Self::Debezium),
            _ => Err("is neither lossless nor debezium".to_owned()),
        }
    }
}

/// `plugin.name`: pgoutput, whatever Debezium's configurations say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// The server's own.
    PgOutput,
    /// Debezium's default, which is taken for pgoutput with a warning.
    DecoderBufs,
}

impl ConfigValue for Plugin {
    const KIND: Kind = Kind::Text;
    const VALUES: &'static [&'static str] = &["pgoutput"];

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "pgoutput" => Ok(Self::PgOutput),
            "decoderbufs" => Ok(Self::DecoderBufs),
            _ => Err("is not pgoutput, the only plugin that is used".to_owned()),
        }
    }
}

/// A switch that is known and can only be off until it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Off;

impl ConfigValue for Off {
    // No list of values: a form of numbers or switches would offer both words.
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "false" | "0" | "none" => Ok(Self),
            _ => Err("is not built yet: leave it off".to_owned()),
        }
    }
}

/// `topic.prefix`: the first part of every topic's name, so what a topic's name may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(pub String);

impl ConfigValue for Prefix {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err("has invalid format (only the underscore, hyphen, dot and alphanumeric characters are allowed)".to_owned())
        }
    }
}

/// A slot's name: what the server allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotName(pub String);

impl ConfigValue for SlotName {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if (1..=63).contains(&text.len()) && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err("is no slot name: 1 to 63 of a-z, 0-9 and _".to_owned())
        }
    }
}
