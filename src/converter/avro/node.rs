//! An Avro schema as a tree with all its properties, and its text as Avro's Java library writes it: the text that
//! registries compare.

use super::{names::FullName, tree::Tree};
use tapline_sdk::{Schema, Type};

/// Whether a map with such keys is a map in Avro: there keys are strings.
pub(super) fn is_text_key(key: &Schema) -> bool {
    key.ty == Type::Text && !key.optional
}

/// A schema with the properties that Avro itself does not know.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) ty: Avro,
    /// In the order in which they are written.
    pub(super) props: Vec<(String, Tree)>,
}

/// Avro's types.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Avro {
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
    Record(Box<Record>),
    Enum(FullName, Vec<String>),
    Fixed(FullName, usize),
    /// A named type that was defined before.
    Named(FullName),
}

/// A record's definition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) name: FullName,
    pub(super) fields: Vec<AvroField>,
}

/// A record's field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AvroField {
    pub(super) name: String,
    pub(super) node: Node,
    pub(super) default: Option<Tree>,
    pub(super) props: Vec<(String, Tree)>,
}

impl Node {
    /// A type without properties.
    pub(super) fn plain(ty: Avro) -> Self {
        Self {
            ty,
            props: Vec::new(),
        }
    }

    /// A property.
    pub(super) fn prop(&self, key: &str) -> Option<&Tree> {
        self.props
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// A property that is a text.
    pub(super) fn text_prop(&self, key: &str) -> Option<&str> {
        self.prop(key).and_then(Tree::as_text)
    }

    /// The schema's text.
    pub(super) fn to_text(&self) -> String {
        self.to_tree("").to_string()
    }

    /// The schema as JSON inside this namespace.
    fn to_tree(&self, enclosing: &str) -> Tree {
        let name = |name: &str| vec![("type".to_owned(), Tree::text(name))];
        let mut entries = match &self.ty {
            Avro::Union(branches) => {
                return Tree::List(
                    branches
                        .iter()
                        .map(|node| node.to_tree(enclosing))
                        .collect(),
                );
            }
            Avro::Named(full) => return Tree::Text(reference(full, enclosing)),
            Avro::Array(item) => {
                let mut entries = name("array");
                entries.push(("items".to_owned(), item.to_tree(enclosing)));
                entries
            }
            Avro::Map(value) => {
                let mut entries = name("map");
                entries.push(("values".to_owned(), value.to_tree(enclosing)));
                entries
            }
            Avro::Record(record) => {
                let mut entries = definition("record", &record.name, enclosing);
                let fields = record.fields.iter();
                let fields = fields.map(|field| field.to_tree(&record.name.namespace));
                entries.push(("fields".to_owned(), Tree::List(fields.collect())));
                entries
            }
            Avro::Enum(full, symbols) => {
                let mut entries = definition("enum", full, enclosing);
                let symbols = symbols.iter().map(|symbol| Tree::text(symbol));
                entries.push(("symbols".to_owned(), Tree::List(symbols.collect())));
                entries
            }
            Avro::Fixed(full, size) => {
                let mut entries = definition("fixed", full, enclosing);
                let size = i64::try_from(*size).unwrap_or(i64::MAX);
                entries.push(("size".to_owned(), Tree::Int(size)));
                entries
            }
            primitive if self.props.is_empty() => return Tree::text(primitive.primitive()),
            primitive => name(primitive.primitive()),
        };
        entries.extend(self.props.iter().cloned());
        Tree::Object(entries)
    }
}

impl AvroField {
    fn to_tree(&self, enclosing: &str) -> Tree {
        let mut entries = vec![
            ("name".to_owned(), Tree::text(&self.name)),
            ("type".to_owned(), self.node.to_tree(enclosing)),
        ];
        if let Some(default) = &self.default {
            entries.push(("default".to_owned(), default.clone()));
        }
        entries.extend(self.props.iter().cloned());
        Tree::Object(entries)
    }
}

impl Avro {
    /// The name of a primitive type.
    fn primitive(&self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            _ => "null",
        }
    }
}

/// A namespace is written only where it differs from the enclosing one.
fn definition(kind: &str, full: &FullName, enclosing: &str) -> Vec<(String, Tree)> {
    let mut entries = vec![
        ("type".to_owned(), Tree::text(kind)),
        ("name".to_owned(), Tree::text(&full.name)),
    ];
    if full.namespace != enclosing {
        entries.push(("namespace".to_owned(), Tree::text(&full.namespace)));
    }
    entries
}

fn reference(full: &FullName, enclosing: &str) -> String {
    if full.namespace == enclosing {
        full.name.clone()
    } else {
        full.to_string()
    }
}
