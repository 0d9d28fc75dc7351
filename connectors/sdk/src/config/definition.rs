//! What is known of a key: its type, default, place and words, so that tools can show a form for it.
//!
//! Owns what is declared and what follows from it where nothing is said (label, width, order); checks no setting.

use std::{collections::BTreeMap, marker::PhantomData};

/// Connect's config types, and one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// 16 bits.
    Short,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// A floating-point number.
    Double,
    /// Text.
    Text,
    /// Comma-separated texts.
    List,
    /// A class name.
    Class,
    /// Text that is never shown.
    Password,
    /// May hold `${field}` parts that are filled in per record; keeps a literal prefix.
    Template,
}

/// How prominently tools show a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// Shown first.
    High,
    /// Shown.
    Medium,
    /// Shown last.
    Low,
}

/// How much room a form gives a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Nothing is said.
    None,
    /// A number, a switch.
    Short,
    /// A name.
    Medium,
    /// A list, an address.
    Long,
}

/// Whether a key must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Missing is an error.
    Required,
    /// Missing is `None`.
    Optional,
    /// Missing means this text.
    Default(&'static str),
}

/// Everything that is known about a key without its Rust type.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// The key. A trailing `*` declares a family: `transforms.*`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it must be given.
    pub presence: Presence,
    /// The heading it stands under; empty: none.
    pub group: &'static str,
    /// What it does, its unit and the source of the rule.
    pub documentation: &'static str,
    /// How prominently it is shown.
    pub importance: Importance,
    /// The values that are allowed, if they can be listed.
    pub values: &'static [&'static str],
    /// Whether a text is a value of this key; if not, why.
    pub check: fn(&str) -> Result<(), String>,
    /// The room for a value in a form; `None`: what [`Definition::width`] derives.
    pub width: Option<Width>,
    /// The label in a form; `None`: what [`Definition::display_name`] derives.
    pub display_name: Option<&'static str>,
    /// Keys whose values depend on this one.
    pub dependents: &'static [&'static str],
    /// The place under the heading; `None`: as declared, see [`Definition::orders`].
    pub order: Option<i32>,
}

impl Definition {
    /// A key of another product that is shown and not read: any text is a value of it, it may be missing, and it is
    /// documented by the key of ours that it becomes.
    #[must_use]
    pub const fn foreign(name: &'static str, kind: Kind, group: &'static str) -> Self {
        Self {
            name,
            kind,
            presence: Presence::Optional,
            group,
            documentation: "",
            importance: Importance::Medium,
            values: &[],
            check: |_| Ok(()),
            width: None,
            display_name: None,
            dependents: &[],
            order: None,
        }
    }

    /// Under another heading.
    #[must_use]
    pub const fn under(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// With a default.
    #[must_use]
    pub const fn or(mut self, default: &'static str) -> Self {
        self.presence = Presence::Default(default);
        self
    }

    /// With what a form wants to know: importance and room.
    #[must_use]
    pub const fn shown(mut self, importance: Importance, width: Width) -> Self {
        self.importance = importance;
        self.width = Some(width);
        self
    }

    /// With a place under its heading that does not follow from the order of declaration.
    #[must_use]
    pub const fn order(mut self, order: i32) -> Self {
        self.order = Some(order);
        self
    }

    /// With a label.
    #[must_use]
    pub const fn display(mut self, label: &'static str) -> Self {
        self.display_name = Some(label);
        self
    }

    /// With the keys whose values depend on this one.
    #[must_use]
    pub const fn dependents(mut self, dependents: &'static [&'static str]) -> Self {
        self.dependents = dependents;
        self
    }

    /// With the values that are allowed.
    #[must_use]
    pub const fn one_of(mut self, values: &'static [&'static str]) -> Self {
        self.values = values;
        self
    }

    /// With what it does.
    #[must_use]
    pub const fn documented(mut self, documentation: &'static str) -> Self {
        self.documentation = documentation;
        self
    }

    /// Whether this definition is of that key.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => self.name == name,
        }
    }

    /// The room for a value: as declared, or what suits the type. A key without a heading says nothing, as in Kafka.
    #[must_use]
    pub fn width(&self) -> Width {
        let derived = match self.kind {
            _ if self.group.is_empty() => Width::None,
            Kind::Boolean | Kind::Short | Kind::Int | Kind::Long | Kind::Double => Width::Short,
            Kind::Text | Kind::Class | Kind::Password => Width::Medium,
            Kind::List | Kind::Template => Width::Long,
        };
        self.width.unwrap_or(derived)
    }

    /// The label: as declared, or the key in words (`database.hostname`: "Database hostname"). A key without a heading
    /// is its own label, as in Kafka.
    #[must_use]
    pub fn display_name(&self) -> String {
        if let Some(label) = self.display_name {
            return label.to_owned();
        }
        if self.group.is_empty() {
            return self.name.to_owned();
        }
        let words = self.name.replace(['.', '_', '-'], " ");
        let mut letters = words.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect()
    }

    /// The place of each definition under its heading: as declared, or after the one before it there, from 1; -1
    /// without a heading, as in Kafka.
    #[must_use]
    pub fn orders(definitions: &[Self]) -> Vec<i32> {
        let mut last: BTreeMap<&str, i32> = BTreeMap::new();
        let place = |definition: &Self| {
            let last = last.entry(definition.group).or_default();
            *last = definition.order.unwrap_or(*last + 1);
            if definition.group.is_empty() {
                -1
            } else {
                *last
            }
        };
        definitions.iter().map(place).collect()
    }
}

/// A type that a key's text parses into.
pub trait ConfigValue: Sized + 'static {
    /// The type as tools see it.
    const KIND: Kind;
    /// The values that are allowed, if they can be listed.
    const VALUES: &'static [&'static str] = &[];
    /// Parses a key's text.
    ///
    /// # Errors
    /// What is wrong, in words that follow the key's name: "is not a number".
    fn parse(text: &str) -> Result<Self, String>;
}

/// A key with its Rust type. Declare each as one `const`.
pub struct Key<T> {
    /// Everything but the type.
    pub definition: Definition,
    value: PhantomData<fn() -> T>,
}

impl<T: ConfigValue> Key<T> {
    /// A key that must be given.
    #[must_use]
    pub const fn required(
        name: &'static str,
        group: &'static str,
        documentation: &'static str,
    ) -> Self {
        let mut definition = Definition::foreign(name, T::KIND, group);
        definition.presence = Presence::Required;
        definition.documentation = documentation;
        definition.values = T::VALUES;
        definition.check = |text| T::parse(text).map(drop);
        Self {
            definition,
            value: PhantomData,
        }
    }

    /// A key with a default.
    #[must_use]
    pub const fn or(mut self, default: &'static str) -> Self {
        self.definition.presence = Presence::Default(default);
        self
    }

    /// A key that may be missing.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.definition.presence = Presence::Optional;
        self
    }

    /// Sets the importance.
    #[must_use]
    pub const fn importance(mut self, importance: Importance) -> Self {
        self.definition.importance = importance;
        self
    }

    /// Sets what a form wants to know: importance and room.
    #[must_use]
    pub const fn shown(mut self, importance: Importance, width: Width) -> Self {
        self.definition = self.definition.shown(importance, width);
        self
    }

    /// Sets the label.
    #[must_use]
    pub const fn display(mut self, label: &'static str) -> Self {
        self.definition.display_name = Some(label);
        self
    }

    /// Sets the place under the heading.
    #[must_use]
    pub const fn order(mut self, order: i32) -> Self {
        self.definition.order = Some(order);
        self
    }

    /// Sets the keys whose values depend on this one.
    #[must_use]
    pub const fn dependents(mut self, dependents: &'static [&'static str]) -> Self {
        self.definition.dependents = dependents;
        self
    }

    /// The key's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.definition.name
    }
}

#[cfg(test)]
mod tests {
    use super::{Definition, Kind, Width};

    const BARE: Definition = Definition::foreign("batch.size", Kind::Int, "");
    const HOST: Definition = Definition::foreign("database.hostname", Kind::Text, "Connection");
    const PORT: Definition = Definition::foreign("port", Kind::Int, "Connection");

    #[test]
    fn what_is_not_declared_follows_from_the_key() {
        assert_eq!(HOST.display_name(), "Database hostname");
        assert_eq!(HOST.display("Host").display_name(), "Host");
        assert_eq!((HOST.width(), PORT.width()), (Width::Medium, Width::Short));
        assert_eq!(BARE.display_name(), "batch.size");
        assert_eq!(BARE.width(), Width::None);
    }

    #[test]
    fn order_counts_within_a_heading_from_the_last_place_declared() {
        let keys = [BARE, HOST, PORT.order(1), PORT, PORT.order(9), HOST];
        assert_eq!(Definition::orders(&keys), [-1, 1, 1, 2, 9, 10]);
    }
}
