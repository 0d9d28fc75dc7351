//! A parsed Avro schema. Named types stand in a table, so that recursion needs no pointer back.

use super::{FullName, budget::Budget, parse, text};
use crate::registry::tree::Tree;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// A schema with every named type that it uses.
#[derive(Debug, Clone)]
pub(in crate::registry) struct AvroSchema {
    pub(super) root: Node,
    pub(super) types: HashMap<FullName, Arc<Definition>>,
    /// Names that references brought: used here, defined elsewhere.
    pub(super) foreign: HashSet<FullName>,
}

/// A type where it is used.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// What Avro itself gives no meaning to, logical types included, in the order in which it is written.
    pub(super) props: Props,
}

pub(super) type Props = Vec<(String, Tree)>;

/// Avro's types.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(Box<Node>),
    Map(Box<Node>),
    Union(Vec<Node>),
    /// A record, enum or fixed: see [`AvroSchema::types`].
    Named(FullName),
}

/// A named type.
#[derive(Debug, PartialEq)]
pub(super) struct Definition {
    pub(super) name: FullName,
    pub(super) doc: Option<String>,
    pub(super) aliases: Vec<FullName>,
    pub(super) shape: Shape,
    pub(super) props: Props,
}

/// What a named type is.
#[derive(Debug, PartialEq)]
pub(super) enum Shape {
    Record {
        /// `error` instead of `record`, which Avro's protocols use.
        error: bool,
        fields: Vec<Field>,
    },
    Enum {
        symbols: Vec<String>,
        default: Option<String>,
    },
    Fixed {
        size: u64,
    },
}

/// A record's field.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) node: Node,
    pub(super) doc: Option<String>,
    pub(super) default: Option<Tree>,
    /// Only if it is not `ascending`.
    pub(super) order: Option<String>,
    pub(super) aliases: Vec<String>,
    pub(super) props: Props,
}

/// A decimal's digits, if a node is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) precision: i64,
    pub(super) scale: i64,
}

impl AvroSchema {
    /// Parses a schema that may use the named types of others.
    ///
    /// # Errors
    /// Says what is wrong and where.
    pub(in crate::registry) fn parse(
        source: &str,
        references: &[Self],
        budget: &mut Budget,
    ) -> Result<Self, String> {
        parse::parse(source, references, budget)
    }

    /// The form that is stored and compared: Avro's Java library's, in which whitespace and the order of attributes do
    /// not matter.
    pub(in crate::registry) fn to_text(&self) -> String {
        text::canonical(self)
    }

    /// As [`Self::to_text`], with full names and sorted properties: what `normalize=true` stores.
    pub(in crate::registry) fn to_normalized_text(&self) -> String {
        text::normalized(self)
    }

    /// As [`Self::to_text`], with the types of references written out: a reader needs nothing else.
    ///
    /// # Errors
    /// It would be nested deeper than the converters read.
    pub(in crate::registry) fn to_standalone_text(&self) -> Result<String, String> {
        text::standalone(self)
    }

    pub(super) fn definition(&self, name: &FullName) -> Option<&Definition> {
        self.types.get(name).map(|definition| &**definition)
    }
}

impl Node {
    pub(super) fn plain(kind: Kind) -> Self {
        Self {
            kind,
            props: Vec::new(),
        }
    }
}

impl Kind {
    /// The primitive of this name.
    pub(super) fn primitive(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "bytes" => Self::Bytes,
            "string" => Self::String,
            _ => return None,
        })
    }
}

/// The decimal that a type's properties make of it. As Avro demands, one that is malformed is ignored.
pub(super) fn decimal(props: &Props) -> Option<Decimal> {
    let prop = |key: &str| props.iter().find(|(name, _)| name == key);
    let (_, logical) = prop("logicalType")?;
    if logical.as_text() != Some("decimal") {
        return None;
    }
    let precision = prop("precision")?.1.as_int().filter(|digits| *digits > 0)?;
    let scale = match prop("scale") {
        Some((_, scale)) => scale.as_int()?,
        None => 0,
    };
    (0..=precision)
        .contains(&scale)
        .then_some(Decimal { precision, scale })
}
