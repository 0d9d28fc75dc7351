//! Whether a reader's schema can read what was written with a writer's: the resolution rules of Avro's specification.
//!
//! Two rules go beyond types. Decimals must agree in precision and scale, as the specification says, although Avro's
//! Java library does not look: otherwise 1.50 would be read as 0.0150. All other logical types are ignored. A field
//! that two aliases of the reader match is an incompatibility, because nobody can say which one is meant.

use super::budget::{Budget, COMPARISON, Exhausted};
use crate::avro::{AvroSchema, Decimal, Definition, Field, FullName, Kind, Node, Shape};
use std::{collections::HashMap, fmt};

/// What is reported at most: whoever reads it mends the first ones and asks again.
const DIFFERENCES_MAX: usize = 50;

/// Named types may be chained without being nested in the text, and a chain costs stack.
const DEPTH_MAX: usize = 256;

/// One reason why a reader cannot read what a writer wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Incompatibility {
    /// What kind of reason, in the words of Avro's own checker.
    pub(in crate::registry) kind: Mismatch,
    /// A JSON pointer into the reader's schema, or the writer's where it is about a branch of its union.
    pub(in crate::registry) path: String,
    /// The field as people write it, `address.zip`; empty at the top.
    pub(in crate::registry) field: String,
    /// The particulars: names, types, symbols, sizes.
    pub(in crate::registry) detail: String,
}

/// The kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Mismatch {
    Name,
    FixedSize,
    MissingEnumSymbols,
    MissingDefault,
    Type,
    MissingUnionBranch,
}

/// All reasons, none if every record of the writer can be read.
///
/// # Errors
/// The comparison would take more work than a request may cause.
pub(in crate::registry) fn differences(
    reader: &AvroSchema,
    writer: &AvroSchema,
    budget: &mut Budget,
) -> Result<Vec<Incompatibility>, Exhausted> {
    let mut checker = Checker {
        reader,
        writer,
        budget,
        known: HashMap::new(),
        trail: Vec::new(),
        path: Vec::new(),
        quiet: 0,
        found: Vec::new(),
    };
    let fine = checker.node(&reader.root, &writer.root)?;
    debug_assert_eq!(fine, checker.found.is_empty());
    Ok(checker.found)
}

struct Checker<'s, 'b> {
    reader: &'s AvroSchema,
    writer: &'s AvroSchema,
    budget: &'b mut Budget,
    /// Pairs of named types: false is final; true may rest on a pair that is still being compared, which is taken to
    /// be fine, because recursion adds nothing to what is compared anyway.
    known: HashMap<(&'s FullName, &'s FullName), bool>,
    /// The pairs that are true, in the order of their comparison: those that rest on one that failed are forgotten.
    trail: Vec<(&'s FullName, &'s FullName)>,
    path: Vec<Step<'s>>,
    /// Above 0: one of several branches is tried, and its failure is no reason yet.
    quiet: usize,
    found: Vec<Incompatibility>,
}

enum Step<'s> {
    Field(usize, &'s str),
    Key(&'static str),
    Branch(usize),
}

impl<'s> Checker<'s, '_> {
    fn node(&mut self, reader: &'s Node, writer: &'s Node) -> Result<bool, Exhausted> {
        self.budget.spend(COMPARISON)?;
        if self.path.len() > DEPTH_MAX {
            return Err(Exhausted);
        }
        match (&reader.kind, &writer.kind) {
            (_, Kind::Union(branches)) => self.each_written(reader, branches),
            (Kind::Union(branches), _) => self.any_read(branches, writer),
            (Kind::Array(r), Kind::Array(w)) => self.within(Step::Key("items"), r, w),
            (Kind::Map(r), Kind::Map(w)) => self.within(Step::Key("values"), r, w),
            (Kind::Named(r), Kind::Named(w)) => self.named(r, w),
            (r, w) if reads(r, w) => self.same_decimal(reader, writer),
            _ => Ok(self.type_mismatch(reader, writer)),
        }
    }

    fn within(
        &mut self,
        step: Step<'s>,
        reader: &'s Node,
        writer: &'s Node,
    ) -> Result<bool, Exhausted> {
        self.path.push(step);
        let fine = self.node(reader, writer);
        self.path.pop();
        fine
    }

    /// Whatever branch was written must be readable.
    fn each_written(&mut self, reader: &'s Node, branches: &'s [Node]) -> Result<bool, Exhausted> {
        let mut fine = true;
        for (at, branch) in branches.iter().enumerate() {
            // A reader that is no union explains itself better than that a branch is missing.
            fine &= match &reader.kind {
                Kind::Union(_) => self.within(Step::Branch(at), reader, branch)?,
                _ => self.node(reader, branch)?,
            };
        }
        Ok(fine)
    }

    fn any_read(&mut self, branches: &'s [Node], writer: &'s Node) -> Result<bool, Exhausted> {
        self.quiet += 1;
        let mut fine = false;
        for branch in branches {
            fine = self.node(branch, writer)?;
            if fine {
                break;
            }
        }
        self.quiet -= 1;
        if !fine {
            self.explain(branches, writer)?;
            let kind = self.shown(self.writer, writer);
            let detail = format!("reader union lacking writer type: {kind}");
            self.report(Mismatch::MissingUnionBranch, &[], detail);
        }
        Ok(fine)
    }

    /// Says first what is wrong with the branch that was meant: `a nullable record lacks a type` helps nobody.
    fn explain(&mut self, branches: &'s [Node], writer: &'s Node) -> Result<(), Exhausted> {
        let meant = |branch: &&Node| match (&branch.kind, &writer.kind) {
            (Kind::Named(r), Kind::Named(w)) => r.name == w.name,
            (Kind::Array(_), Kind::Array(_)) | (Kind::Map(_), Kind::Map(_)) => true,
            _ => false,
        };
        if self.quiet == 0
            && let Some(branch) = branches.iter().find(meant)
        {
            self.node(branch, writer)?;
        }
        Ok(())
    }

    fn named(&mut self, reader: &'s FullName, writer: &'s FullName) -> Result<bool, Exhausted> {
        let (Some(r), Some(w)) = (
            self.reader.definition(reader),
            self.writer.definition(writer),
        ) else {
            // A model has a definition for each of its names.
            return Ok(false);
        };
        let pair = (reader, writer);
        match self.known.get(&pair) {
            Some(true) => return Ok(true),
            // Said once already, or not to be said.
            Some(false) if self.quiet > 0 || self.found.len() >= DIFFERENCES_MAX => {
                return Ok(false);
            }
            _ => {}
        }
        let mark = self.trail.len();
        self.known.insert(pair, true);
        self.trail.push(pair);
        let fine = self.definitions(r, w)?;
        if !fine {
            for rested in self.trail.drain(mark..) {
                self.known.remove(&rested);
            }
            self.known.insert(pair, false);
        }
        Ok(fine)
    }

    fn definitions(
        &mut self,
        reader: &'s Definition,
        writer: &'s Definition,
    ) -> Result<bool, Exhausted> {
        if !std::mem::discriminant(&reader.shape).eq(&std::mem::discriminant(&writer.shape)) {
            let detail = mismatch(kind_of(&reader.shape), kind_of(&writer.shape));
            return Ok(self.report(Mismatch::Type, &[], detail));
        }
        // Unqualified names count, as the specification says.
        if reader.name.name != writer.name.name && !reader.aliases.contains(&writer.name) {
            let detail = format!("expected: {}", writer.name);
            return Ok(self.report(Mismatch::Name, &["name"], detail));
        }
        match (&reader.shape, &writer.shape) {
            (Shape::Record { fields: r, .. }, Shape::Record { fields: w, .. }) => self.fields(r, w),
            (
                Shape::Enum {
                    symbols: r,
                    default,
                },
                Shape::Enum { symbols: w, .. },
            ) => Ok(self.symbols(r, default.as_deref(), w)),
            (Shape::Fixed { size: r }, Shape::Fixed { size: w }) if r != w => {
                let detail = format!("expected: {w}, found: {r}");
                Ok(self.report(Mismatch::FixedSize, &["size"], detail))
            }
            _ => Ok(self.same_digits(reader.props.decimal(), writer.props.decimal())),
        }
    }

    fn fields(&mut self, reader: &'s [Field], writer: &'s [Field]) -> Result<bool, Exhausted> {
        self.budget
            .spend(COMPARISON * u64::try_from(writer.len()).unwrap_or(COMPARISON))?;
        let by_name: HashMap<&str, &Field> = writer
            .iter()
            .map(|field| (field.name.as_str(), field))
            .collect();
        let mut fine = true;
        for (at, field) in reader.iter().enumerate() {
            self.path.push(Step::Field(at, &field.name));
            fine &= self.field(field, &by_name)?;
            self.path.pop();
        }
        Ok(fine)
    }

    fn field(
        &mut self,
        field: &'s Field,
        written: &HashMap<&'s str, &'s Field>,
    ) -> Result<bool, Exhausted> {
        let names = std::iter::once(&field.name).chain(&field.aliases);
        let mut matching = names.filter_map(|name| written.get(name.as_str()));
        let (first, second) = (matching.next(), matching.next());
        match (first, second) {
            (Some(one), Some(other)) if one.name != other.name => {
                let detail = format!("{} and {} are both meant", one.name, other.name);
                Ok(self.report(Mismatch::Name, &["aliases"], detail))
            }
            (Some(writer), _) => self.within(Step::Key("type"), &field.node, &writer.node),
            (None, _) if field.default.is_some() => Ok(true),
            (None, _) => Ok(self.report(Mismatch::MissingDefault, &[], field.name.clone())),
        }
    }

    fn symbols(&mut self, reader: &[String], default: Option<&str>, writer: &[String]) -> bool {
        let known: std::collections::HashSet<&String> = reader.iter().collect();
        let missing: Vec<&str> = writer
            .iter()
            .filter(|symbol| !known.contains(symbol))
            .map(String::as_str)
            .collect();
        if missing.is_empty() || default.is_some() {
            return true;
        }
        let detail = format!("[{}]", missing.join(", "));
        self.report(Mismatch::MissingEnumSymbols, &["symbols"], detail)
    }

    fn same_decimal(&mut self, reader: &Node, writer: &Node) -> Result<bool, Exhausted> {
        Ok(self.same_digits(reader.props.decimal(), writer.props.decimal()))
    }

    fn same_digits(&mut self, reader: Option<Decimal>, writer: Option<Decimal>) -> bool {
        match (reader, writer) {
            (Some(r), Some(w)) if r != w => {
                let shown = |d: Decimal| format!("decimal({},{})", d.precision, d.scale);
                self.report(Mismatch::Type, &[], mismatch(&shown(r), &shown(w)))
            }
            _ => true,
        }
    }

    fn type_mismatch(&mut self, reader: &Node, writer: &Node) -> bool {
        let detail = mismatch(
            &self.shown(self.reader, reader),
            &self.shown(self.writer, writer),
        );
        self.report(Mismatch::Type, &[], detail)
    }

    fn shown(&self, schema: &AvroSchema, node: &Node) -> String {
        let word = match &node.kind {
            Kind::Named(name) => schema
                .definition(name)
                .map_or("NAMED", |definition| kind_of(&definition.shape)),
            kind => kind.word(),
        };
        word.to_uppercase()
    }

    /// False, for the caller to return.
    fn report(&mut self, kind: Mismatch, behind: &[&str], detail: String) -> bool {
        if self.quiet == 0 && self.found.len() < DIFFERENCES_MAX {
            let steps = self.path.iter().map(|step| match step {
                Step::Field(at, _) => format!("/fields/{at}"),
                Step::Key(key) => format!("/{key}"),
                Step::Branch(at) => format!("/{at}"),
            });
            let mut path: String = steps
                .chain(behind.iter().map(|key| format!("/{key}")))
                .collect();
            if path.is_empty() {
                path.push('/');
            }
            let names = self.path.iter().filter_map(|step| match step {
                Step::Field(_, name) => Some(*name),
                _ => None,
            });
            let field = names.collect::<Vec<_>>().join(".");
            self.found.push(Incompatibility {
                kind,
                path,
                field,
                detail,
            });
        }
        false
    }
}

/// The same primitive, or one that it is promoted to.
fn reads(reader: &Kind, writer: &Kind) -> bool {
    use Kind::{Array, Boolean, Bytes, Double, Float, Int, Long, Map, Named, Null, String, Union};
    match (reader, writer) {
        (Null, Null)
        | (Boolean, Boolean)
        | (Int, Int)
        | (Long, Int | Long)
        | (Float, Int | Long | Float)
        | (Double, Int | Long | Float | Double)
        | (Bytes | String, Bytes | String) => true,
        (
            Null | Boolean | Int | Long | Float | Double | Bytes | String | Array(_) | Map(_)
            | Union(_) | Named(_),
            _,
        ) => false,
    }
}

fn kind_of(shape: &Shape) -> &'static str {
    match shape {
        Shape::Record { .. } => "RECORD",
        Shape::Enum { .. } => "ENUM",
        Shape::Fixed { .. } => "FIXED",
    }
}

fn mismatch(reader: &str, writer: &str) -> String {
    format!("reader type: {reader} not compatible with writer type: {writer}")
}

impl Mismatch {
    /// The word of Avro's checker, which clients show.
    fn word(self) -> &'static str {
        match self {
            Self::Name => "NAME_MISMATCH",
            Self::FixedSize => "FIXED_SIZE_MISMATCH",
            Self::MissingEnumSymbols => "MISSING_ENUM_SYMBOLS",
            Self::MissingDefault => "READER_FIELD_MISSING_DEFAULT_VALUE",
            Self::Type => "TYPE_MISMATCH",
            Self::MissingUnionBranch => "MISSING_UNION_BRANCH",
        }
    }
}

impl Incompatibility {
    /// The reason with the place, in the form that Confluent's clients know. `reader` and `writer` say which schema is
    /// which: `new` or `old`.
    pub(in crate::registry) fn message(&self, reader: &str, writer: &str) -> String {
        format!(
            "{{errorType:'{}', description:'{}', additionalInfo:'{}'}}",
            self.kind.word(),
            self.sentence(reader, writer),
            self.detail
        )
    }

    /// The reason alone, for people.
    pub(in crate::registry) fn sentence(&self, reader: &str, writer: &str) -> String {
        let Self { path, detail, .. } = self;
        let place = match self.field.as_str() {
            "" => format!("at path '{path}'"),
            field => format!("of field '{field}' at path '{path}'"),
        };
        match self.kind {
            Mismatch::Name => format!(
                "the name {place} in the {reader} schema is not that of the {writer} schema ({detail})"
            ),
            Mismatch::FixedSize => format!(
                "the size of the fixed {place} in the {reader} schema is not that of the {writer} schema ({detail})"
            ),
            Mismatch::MissingEnumSymbols => format!(
                "the enum {place} in the {reader} schema lacks symbols of the {writer} schema and has no default: \
                 {detail}"
            ),
            Mismatch::MissingDefault => format!(
                "the field '{}' at path '{path}' in the {reader} schema has no default value and is missing in the \
                 {writer} schema",
                self.field
            ),
            Mismatch::Type => format!(
                "the type {place} in the {reader} schema does not match the {writer} schema ({detail})"
            ),
            Mismatch::MissingUnionBranch => format!(
                "the union {place} in the {reader} schema lacks a type of the {writer} schema ({detail})"
            ),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
