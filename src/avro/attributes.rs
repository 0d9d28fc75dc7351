//! The attributes of a type or field, each with the rule that it has to keep.

use super::{
    FullName, Tree,
    model::{Kind, Props, Shape},
    name,
    parse::Rules,
};
use std::collections::HashSet;

/// What Avro gives a meaning to in a type; everything else is a property.
pub(super) const TYPE_ATTRIBUTES: [&str; 10] = [
    "type",
    "name",
    "namespace",
    "doc",
    "fields",
    "items",
    "values",
    "symbols",
    "size",
    "aliases",
];

/// What Avro gives a meaning to in a field.
pub(super) const FIELD_ATTRIBUTES: [&str; 6] =
    ["name", "type", "doc", "default", "order", "aliases"];

/// The JSON object of a type or field.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'t> {
    entries: &'t [(String, Tree)],
    rules: Rules,
}

impl<'t> Attributes<'t> {
    pub(super) fn new(entries: &'t [(String, Tree)], rules: Rules) -> Self {
        Self { entries, rules }
    }

    pub(super) fn get(self, key: &str) -> Option<&'t Tree> {
        let found = self.entries.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value)
    }

    pub(super) fn text(self, key: &str) -> Option<&'t str> {
        self.get(key).and_then(Tree::as_text)
    }

    pub(super) fn owned(self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    /// Libraries disagree on which of two equal keys counts.
    pub(super) fn once_each(self) -> Result<(), String> {
        let mut seen = HashSet::new();
        let mut keys = self.entries.iter().map(|(key, _)| key);
        self.rules.hold(match keys.find(|key| !seen.insert(*key)) {
            Some(key) => Err(format!("the key \"{key}\" stands twice")),
            None => Ok(()),
        })
    }

    pub(super) fn legal(self, name: &str) -> Result<(), String> {
        self.rules.hold(name::legal(name))
    }

    pub(super) fn full_name(self, enclosing: &str) -> Result<FullName, String> {
        let name = self.text("name").ok_or("a named type without a name")?;
        let full = FullName::resolve(name, self.text("namespace").unwrap_or(enclosing));
        self.legal(&full.name)?;
        if full.namespace.is_empty() {
            self.rules.hold(match Kind::primitive(&full.name) {
                Some(_) => Err(format!("\"{name}\" is the name of a type of Avro's own")),
                None => Ok(()),
            })?;
        } else {
            let mut parts = full.namespace.split('.');
            parts.try_for_each(|part| self.legal(part))?;
        }
        Ok(full)
    }

    pub(super) fn symbols(self) -> Result<Shape, String> {
        let symbols = self.texts("symbols")?.ok_or("an enum without symbols")?;
        let mut seen = HashSet::new();
        for symbol in &symbols {
            self.legal(symbol)?;
            self.rules.hold(match seen.insert(symbol) {
                true => Ok(()),
                false => Err(format!("the symbol \"{symbol}\" stands twice")),
            })?;
        }
        let default = self.owned("default");
        let default = default.filter(|text| symbols.contains(text));
        self.rules.hold(match (&default, self.get("default")) {
            (None, Some(_)) => Err("the default is none of the symbols".to_owned()),
            _ => Ok(()),
        })?;
        Ok(Shape::Enum { symbols, default })
    }

    pub(super) fn size(self) -> Result<Shape, String> {
        let size = self.get("size").and_then(Tree::as_int);
        let size = size.filter(|size| self.rules == Rules::Stored || i32::try_from(*size).is_ok());
        let size = size.and_then(|size| u64::try_from(size).ok());
        Ok(Shape::Fixed {
            size: size.ok_or("a fixed without a size from 0 to 2147483647")?,
        })
    }

    pub(super) fn aliases(self) -> Result<Vec<String>, String> {
        let aliases = self.rules.hold(self.texts("aliases"))?.unwrap_or_default();
        for alias in &aliases {
            let mut parts = alias.split('.');
            parts.try_for_each(|part| self.legal(part))?;
        }
        Ok(aliases)
    }

    /// Only if it is not the usual one.
    pub(super) fn order(self) -> Result<Option<String>, String> {
        self.rules.hold(match self.text("order") {
            None | Some("ascending") => Ok(None),
            Some(order @ ("descending" | "ignore")) => Ok(Some(order.to_owned())),
            Some(order) => Err(format!("the order \"{order}\" does not exist")),
        })
    }

    pub(super) fn props(self, attributes: &[&str]) -> Props {
        let other = |(key, _): &&(String, Tree)| !attributes.contains(&key.as_str());
        Props(self.entries.iter().filter(other).cloned().collect())
    }

    fn texts(self, key: &str) -> Result<Option<Vec<String>>, String> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let Tree::List(items) = value else {
            return Err(format!("{key} is no list"));
        };
        let texts = items.iter().map(|item| item.as_text().map(str::to_owned));
        let texts: Option<Vec<String>> = texts.collect();
        let texts = texts.ok_or_else(|| format!("{key} holds what is no text"))?;
        Ok(Some(texts))
    }
}
