//! What is told of keys and values, in the shape that Kafka Connect's clients read: `ConfigInfos` and its parts.
//!
//! Owns the fields, their names and order. Decides nothing: see [`super::validate`].

use serde::Serialize;
use tapline_sdk::{Definition, Importance, Kind, Presence, Width};

/// The answer to «is this configuration valid?».
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigInfos {
    /// The class as it was written.
    pub name: String,
    /// How many errors there are in all.
    pub error_count: usize,
    /// Every heading.
    pub groups: Vec<String>,
    /// Every key.
    pub configs: Vec<ConfigInfo>,
}

/// A key and what was given for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigInfo {
    /// The key. Never null, although Connect's worker leaves it out for keys that nobody defines: clients read it.
    pub definition: ConfigKeyInfo,
    /// What was given.
    pub value: ConfigValueInfo,
}

/// What a form shows of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigKeyInfo {
    /// The key.
    pub name: String,
    /// `STRING`, `INT` and so on.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether it has no default and must be given.
    pub required: bool,
    /// What it is if it is not given.
    pub default_value: Option<String>,
    /// `HIGH`, `MEDIUM` or `LOW`.
    pub importance: &'static str,
    /// What it does.
    pub documentation: String,
    /// The heading.
    pub group: Option<String>,
    /// Its place under the heading, -1 without one.
    pub order_in_group: i32,
    /// `NONE`, `SHORT`, `MEDIUM` or `LONG`.
    pub width: &'static str,
    /// The label.
    pub display_name: String,
    /// Keys that depend on it.
    pub dependents: Vec<&'static str>,
}

/// What was given for a key, or its default. Never a secret (I9), nor what a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigValueInfo {
    /// The key.
    pub name: String,
    /// The value as text; `None` if there is none or it cannot be read.
    pub value: Option<String>,
    /// Values that a form may offer.
    pub recommended_values: Vec<String>,
    /// What is wrong with it.
    pub errors: Vec<String>,
    /// Always true: no key here hides another.
    pub visible: bool,
}

/// A class that settings can name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginInfo {
    /// The class.
    pub class: &'static str,
    /// `source`, `sink`, `transformation` and so on.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl ConfigInfos {
    /// What Connect's worker answers to a request that would store such a configuration; `None` if it is valid.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let mut text = format!(
            "Connector configuration is invalid and contains the following {} error(s):",
            self.error_count
        );
        for error in self.configs.iter().flat_map(|config| &config.value.errors) {
            text.push('\n');
            text.push_str(error);
        }
        text.push_str(
            "\nYou can also find the above list of errors at the endpoint \
             `/connector-plugins/{connectorType}/config/validate`",
        );
        (self.error_count > 0).then_some(text)
    }
}

impl ConfigKeyInfo {
    pub(super) fn new(definition: &Definition, order: i32) -> Self {
        let default_value = match definition.presence {
            Presence::Default(text) => Some(text.to_owned()),
            Presence::Required | Presence::Optional => None,
        };
        Self {
            name: definition.name.to_owned(),
            kind: type_name(definition.kind),
            required: definition.presence == Presence::Required,
            default_value,
            importance: match definition.importance {
                Importance::High => "HIGH",
                Importance::Medium => "MEDIUM",
                Importance::Low => "LOW",
            },
            documentation: definition.documentation.to_owned(),
            group: (!definition.group.is_empty()).then(|| definition.group.to_owned()),
            order_in_group: order,
            width: match definition.width() {
                Width::None => "NONE",
                Width::Short => "SHORT",
                Width::Medium => "MEDIUM",
                Width::Long => "LONG",
            },
            display_name: definition.display_name(),
            dependents: definition.dependents.to_vec(),
        }
    }

    /// A key that nobody defines.
    pub(super) fn unknown(name: &str) -> Self {
        let definition = Definition::foreign("", Kind::Text, "");
        Self {
            name: name.to_owned(),
            display_name: name.to_owned(),
            documentation: "no key of this connector".to_owned(),
            ..Self::new(&definition, -1)
        }
    }
}

/// Kafka's name of a type.
pub(super) fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "BOOLEAN",
        Kind::Short => "SHORT",
        Kind::Int => "INT",
        Kind::Long => "LONG",
        Kind::Double => "DOUBLE",
        Kind::Text | Kind::Template => "STRING",
        Kind::List => "LIST",
        Kind::Class => "CLASS",
        Kind::Password => "PASSWORD",
    }
}
