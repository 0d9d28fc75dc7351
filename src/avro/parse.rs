//! The text of a schema to its model, with the place of whatever is wrong.

use super::{
    AvroSchema, FullName, Tree,
    attributes::{Attributes, FIELD_ATTRIBUTES, TYPE_ATTRIBUTES},
    model::{Definition, Field, Kind, Node, Shape},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Far above what a table or document needs; deeper ones would only exhaust a stack.
pub(crate) const DEPTH_MAX: usize = 64;

/// What is refused beside what has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// What Avro's own parsers refuse: for a schema that is handed in, because what was taken once has to be readable
    /// everywhere and for ever.
    New,
    /// Nothing: for a schema that is in use already. Its records are there, whatever an earlier registry or program
    /// let through: names that are illegal, symbols, fields or branches that stand twice, defaults of another type.
    /// An attribute that breaks a rule is read as far as it means something; of equal keys the first counts.
    Stored,
}

impl Rules {
    /// A broken rule is an error, or leaves nothing.
    pub(super) fn hold<T: Default>(self, found: Result<T, String>) -> Result<T, String> {
        match self {
            Self::New => found,
            Self::Stored => Ok(found.unwrap_or_default()),
        }
    }
}

pub(super) fn parse(
    source: &str,
    references: &[AvroSchema],
    rules: Rules,
) -> Result<AvroSchema, String> {
    let tree = Tree::parse(source).map_err(|error| format!("not JSON: {error}"))?;
    let mut parser = Parser::with(references, rules)?;
    let top = Place {
        enclosing: "",
        depth: 0,
    };
    let root = parser.node(&tree, top)?;
    let Parser { types, foreign, .. } = parser;
    Ok(AvroSchema {
        root,
        types,
        foreign,
    })
}

struct Parser {
    rules: Rules,
    types: HashMap<FullName, Arc<Definition>>,
    /// Begun, so that a type can be used inside of itself.
    begun: HashSet<FullName>,
    foreign: HashSet<FullName>,
}

/// Where a type stands.
#[derive(Clone, Copy)]
struct Place<'n> {
    /// The namespace of names without one.
    enclosing: &'n str,
    depth: usize,
}

impl Place<'_> {
    fn inside(self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self
        }
    }
}

impl Parser {
    fn with(references: &[AvroSchema], rules: Rules) -> Result<Self, String> {
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
            rules,
            types,
            begun: foreign.clone(),
            foreign,
        })
    }

    fn node(&mut self, tree: &Tree, place: Place<'_>) -> Result<Node, String> {
        if place.depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        match tree {
            Tree::Text(name) => self.named(name, place).map(Node::plain),
            Tree::List(branches) => self.union(branches, place),
            Tree::Object(entries) => {
                let object = Attributes::new(entries, self.rules);
                object.once_each()?;
                match object.get("type").ok_or("a schema without a type")? {
                    Tree::Text(kind) => self.object(kind, object, place),
                    // {"type": {…}} is the inner schema; Avro's libraries read it so.
                    inner => self.node(inner, place.inside()),
                }
            }
            _ => Err("a schema is a name, a list of schemas or an object".to_owned()),
        }
    }

    fn object(
        &mut self,
        kind: &str,
        object: Attributes<'_>,
        place: Place<'_>,
    ) -> Result<Node, String> {
        let kind = match kind {
            "array" => {
                let items = object.get("items").ok_or("an array without items")?;
                Kind::Array(Box::new(self.node(items, place.inside())?))
            }
            "map" => {
                let values = object.get("values").ok_or("a map without values")?;
                Kind::Map(Box::new(self.node(values, place.inside())?))
            }
            "record" | "error" | "enum" | "fixed" => {
                let name = self.define(kind, object, place)?;
                return Ok(Node::plain(Kind::Named(name)));
            }
            other => self.named(other, place)?,
        };
        let props = object.props(&TYPE_ATTRIBUTES);
        Ok(Node { kind, props })
    }

    fn named(&self, name: &str, place: Place<'_>) -> Result<Kind, String> {
        if let Some(primitive) = Kind::primitive(name) {
            return Ok(primitive);
        }
        let full = FullName::resolve(name, place.enclosing);
        if self.begun.contains(&full) {
            return Ok(Kind::Named(full));
        }
        // The specification: a name without a namespace may also be one of the null namespace.
        let bare = FullName::resolve(name, "");
        match self.begun.contains(&bare) {
            true => Ok(Kind::Named(bare)),
            false => Err(format!("the type \"{full}\" is not defined")),
        }
    }

    fn union(&mut self, branches: &[Tree], place: Place<'_>) -> Result<Node, String> {
        let mut nodes: Vec<Node> = Vec::with_capacity(branches.len());
        let mut seen = HashSet::new();
        for branch in branches {
            let node = self.node(branch, place.inside())?;
            let what = match &node.kind {
                Kind::Named(name) => format!("named {name}"),
                kind => kind.word().to_owned(),
            };
            self.rules.hold(match (&node.kind, seen.insert(what)) {
                (Kind::Union(_), _) => Err("a union directly in a union".to_owned()),
                (_, false) => Err("a union with the same type twice".to_owned()),
                (_, true) => Ok(()),
            })?;
            nodes.push(node);
        }
        Ok(Node::plain(Kind::Union(nodes)))
    }

    /// Enters a record, enum or fixed into the table.
    fn define(
        &mut self,
        kind: &str,
        object: Attributes<'_>,
        place: Place<'_>,
    ) -> Result<FullName, String> {
        let name = object.full_name(place.enclosing)?;
        if !self.begun.insert(name.clone()) {
            return Err(format!("the type \"{name}\" is defined twice"));
        }
        let definition = self.definition(kind, object, &name, place.depth);
        let definition = definition.map_err(|error| format!("{name}: {error}"))?;
        self.types.insert(name.clone(), Arc::new(definition));
        Ok(name)
    }

    fn definition(
        &mut self,
        kind: &str,
        object: Attributes<'_>,
        name: &FullName,
        depth: usize,
    ) -> Result<Definition, String> {
        let enclosing = name.namespace.as_str();
        let mut props = object.props(&TYPE_ATTRIBUTES);
        let shape = match kind {
            "enum" => {
                props.0.retain(|(key, _)| key != "default");
                object.symbols()?
            }
            "fixed" => object.size()?,
            _ => Shape::Record {
                error: kind == "error",
                fields: self.fields(object, Place { enclosing, depth })?,
            },
        };
        let aliases = object.aliases()?;
        let aliases = aliases.iter();
        Ok(Definition {
            name: name.clone(),
            doc: object.owned("doc"),
            aliases: aliases
                .map(|alias| FullName::resolve(alias, enclosing))
                .collect(),
            shape,
            props,
        })
    }

    fn fields(&mut self, object: Attributes<'_>, place: Place<'_>) -> Result<Vec<Field>, String> {
        let Some(Tree::List(list)) = object.get("fields") else {
            return Err("a record without a list of fields".to_owned());
        };
        let mut fields: Vec<Field> = Vec::with_capacity(list.len());
        let mut names = HashSet::new();
        for tree in list {
            let field = self.field(tree, place)?;
            self.rules.hold(match names.insert(field.name.clone()) {
                true => Ok(()),
                false => Err(format!("two fields are named \"{}\"", field.name)),
            })?;
            fields.push(field);
        }
        Ok(fields)
    }

    fn field(&mut self, tree: &Tree, place: Place<'_>) -> Result<Field, String> {
        let Tree::Object(entries) = tree else {
            return Err("a field that is no object".to_owned());
        };
        let object = Attributes::new(entries, self.rules);
        let name = object.text("name").ok_or("a field without a name")?;
        let field = self.typed_field(name, object, place);
        field.map_err(|error| format!("field \"{name}\": {error}"))
    }

    fn typed_field(
        &mut self,
        name: &str,
        object: Attributes<'_>,
        place: Place<'_>,
    ) -> Result<Field, String> {
        object.legal(name)?;
        object.once_each()?;
        let ty = object.get("type").ok_or("it has no type")?;
        Ok(Field {
            name: name.to_owned(),
            node: self.node(ty, place.inside())?,
            doc: object.owned("doc"),
            default: object.get("default").cloned(),
            order: object.order()?,
            aliases: object.aliases()?,
            props: object.props(&FIELD_ATTRIBUTES),
        })
    }
}
