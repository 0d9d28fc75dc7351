//! The text of an Avro schema, whoever wrote it, to a [`Node`].

use super::{
    names::FullName,
    node::{Avro, AvroField, Node, Record},
    tree::Tree,
};
use std::collections::HashSet;

/// What Avro itself gives a meaning to, by kind of schema; everything else is a property.
const RESERVED: [&str; 11] = [
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
    "default",
];

/// Far above what a table or document needs; more would only exhaust the stack.
pub(super) const DEPTH_MAX: usize = 64;

/// Parses a schema.
///
/// # Errors
/// Says what is wrong, and in which record or field.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let tree = Tree::parse(text).map_err(|error| format!("not JSON: {error}"))?;
    let mut parser = Parser::default();
    parser.node(&tree, "", 0)
}

/// The names that were defined so far.
#[derive(Default)]
struct Parser {
    defined: HashSet<FullName>,
}

impl Parser {
    fn node(&mut self, tree: &Tree, enclosing: &str, depth: usize) -> Result<Node, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        match tree {
            Tree::Text(name) => self.named(name, enclosing).map(Node::plain),
            Tree::List(branches) => {
                let nodes = branches
                    .iter()
                    .map(|branch| self.node(branch, enclosing, depth + 1));
                Ok(Node::plain(Avro::Union(nodes.collect::<Result<_, _>>()?)))
            }
            Tree::Object(entries) => {
                let kind = tree.get("type").ok_or("a schema without a type")?;
                let Some(kind) = kind.as_text() else {
                    // {"type": {…}} is the inner schema; Avro's libraries accept it.
                    return self.node(kind, enclosing, depth + 1);
                };
                let ty = self.complex(kind, tree, enclosing, depth)?;
                let other = |(key, _): &&(String, Tree)| !RESERVED.contains(&key.as_str());
                let props = entries.iter().filter(other).cloned().collect();
                Ok(Node { ty, props })
            }
            _ => Err("a schema that is neither a name, a list nor an object".to_owned()),
        }
    }

    fn named(&self, name: &str, enclosing: &str) -> Result<Avro, String> {
        Ok(match name {
            "null" => Avro::Null,
            "boolean" => Avro::Boolean,
            "int" => Avro::Int,
            "long" => Avro::Long,
            "float" => Avro::Float,
            "double" => Avro::Double,
            "bytes" => Avro::Bytes,
            "string" => Avro::String,
            other => {
                let full = FullName::resolve(other, enclosing);
                if !self.defined.contains(&full) {
                    return Err(format!("the type \"{full}\" is not defined"));
                }
                Avro::Named(full)
            }
        })
    }

    fn complex(
        &mut self,
        kind: &str,
        tree: &Tree,
        enclosing: &str,
        depth: usize,
    ) -> Result<Avro, String> {
        match kind {
            "array" => {
                let items = tree.get("items").ok_or("an array without items")?;
                Ok(Avro::Array(Box::new(self.node(
                    items,
                    enclosing,
                    depth + 1,
                )?)))
            }
            "map" => {
                let values = tree.get("values").ok_or("a map without values")?;
                Ok(Avro::Map(Box::new(self.node(
                    values,
                    enclosing,
                    depth + 1,
                )?)))
            }
            "record" | "error" => {
                let name = self.define(tree, enclosing)?;
                let Some(Tree::List(fields)) = tree.get("fields") else {
                    return Err(format!("the record \"{name}\" has no fields"));
                };
                let fields = fields
                    .iter()
                    .map(|field| self.field(field, &name.namespace, depth));
                let fields = fields
                    .collect::<Result<_, _>>()
                    .map_err(|error| format!("{name}: {error}"))?;
                Ok(Avro::Record(Box::new(Record { name, fields })))
            }
            "enum" => {
                let name = self.define(tree, enclosing)?;
                let symbols = match tree.get("symbols") {
                    Some(Tree::List(symbols)) => symbols
                        .iter()
                        .map(|symbol| symbol.as_text().map(str::to_owned)),
                    _ => return Err(format!("the enum \"{name}\" has no symbols")),
                };
                let symbols = symbols
                    .collect::<Option<_>>()
                    .ok_or("a symbol that is no text")?;
                Ok(Avro::Enum(name, symbols))
            }
            "fixed" => {
                let name = self.define(tree, enclosing)?;
                let size = tree
                    .get("size")
                    .and_then(Tree::as_int)
                    .and_then(|size| usize::try_from(size).ok());
                Ok(Avro::Fixed(name, size.ok_or("a fixed without a size")?))
            }
            other => self.named(other, enclosing),
        }
    }

    fn define(&mut self, tree: &Tree, enclosing: &str) -> Result<FullName, String> {
        let name = tree
            .get("name")
            .and_then(Tree::as_text)
            .ok_or("a named type without a name")?;
        let namespace = tree
            .get("namespace")
            .and_then(Tree::as_text)
            .unwrap_or(enclosing);
        let full = FullName::resolve(name, namespace);
        if !self.defined.insert(full.clone()) {
            return Err(format!("the type \"{full}\" is defined twice"));
        }
        Ok(full)
    }

    fn field(&mut self, tree: &Tree, enclosing: &str, depth: usize) -> Result<AvroField, String> {
        let (Tree::Object(entries), Some(name)) = (tree, tree.get("name").and_then(Tree::as_text))
        else {
            return Err("a field without a name".to_owned());
        };
        let ty = tree
            .get("type")
            .ok_or_else(|| format!("the field \"{name}\" has no type"))?;
        let node = self
            .node(ty, enclosing, depth + 1)
            .map_err(|error| format!("{name}: {error}"))?;
        let own = ["name", "type", "doc", "default", "order", "aliases"];
        let other = |(key, _): &&(String, Tree)| !own.contains(&key.as_str());
        Ok(AvroField {
            name: name.to_owned(),
            node,
            default: tree.get("default").cloned(),
            props: entries.iter().filter(other).cloned().collect(),
        })
    }
}
