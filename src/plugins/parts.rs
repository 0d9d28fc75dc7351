//! Plugins that are no connectors: transforms, predicates and converters, by class name.
//!
//! Owns which of them exist, for lists, forms and the look-up of classes. Makes none: [`crate::transform`] and
//! [`crate::converter`] do.

use crate::transform;
use tapline_sdk::{
    Definition,
    Importance::{High, Low},
    Kind, Presence, Width,
};

/// What a part is to a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Transform,
    Predicate,
    Converter,
    HeaderConverter,
}

/// A class that settings can name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) role: Role,
    /// The class name in full.
    pub(super) class: &'static str,
    /// Our short name, if it has one.
    pub(super) short: Option<&'static str>,
    /// The keys under its prefix.
    pub(super) keys: &'static [Definition],
}

/// What a converter is used for; the runtime fills it in.
const CONVERTER_TYPE: Definition = Definition {
    presence: Presence::Required,
    ..Definition::foreign("converter.type", Kind::Text, "")
        .shown(Low, Width::None)
        .documented("filled in: key, value or header")
};

const REGISTRY_URL: Definition = Definition::foreign("schema.registry.url", Kind::List, "")
    .shown(High, Width::None)
    .documented("accepted and not read: the registry is built in");

const CONVERTERS: [Part; 1] = [Part {
    role: Role::Converter,
    class: "io.confluent.connect.avro.AvroConverter",
    short: Some("avro"),
    keys: &[CONVERTER_TYPE, REGISTRY_URL],
}];

const HEADER_CONVERTERS: [Part; 1] = [Part {
    role: Role::HeaderConverter,
    class: "org.apache.kafka.connect.storage.SimpleHeaderConverter",
    short: None,
    keys: &[],
}];

impl Role {
    /// The word in a list of plugins.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Transform => "transformation",
            Self::Predicate => "predicate",
            Self::Converter => "converter",
            Self::HeaderConverter => "header_converter",
        }
    }

    /// The interface that Connect's messages name.
    pub(super) fn interface(self) -> &'static str {
        match self {
            Self::Transform => "Transformation",
            Self::Predicate => "Predicate",
            Self::Converter => "Converter",
            Self::HeaderConverter => "HeaderConverter",
        }
    }
}

/// Every part, in the order in which Connect lists them.
pub(super) fn all() -> Vec<Part> {
    let mut parts = of(Role::Transform, &transform::TRANSFORMS);
    parts.extend(of(Role::Predicate, &transform::PREDICATES));
    parts.extend(CONVERTERS);
    parts.extend(HEADER_CONVERTERS);
    parts
}

fn of<M>(role: Role, classes: &[transform::Class<M>]) -> Vec<Part> {
    let part = |class: &transform::Class<M>| Part {
        role,
        class: class.name,
        short: None,
        keys: class.keys,
    };
    classes.iter().map(part).collect()
}

/// The part of this name, one of this role first: a name may stand for a converter of values and of headers.
pub(super) fn find(role: Role, name: &str) -> Option<Part> {
    let named: Vec<Part> = all()
        .into_iter()
        .filter(|part| part.answers(name))
        .collect();
    let fitting = named.iter().find(|part| part.role == role);
    fitting.or(named.first()).copied()
}

/// The part of this name, whatever it is.
pub(super) fn named(name: &str) -> Option<Part> {
    all().into_iter().find(|part| part.answers(name))
}

impl Part {
    /// Whether the name is the class in full, its last word, or our short name. An inner class (`Cast$Value`) has no
    /// last word, as in Connect.
    fn answers(&self, name: &str) -> bool {
        let simple = self.class.rsplit('.').next().filter(|s| !s.contains('$'));
        self.class == name || self.short == Some(name) || simple == Some(name)
    }
}
