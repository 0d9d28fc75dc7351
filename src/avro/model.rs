//! A parsed Avro schema. Named types stand in a table, so that recursion needs no pointer back.

use super::{
    FullName, Tree,
    parse::{self, Rules},
    text,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// A schema with every named type that it uses.
#[derive(Debug, Clone)]
pub(crate) struct AvroSchema {
    pub(crate) root: Node,
    /// Has a definition for each name that stands anywhere in the schema.
    pub(crate) types: HashMap<FullName, Arc<Definition>>,
    /// Names that references brought: used here, defined elsewhere.
    pub(crate) foreign: HashSet<FullName>,
}

/// A type where it is used.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Those of a named type stand in its definition.
    pub(crate) props: Props,
}

/// What Avro itself gives no meaning to, logical types included, in the order in which it is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Props(pub(crate) Vec<(String, Tree)>);

/// Avro's types.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
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
pub(crate) struct Definition {
    pub(crate) name: FullName,
    pub(crate) doc: Option<String>,
    pub(crate) aliases: Vec<FullName>,
    pub(crate) shape: Shape,
    pub(crate) props: Props,
}

/// What a named type is.
#[derive(Debug, PartialEq)]
pub(crate) enum Shape {
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
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) node: Node,
    pub(crate) doc: Option<String>,
    pub(crate) default: Option<Tree>,
    /// Only if it is not `ascending`.
    pub(crate) order: Option<String>,
    pub(crate) aliases: Vec<String>,
    pub(crate) props: Props,
}

/// The digits of a type that is a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) precision: i64,
    pub(crate) scale: i64,
}

impl AvroSchema {
    /// Parses a schema that may use the named types of others.
    ///
    /// # Errors
    /// Says what is wrong and where.
    pub(crate) fn parse(source: &str, references: &[Self], rules: Rules) -> Result<Self, String> {
        parse::parse(source, references, rules)
    }

    /// The form that is stored and compared: Avro's Java library's, in which whitespace and the order of attributes do
    /// not matter.
    pub(crate) fn to_text(&self) -> String {
        text::canonical(self)
    }

    /// As [`Self::to_text`], with full names and sorted properties: what `normalize=true` stores.
    pub(crate) fn to_normalized_text(&self) -> String {
        text::normalized(self)
    }

    /// As [`Self::to_text`], with the types of references written out: a reader needs nothing else.
    ///
    /// # Errors
    /// It would be nested deeper than the parser reads.
    pub(crate) fn to_standalone_text(&self) -> Result<String, String> {
        text::standalone(self)
    }

    /// What a name of this schema stands for.
    pub(crate) fn definition(&self, name: &FullName) -> Option<&Definition> {
        self.types.get(name).map(|definition| &**definition)
    }
}

impl Node {
    /// A type without properties.
    pub(crate) fn plain(kind: Kind) -> Self {
        Self {
            kind,
            props: Props::default(),
        }
    }
}

impl Props {
    /// The value of a property.
    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value)
    }

    /// The value of a property that is a text.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Tree::as_text)
    }

    /// The value of a property that is an integer.
    pub(crate) fn int(&self, key: &str) -> Option<i64> {
        self.get(key).and_then(Tree::as_int)
    }

    /// Adds a property behind the others.
    pub(crate) fn put(&mut self, key: &str, value: Tree) {
        self.0.push((key.to_owned(), value));
    }

    /// The decimal that they make of a type. As Avro demands, one that is malformed is ignored.
    pub(crate) fn decimal(&self) -> Option<Decimal> {
        if self.text("logicalType") != Some("decimal") {
            return None;
        }
        let precision = self.int("precision").filter(|digits| *digits > 0)?;
        let scale = match self.get("scale") {
            Some(scale) => scale.as_int()?,
            None => 0,
        };
        (0..=precision)
            .contains(&scale)
            .then_some(Decimal { precision, scale })
    }
}

impl Kind {
    /// The primitive of this name.
    pub(crate) fn primitive(name: &str) -> Option<Self> {
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

    /// Avro's word for the type; a named type's own name says more.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Named(_) => "named",
        }
    }
}
