//! The rows of a form: every key that a configuration has or may have, in the order in which Connect's worker shows
//! them.
//!
//! Owns which keys there are: Connect's, those of each named transform and predicate, the connector's own or its
//! alias', those of converters, and ours that are set. Judges no value: see [`super::validate`].

use super::{
    Found, alias, framework,
    info::ConfigKeyInfo,
    keys,
    parts::{self, Part, Role},
    rules::{self, Words},
};
use std::collections::BTreeMap;
use tapline_sdk::{Alias, Definition, Importance, Info, Kind, Presence, Width};

/// The runtime's version, which is that of everything in it but connectors.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a key is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The runtime.
    Framework,
    /// The connector.
    Connector,
    /// A transform, predicate or converter.
    Part,
    /// The class of a part.
    Class(Role),
    /// The version of a plugin.
    Version,
}

/// One key of a form.
pub(super) struct Row {
    pub(super) info: ConfigKeyInfo,
    /// How values are judged.
    pub(super) definition: Definition,
    pub(super) of: Of,
    /// The key's name in complaints about its value: without the prefix for keys of parts.
    pub(super) said: String,
    pub(super) words: Words,
    pub(super) recommended: Vec<String>,
    /// Whether its values are those of the list alone, in any case: another product's, which may take fewer than ours.
    pub(super) listed: bool,
    /// What stands there if nothing is given, if that is not the default: converters are told what they are for.
    pub(super) filled: Option<String>,
}

/// Settings as they are, nulls left out.
type Settings = BTreeMap<String, String>;

/// Connect's keys, as they are where no configuration is at hand.
pub(super) fn framework(found: &Found) -> Vec<Row> {
    let mut rows = rows(&framework::definitions(found.plugin.kind()), Of::Framework);
    for row in &mut rows {
        if row.info.name == "connector.plugin.version" {
            version(row, Some(found.plugin.info().version));
        } else if row.definition.kind == Kind::Class {
            row.info.default_value = None;
        }
    }
    rows
}

/// The connector's own keys, or its alias'.
pub(super) fn own(found: &Found) -> Vec<Row> {
    let info = found.plugin.info();
    let words = match found.alias {
        Some(alias) if alias.class.starts_with("io.debezium.") => Words::Debezium,
        _ => Words::Kafka,
    };
    let mut rows = match found.alias {
        Some(alias) if !alias.keys.is_empty() => foreign(info, alias),
        Some(alias) => renamed(info, alias),
        None => {
            let ours = framework::ours(found.plugin.kind());
            rows(&[info.keys, &ours].concat(), Of::Connector)
        }
    };
    for row in &mut rows {
        row.words = words;
        if row.definition.kind != Kind::Boolean {
            let values = row.definition.values.iter();
            row.recommended = values.map(|value| (*value).to_owned()).collect();
        }
    }
    rows
}

/// The whole form for these settings.
pub(super) fn all(found: &Found, settings: &Settings) -> Vec<Row> {
    let mut rows = framework(found);
    converters(&mut rows, settings);
    for (list, role) in [
        ("transforms", Role::Transform),
        ("predicates", Role::Predicate),
    ] {
        let mut names: Vec<&str> = Vec::new();
        for name in rules::items(settings.get(list).map_or("", String::as_str)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        for name in names {
            rows.extend(named_part(list, role, name, settings));
        }
    }
    rows.extend(own(found));
    for prefix in ["key.converter", "value.converter", "header.converter"] {
        rows.extend(converter_keys(prefix, settings));
    }
    let others = others(found, settings, &rows);
    rows.extend(others);
    rows
}

/// The keys of a part by itself.
pub(super) fn part(part: &Part) -> Vec<Row> {
    let told: &[Definition] = match part.is_told_its_use() {
        true => &[parts::CONVERTER_TYPE],
        false => &[],
    };
    rows(&[told, part.keys].concat(), Of::Part)
}

fn rows(definitions: &[Definition], of: Of) -> Vec<Row> {
    let orders = Definition::orders(definitions);
    let shown = definitions.iter().zip(orders);
    shown
        .filter(|(definition, _)| !definition.name.ends_with('*'))
        .map(|(definition, order)| Row {
            info: ConfigKeyInfo::new(definition, order),
            definition: *definition,
            of,
            said: definition.name.to_owned(),
            words: Words::Kafka,
            recommended: Vec::new(),
            listed: false,
            filled: None,
        })
        .collect()
}

/// Another product's keys, explained and judged by the keys of ours that they become.
fn foreign(info: &Info, alias: &Alias) -> Vec<Row> {
    let mut rows = rows(alias.keys, Of::Connector);
    for row in &mut rows {
        let name = row.definition.name;
        let ours = alias::renamed(Some(alias), name);
        let refused = info
            .refused
            .iter()
            .find(|(known, _)| alias::covers(known, name));
        let ours = info
            .keys
            .iter()
            .chain(&keys::ALL)
            .find(|key| key.name == ours);
        match (ours, refused) {
            (Some(ours), _) => {
                row.info.documentation = ours.documentation.to_owned();
                row.definition.check = ours.check;
                if row.definition.values.is_empty() {
                    row.definition.values = ours.values;
                } else {
                    row.listed = true;
                }
                if ours.presence == Presence::Required || alias.required.contains(&name) {
                    row.definition.presence = Presence::Required;
                }
            }
            (None, Some((_, remedy))) => {
                row.info.documentation = format!("not supported: {remedy}");
            }
            (None, None) => {
                "accepted; it means nothing here".clone_into(&mut row.info.documentation);
                row.listed = !row.definition.values.is_empty();
            }
        }
    }
    rows
}

/// Our keys under another product's names, with its defaults.
fn renamed(info: &Info, alias: &Alias) -> Vec<Row> {
    let mut rows = rows(info.keys, Of::Connector);
    for row in &mut rows {
        let ours = row.definition.name;
        if let Some((_, default)) = alias.defaults.iter().find(|(key, _)| *key == ours) {
            row.definition.presence = Presence::Default(default);
            row.info.default_value = Some((*default).to_owned());
            row.info.required = false;
        }
        if let Some((theirs, _)) = alias.renames.iter().find(|(_, key)| *key == ours) {
            row.definition.name = theirs;
            row.info.name = (*theirs).to_owned();
            row.info.display_name = row.definition.display_name();
            row.said = (*theirs).to_owned();
        }
    }
    rows
}

/// Which converters there are, and the versions of those in use.
fn converters(rows: &mut [Row], settings: &Settings) {
    for row in rows {
        let name = row.info.name.clone();
        let role = match name.as_str() {
            name if name.starts_with("header.converter") => Role::HeaderConverter,
            _ => Role::Converter,
        };
        if row.definition.kind == Kind::Class {
            row.of = Of::Class(role);
            row.recommended = classes(role);
            row.info.default_value = default_class(&row.definition, role);
        } else if let Some(converter) = name.strip_suffix(".plugin.version")
            && converter != "connector"
        {
            let named = settings.get(converter);
            let known = named.is_none_or(|class| parts::find(role, class.trim()).is_some());
            version(row, known.then_some(VERSION));
        }
    }
}

fn default_class(definition: &Definition, role: Role) -> Option<String> {
    let Presence::Default(default) = definition.presence else {
        return None;
    };
    parts::find(role, default).map(|part| part.class.to_owned())
}

fn version(row: &mut Row, version: Option<&str>) {
    row.of = Of::Version;
    row.info.default_value = version.map(str::to_owned);
    row.recommended = version.map(str::to_owned).into_iter().collect();
}

fn classes(role: Role) -> Vec<String> {
    let parts = parts::all().into_iter().filter(|part| part.role == role);
    parts.map(|part| part.class.to_owned()).collect()
}

/// The keys of one transform or predicate: its class, its version, its own, and when it applies.
fn named_part(list: &str, role: Role, name: &str, settings: &Settings) -> Vec<Row> {
    let (group, what, noun) = match role {
        Role::Transform => (format!("Transforms: {name}"), "Transformation", "transform"),
        _ => (format!("Predicates: {name}"), "Predicate", "predicate"),
    };
    let prefix = format!("{list}.{name}.");
    let high =
        |name, kind| Definition::foreign(name, kind, "x").shown(Importance::High, Width::Long);
    let class = Definition {
        presence: Presence::Required,
        ..high("type", Kind::Class)
    };
    let mut rows = rows(&[class], Of::Class(role));
    if let Some(class) = rows.first_mut() {
        class.recommended = classes(role);
        class.info.display_name = format!("{what} type for {name}");
        class.info.documentation = format!("the class of this {noun}");
    }
    let class = settings
        .get(&format!("{prefix}type"))
        .map(|class| class.trim());
    let found = class
        .and_then(|class| parts::find(role, class))
        .filter(|part| part.role == role);
    let mut version_row = self::rows(&[high("plugin.version", Kind::Text)], Of::Framework);
    for row in &mut version_row {
        version(row, found.map(|_| VERSION));
        row.info.display_name = format!("{what} version for {name}");
        row.info.documentation = format!("the version of this {noun}; there is one");
    }
    rows.append(&mut version_row);
    if let Some(found) = found {
        rows.extend(part(&found));
        if role == Role::Transform {
            rows.extend(self::rows(&WHEN, Of::Framework));
        }
    }
    for (row, order) in rows.iter_mut().zip(0..) {
        row.info.name = format!("{prefix}{}", row.info.name);
        if row.of != Of::Part {
            row.said.clone_from(&row.info.name);
        }
        row.info.group = Some(group.clone());
        row.info.order_in_group = order;
    }
    rows
}

/// When a transform applies.
const WHEN: [Definition; 2] = [
    Definition::foreign("negate", Kind::Boolean, "")
        .or("false")
        .documented("apply it where the predicate does not hold"),
    Definition::foreign("predicate", Kind::Text, "")
        .documented("the name of the predicate that says to which records it applies"),
];

/// The keys of a converter that the settings name.
fn converter_keys(prefix: &str, settings: &Settings) -> Vec<Row> {
    let role = match prefix {
        "header.converter" => Role::HeaderConverter,
        _ => Role::Converter,
    };
    let named = settings
        .get(prefix)
        .and_then(|class| parts::find(role, class.trim()));
    let Some(found) = named.filter(|part| part.role == role) else {
        return Vec::new();
    };
    let mut rows = part(&found);
    for row in &mut rows {
        if row.info.name == "converter.type" {
            row.filled = prefix.split('.').next().map(str::to_owned);
        }
        row.info.name = format!("{prefix}.{}", row.info.name);
    }
    rows
}

/// Keys that are set and known, and that no form of this class shows: ours under an alias.
fn others(found: &Found, settings: &Settings, shown: &[Row]) -> Vec<Row> {
    let info = found.plugin.info();
    let known: Vec<Definition> = [info.keys, &framework::ours(found.plugin.kind())].concat();
    let missing = |definition: &&Definition| {
        settings.contains_key(definition.name)
            && !shown.iter().any(|row| row.info.name == definition.name)
    };
    let missing: Vec<Definition> = known.iter().filter(missing).copied().collect();
    rows(&missing, Of::Connector)
}
