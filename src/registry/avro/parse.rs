//! The text of a schema to its model. What Avro's own parsers refuse is refused here, with the place named: a schema
//! that was accepted once has to be readable for ever.

use super::{
    AvroSchema, FullName,
    budget::Budget,
    defaults,
    model::{Definition, Field, Kind, Node, Props, Shape},
};
use crate::registry::tree::Tree;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// As deep as the converters read; deeper ones would only exhaust a stack.
pub(super) const DEPTH_MAX: usize = 64;

/// No name is longer than that of a table and a column of any database together.
const NAME_BYTES_MAX: usize = 1_024;

/// What Avro gives a meaning to in a type; everything else is a property.
const TYPE_ATTRIBUTES: [&str; 10] = [
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
const FIELD_ATTRIBUTES: [&str; 6] = ["name", "type", "doc", "default", "order", "aliases"];

/// Names that are no namespace's: a definition may not take them.
const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];

pub(super) fn parse(
    source: &str,
    references: &[AvroSchema],
    budget: &mut Budget,
) -> Result<AvroSchema, String> {
    budget.spend(u64::try_from(source.len()).unwrap_or(u64::MAX))?;
    let tree = Tree::parse(source).map_err(|error| format!("not JSON: {error}"))?;
    let mut parser = Parser::with(references)?;
    let root = parser.node(&tree, "", 0)?;
    let Parser { types, foreign, .. } = parser;
    let schema = AvroSchema {
        root,
        types,
        foreign,
    };
    defaults::validate(&schema, budget)?;
    Ok(schema)
}

struct Parser {
    types: HashMap<FullName, Arc<Definition>>,
    /// Begun, so that a type can be used inside of itself.
    begun: HashSet<FullName>,
    foreign: HashSet<FullName>,
}

impl Parser {
    fn with(references: &[AvroSchema]) -> Result<Self, String> {
        let mut types: HashMap<FullName, Arc<Definition>> = HashMap::new();
        for (name, definition) in references.iter().flat_map(|schema| &schema.types) {
            match types.get(name) {
                Some(known) if known != definition => {
                    return Err(format!("two references define \"{name}\" differently"));
                }
                Some(_) => {}
                None => {
                    types.insert(name.clone(), Arc::clone(definition));
                }
            }
        }
        let foreign: HashSet<FullName> = types.keys().cloned().collect();
        Ok(Self {
            types,
            begun: foreign.clone(),
            foreign,
        })
    }

    fn node(&mut self, tree: &Tree, enclosing: &str, depth: usize) -> Result<Node, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        match tree {
            Tree::Text(name) => self.named(name, enclosing).map(Node::plain),
            Tree::List(branches) => self.union(branches, enclosing, depth),
            Tree::Object(entries) => {
                once_each(entries)?;
                let kind = tree.get("type").ok_or("a schema without a type")?;
                let Some(kind) = kind.as_text() else {
                    // {"type": {…}} is the inner schema; Avro's libraries read it so.
                    return self.node(kind, enclosing, depth + 1);
                };
                self.object(kind, tree, entries, enclosing, depth)
            }
            _ => Err("a schema is a name, a list of schemas or an object".to_owned()),
        }
    }

    fn object(
        &mut self,
        kind: &str,
        tree: &Tree,
        entries: &[(String, Tree)],
        enclosing: &str,
        depth: usize,
    ) -> Result<Node, String> {
        let inner = |key: &str| {
            tree.get(key)
                .ok_or_else(|| format!("an {kind} without {key}").replace("an map", "a map"))
        };
        let kind = match kind {
            "array" => Kind::Array(Box::new(self.node(
                inner("items")?,
                enclosing,
                depth + 1,
            )?)),
            "map" => Kind::Map(Box::new(self.node(
                inner("values")?,
                enclosing,
                depth + 1,
            )?)),
            "record" | "error" | "enum" | "fixed" => {
                let name = self.define(kind, tree, entries, enclosing, depth)?;
                return Ok(Node::plain(Kind::Named(name)));
            }
            other => self.named(other, enclosing)?,
        };
        let props = props(entries, &TYPE_ATTRIBUTES);
        Ok(Node { kind, props })
    }

    fn named(&self, name: &str, enclosing: &str) -> Result<Kind, String> {
        if let Some(primitive) = Kind::primitive(name) {
            return Ok(primitive);
        }
        let full = FullName::resolve(name, enclosing);
        if !self.begun.contains(&full) {
            // The specification: a name without a namespace may also be one of the null namespace.
            let bare = FullName::resolve(name, "");
            if !self.begun.contains(&bare) {
                return Err(format!("the type \"{full}\" is not defined"));
            }
            return Ok(Kind::Named(bare));
        }
        Ok(Kind::Named(full))
    }

    fn union(&mut self, branches: &[Tree], enclosing: &str, depth: usize) -> Result<Node, String> {
        let mut nodes: Vec<Node> = Vec::with_capacity(branches.len());
        let mut seen = HashSet::new();
        for branch in branches {
            let node = self.node(branch, enclosing, depth + 1)?;
            let what = match &node.kind {
                Kind::Union(_) => return Err("a union directly in a union".to_owned()),
                Kind::Array(_) => "array".to_owned(),
                Kind::Map(_) => "map".to_owned(),
                Kind::Named(name) => format!("named {name}"),
                primitive => format!("{primitive:?}"),
            };
            if !seen.insert(what) {
                return Err("a union with the same type twice".to_owned());
            }
            nodes.push(node);
        }
        Ok(Node::plain(Kind::Union(nodes)))
    }

    /// Enters a record, enum or fixed into the table.
    fn define(
        &mut self,
        kind: &str,
        tree: &Tree,
        entries: &[(String, Tree)],
        enclosing: &str,
        depth: usize,
    ) -> Result<FullName, String> {
        let name = full_name(tree, enclosing)?;
        if !self.begun.insert(name.clone()) {
            return Err(format!("the type \"{name}\" is defined twice"));
        }
        let of_type = |error: String| format!("{name}: {error}");
        let shape = match kind {
            "enum" => symbols(tree).map_err(of_type)?,
            "fixed" => size(tree).map_err(of_type)?,
            _ => Shape::Record {
                error: kind == "error",
                fields: self.fields(tree, &name.namespace, depth).map_err(of_type)?,
            },
        };
        let mut props = props(entries, &TYPE_ATTRIBUTES);
        if kind == "enum" {
            props.retain(|(key, _)| key != "default");
        }
        let definition = Definition {
            doc: text(tree, "doc"),
            aliases: aliases(tree)
                .map_err(of_type)?
                .iter()
                .map(|alias| FullName::resolve(alias, &name.namespace))
                .collect(),
            shape,
            props,
            name: name.clone(),
        };
        self.types.insert(name.clone(), Arc::new(definition));
        Ok(name)
    }

    fn fields(&mut self, tree: &Tree, namespace: &str, depth: usize) -> Result<Vec<Field>, String> {
        let Some(Tree::List(list)) = tree.get("fields") else {
            return Err("a record without a list of fields".to_owned());
        };
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        let mut names = HashSet::new();
        for tree in list {
            let field = self.field(tree, namespace, depth)?;
            if !names.insert(field.name.clone()) {
                return Err(format!("two fields are named \"{}\"", field.name));
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn field(&mut self, tree: &Tree, namespace: &str, depth: usize) -> Result<Field, String> {
        let (Tree::Object(entries), Some(name)) = (tree, tree.get("name").and_then(Tree::as_text))
        else {
            return Err("a field without a name".to_owned());
        };
        let of_field = |error: String| format!("field \"{name}\": {error}");
        legal(name)?;
        once_each(entries).map_err(of_field)?;
        let ty = tree
            .get("type")
            .ok_or_else(|| of_field("it has no type".to_owned()))?;
        let node = self.node(ty, namespace, depth + 1).map_err(of_field)?;
        let order = text(tree, "order").filter(|order| order != "ascending");
        if let Some(order) = order
            .as_deref()
            .filter(|o| !["descending", "ignore"].contains(o))
        {
            return Err(of_field(format!("the order \"{order}\" does not exist")));
        }
        Ok(Field {
            name: name.to_owned(),
            node,
            doc: text(tree, "doc"),
            default: tree.get("default").cloned(),
            order,
            aliases: aliases(tree).map_err(of_field)?,
            props: props(entries, &FIELD_ATTRIBUTES),
        })
    }
}

fn full_name(tree: &Tree, enclosing: &str) -> Result<FullName, String> {
    let name = tree.get("name").and_then(Tree::as_text);
    let name = name.ok_or("a named type without a name")?;
    let namespace = tree.get("namespace").and_then(Tree::as_text);
    let full = FullName::resolve(name, namespace.unwrap_or(enclosing));
    legal(&full.name)?;
    if full.namespace.is_empty() {
        if PRIMITIVES.contains(&full.name.as_str()) {
            return Err(format!("\"{name}\" is the name of a type of Avro's own"));
        }
        return Ok(full);
    }
    full.namespace.split('.').try_for_each(legal)?;
    Ok(full)
}

/// A letter or underscore, then letters, digits and underscores.
fn legal(name: &str) -> Result<(), String> {
    let mut bytes = name.bytes();
    let first = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if name.len() > NAME_BYTES_MAX {
        return Err(format!(
            "a name of {} bytes; the limit is {NAME_BYTES_MAX}",
            name.len()
        ));
    }
    if !first || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(format!(
            "\"{name}\" is no legal name: a letter or _ first, then letters, digits and _"
        ));
    }
    Ok(())
}

fn symbols(tree: &Tree) -> Result<Shape, String> {
    let symbols = texts(tree, "symbols")?.ok_or("an enum without symbols")?;
    let mut seen = HashSet::new();
    for symbol in &symbols {
        legal(symbol)?;
        if !seen.insert(symbol) {
            return Err(format!("the symbol \"{symbol}\" stands twice"));
        }
    }
    let default = match tree.get("default") {
        None => None,
        Some(default) => {
            let known = default
                .as_text()
                .filter(|text| symbols.iter().any(|symbol| symbol == text));
            Some(
                known
                    .ok_or("the default is none of the symbols")?
                    .to_owned(),
            )
        }
    };
    Ok(Shape::Enum { symbols, default })
}

fn size(tree: &Tree) -> Result<Shape, String> {
    let size = tree.get("size").and_then(Tree::as_int);
    let size = size.and_then(|size| i32::try_from(size).ok());
    let size = size.and_then(|size| u64::try_from(size).ok());
    Ok(Shape::Fixed {
        size: size.ok_or("a fixed without a size from 0 to 2147483647")?,
    })
}

fn aliases(tree: &Tree) -> Result<Vec<String>, String> {
    let aliases = texts(tree, "aliases")?.unwrap_or_default();
    for alias in &aliases {
        alias.split('.').try_for_each(legal)?;
    }
    Ok(aliases)
}

fn texts(tree: &Tree, key: &str) -> Result<Option<Vec<String>>, String> {
    let Some(value) = tree.get(key) else {
        return Ok(None);
    };
    let Tree::List(items) = value else {
        return Err(format!("{key} is no list"));
    };
    let texts = items.iter().map(|item| item.as_text().map(str::to_owned));
    let texts: Option<Vec<String>> = texts.collect();
    texts
        .map(Some)
        .ok_or_else(|| format!("{key} holds what is no text"))
}

fn text(tree: &Tree, key: &str) -> Option<String> {
    tree.get(key).and_then(Tree::as_text).map(str::to_owned)
}

fn props(entries: &[(String, Tree)], attributes: &[&str]) -> Props {
    let other = |(key, _): &&(String, Tree)| !attributes.contains(&key.as_str());
    entries.iter().filter(other).cloned().collect()
}

/// Libraries disagree on which of two equal keys counts.
fn once_each(entries: &[(String, Tree)]) -> Result<(), String> {
    let mut seen = HashSet::new();
    match entries.iter().find(|(key, _)| !seen.insert(key.as_str())) {
        Some((key, _)) => Err(format!("the key \"{key}\" stands twice")),
        None => Ok(()),
    }
}
