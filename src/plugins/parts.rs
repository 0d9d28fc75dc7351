//! Plugins that are no connectors: transforms, predicates and converters, by class name.
//!
//! Owns which of them exist, for lists, forms and the look-up of classes. Makes none: [`crate::transform`] and
//! [`crate::converter`] do.

use crate::{
    converter::{self, Class},
    transform,
};
use tapline_sdk::{Definition, Importance::Low, Kind, Presence, Width};

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

/// The converter that is for headers alone.
const SIMPLE: &str = "simple";

/// What a converter is used for; the runtime fills it in.
pub(super) const CONVERTER_TYPE: Definition = Definition {
    presence: Presence::Required,
    ..Definition::foreign("converter.type", Kind::Text, "")
        .shown(Low, Width::None)
        .documented("filled in: key, value or header")
};

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
    parts.extend(converters(Role::Converter, |class| class.short != SIMPLE));
    parts.extend(converters(Role::HeaderConverter, |class| class.headers));
    parts
}

fn converters(role: Role, fits: fn(&Class) -> bool) -> impl Iterator<Item = Part> {
    let fitting = converter::CLASSES.iter().filter(move |class| fits(class));
    fitting.map(move |class| Part {
        role,
        class: class.class,
        short: Some(class.short),
        keys: class.keys,
    })
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
    /// Whether the runtime tells it what it converts: every converter but the one for headers alone.
    pub(super) fn is_told_its_use(&self) -> bool {
        matches!(self.role, Role::Converter | Role::HeaderConverter) && self.short != Some(SIMPLE)
    }

    /// Whether the name is the class in full, its last word, or our short name. An inner class (`Cast$Value`) has no
    /// last word, as in Connect.
    fn answers(&self, name: &str) -> bool {
        let simple = self.class.rsplit('.').next().filter(|s| !s.contains('$'));
        let pruned = simple.and_then(|simple| simple.strip_suffix(self.role.interface()));
        self.class == name || [self.short, simple, pruned].contains(&Some(name))
    }
}
