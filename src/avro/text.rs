//! A schema's text. One meaning has one text, because the text is what ids are given to.

use super::{
    AvroSchema, FullName, Tree,
    model::{Definition, Field, Kind, Node, Props, Shape},
    parse::DEPTH_MAX,
};
use std::collections::HashSet;

/// A type is written out where it is met first, so this is nested as deep as the schema was when it was made.
pub(super) fn canonical(schema: &AvroSchema) -> String {
    Writer::new(schema, schema.foreign.clone(), false).write()
}

pub(super) fn normalized(schema: &AvroSchema) -> String {
    Writer::new(schema, schema.foreign.clone(), true).write()
}

/// # Errors
/// With its references it would be nested deeper than schemas may be: they may be chained deeper than any text is.
pub(super) fn standalone(schema: &AvroSchema) -> Result<String, String> {
    let mut writer = Writer::new(schema, HashSet::new(), false);
    writer.depth_max = DEPTH_MAX;
    let tree = writer.node(&schema.root, "");
    match writer.too_deep {
        true => Err(format!(
            "with its references nested deeper than {DEPTH_MAX}"
        )),
        false => Ok(tree.to_string()),
    }
}

struct Writer<'s> {
    schema: &'s AvroSchema,
    /// Names that need no definition any more.
    written: HashSet<FullName>,
    /// Full names and sorted properties.
    normal: bool,
    depth: usize,
    depth_max: usize,
    too_deep: bool,
}

type Entries = Vec<(String, Tree)>;

impl<'s> Writer<'s> {
    fn new(schema: &'s AvroSchema, written: HashSet<FullName>, normal: bool) -> Self {
        Self {
            schema,
            written,
            normal,
            depth: 0,
            depth_max: usize::MAX,
            too_deep: false,
        }
    }

    fn write(mut self) -> String {
        self.node(&self.schema.root, "").to_string()
    }

    fn node(&mut self, node: &'s Node, enclosing: &str) -> Tree {
        if self.depth > self.depth_max {
            self.too_deep = true;
            return Tree::Null;
        }
        self.depth += 1;
        let tree = self.tree(node, enclosing);
        self.depth -= 1;
        tree
    }

    fn tree(&mut self, node: &'s Node, enclosing: &str) -> Tree {
        let mut entries = match &node.kind {
            Kind::Union(branches) => {
                let branches = branches.iter().map(|branch| self.node(branch, enclosing));
                return Tree::List(branches.collect());
            }
            Kind::Named(name) => return self.named(name, enclosing),
            Kind::Array(items) => vec![
                entry("type", Tree::text("array")),
                entry("items", self.node(items, enclosing)),
            ],
            Kind::Map(values) => vec![
                entry("type", Tree::text("map")),
                entry("values", self.node(values, enclosing)),
            ],
            primitive if node.props.0.is_empty() => return Tree::text(primitive.word()),
            primitive => vec![entry("type", Tree::text(primitive.word()))],
        };
        entries.extend(self.props(&node.props));
        Tree::Object(entries)
    }

    /// The definition where a type is met first, its name from then on.
    fn named(&mut self, name: &'s FullName, enclosing: &str) -> Tree {
        let first = !self.written.contains(name);
        match self.schema.definition(name) {
            Some(definition) if first => {
                self.written.insert(name.clone());
                Tree::Object(self.definition(definition, enclosing))
            }
            _ if name.namespace == enclosing && !self.normal => Tree::text(&name.name),
            _ => Tree::Text(name.to_string()),
        }
    }

    fn definition(&mut self, definition: &'s Definition, enclosing: &str) -> Entries {
        let kind = match &definition.shape {
            Shape::Record { error: false, .. } => "record",
            Shape::Record { error: true, .. } => "error",
            Shape::Enum { .. } => "enum",
            Shape::Fixed { .. } => "fixed",
        };
        let mut entries = vec![entry("type", Tree::text(kind))];
        let FullName { namespace, name } = &definition.name;
        if self.normal {
            entries.push(entry("name", Tree::Text(definition.name.to_string())));
            if namespace.is_empty() && !enclosing.is_empty() {
                entries.push(entry("namespace", Tree::text("")));
            }
        } else {
            entries.push(entry("name", Tree::text(name)));
            if namespace != enclosing {
                entries.push(entry("namespace", Tree::text(namespace)));
            }
        }
        entries.extend(doc(definition.doc.as_deref()));
        match &definition.shape {
            Shape::Record { fields, .. } => {
                let fields = fields.iter().map(|field| self.field(field, namespace));
                entries.push(entry("fields", Tree::List(fields.collect())));
            }
            Shape::Enum { symbols, default } => {
                entries.push(entry("symbols", texts(symbols)));
                let default = default.as_deref().map(Tree::text);
                entries.extend(default.map(|default| entry("default", default)));
            }
            Shape::Fixed { size } => {
                let size = i64::try_from(*size).unwrap_or(i64::MAX);
                entries.push(entry("size", Tree::Int(size)));
            }
        }
        entries.extend(self.props(&definition.props));
        let alias = |alias: &FullName| match alias.namespace == *namespace && !self.normal {
            true => alias.name.clone(),
            false => alias.to_string(),
        };
        let aliases: Vec<String> = definition.aliases.iter().map(alias).collect();
        entries.extend((!aliases.is_empty()).then(|| entry("aliases", texts(&aliases))));
        entries
    }

    fn field(&mut self, field: &'s Field, enclosing: &str) -> Tree {
        let mut entries = vec![
            entry("name", Tree::text(&field.name)),
            entry("type", self.node(&field.node, enclosing)),
        ];
        entries.extend(doc(field.doc.as_deref()));
        let default = field.default.clone();
        entries.extend(default.map(|default| entry("default", default)));
        let order = field.order.as_deref().map(Tree::text);
        entries.extend(order.map(|order| entry("order", order)));
        let aliases = &field.aliases;
        entries.extend((!aliases.is_empty()).then(|| entry("aliases", texts(aliases))));
        entries.extend(self.props(&field.props));
        Tree::Object(entries)
    }

    fn props(&self, props: &Props) -> Entries {
        let Props(mut props) = props.clone();
        if self.normal {
            props.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        props
    }
}

fn entry(key: &str, value: Tree) -> (String, Tree) {
    (key.to_owned(), value)
}

fn doc(doc: Option<&str>) -> Option<(String, Tree)> {
    doc.map(|doc| entry("doc", Tree::text(doc)))
}

fn texts(texts: &[String]) -> Tree {
    Tree::List(texts.iter().map(|text| Tree::text(text)).collect())
}
