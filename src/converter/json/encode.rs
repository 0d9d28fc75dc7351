//! The JSON encoder: a Connect schema compiled once to a flat list of steps with the names of fields as bytes, which
//! then writes cells as Kafka's converter does.

use super::{
    JsonSettings, free, schema_text,
    write::{base64, double, float, int, text},
};
use crate::converter::{
    Placeholder,
    avro::Output,
    decimal::{self, scale_of},
};
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, RecordError, Schema, Type};

/// Far above what a table's columns need; more would be a schema that unfolds without end.
const STEPS_MAX: usize = 65_536;

/// A compiled schema.
#[derive(Debug)]
pub(in crate::converter) struct EncodePlan {
    /// The root is the first; the fields of a struct stand side by side.
    steps: Vec<Step>,
    /// What is needed seldom, by the same index.
    extras: Vec<Extra>,
    /// `{"schema":…,"payload":`, or nothing.
    head: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    kind: Kind,
    /// Where in the names `,"name":` stands.
    lead: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Bool,
    Int { min: i64, max: i64 },
    Float32,
    Float64,
    Text,
    Bytes,
    Decimal { scale: i32 },
    Array { item: u32 },
    Object { value: u32 },
    Pairs { key: u32, value: u32 },
    Struct { first: u32, len: u32, names: u32 },
}

#[derive(Debug, Default)]
struct Extra {
    /// The field's name, for errors.
    field: Option<Arc<str>>,
    /// `{"first":` and `,"second":` of a struct's fields, one after the other.
    names: Box<[u8]>,
    /// What is written for null; `None` where a value is required.
    null: Option<Box<[u8]>>,
    /// What is written for an unavailable value; `None` where no header could name it.
    unavailable: Option<Box<[u8]>>,
}

/// Boxed, because a result on the hot path should fit a register.
type Outcome = Result<(), Box<RecordError>>;

impl EncodePlan {
    /// Compiles a schema; `None` is data without one.
    ///
    /// # Errors
    /// It is too large, or a Decimal has no scale.
    pub(in crate::converter) fn compile(
        schema: Option<&Schema>,
        settings: &JsonSettings,
        placeholder: &Placeholder,
    ) -> Result<Self, String> {
        let mut plan = match schema {
            Some(schema) => Self::payload(schema, settings, Some(placeholder))?,
            None => Self {
                steps: Vec::new(),
                extras: Vec::new(),
                head: Box::default(),
            },
        };
        if settings.schemas {
            let mut head = b"{\"schema\":".to_vec();
            match schema {
                Some(schema) => schema_text::write(schema, settings, &mut head)?,
                None => head.extend_from_slice(b"null"),
            }
            head.extend_from_slice(b",\"payload\":");
            plan.head = head.into_boxed_slice();
        }
        Ok(plan)
    }

    /// A plan that writes values alone.
    pub(super) fn payload(
        schema: &Schema,
        settings: &JsonSettings,
        placeholder: Option<&Placeholder>,
    ) -> Result<Self, String> {
        let mut compiler = Compiler {
            plan: Self {
                steps: Vec::new(),
                extras: Vec::new(),
                head: Box::default(),
            },
            pending: Vec::new(),
            settings,
        };
        compiler.add([schema], false)?;
        let mut at = 0;
        while let Some((schema, nameable)) = compiler.pending.get(at).copied() {
            let kind = compiler.kind(at, schema, nameable)?;
            if let Some(step) = compiler.plan.steps.get_mut(at) {
                step.kind = kind;
            }
            at += 1;
        }
        compiler.extras(placeholder);
        Ok(compiler.plan)
    }

    /// Whether null has a form of its own, rather than being Kafka's null.
    pub(in crate::converter) fn writes_null(&self) -> bool {
        self.extras
            .first()
            .is_some_and(|extra| extra.null.is_some())
    }

    /// Appends a value of the schema, with its envelope if the settings ask for it.
    ///
    /// # Errors
    /// The value does not fit the schema; names the field. What was appended until then is left to the caller.
    pub(in crate::converter) fn encode(
        &self,
        arena: &Arena,
        cell: Cell,
        out: &mut Output,
    ) -> Result<(), RecordError> {
        out.bytes.extend_from_slice(&self.head);
        if self.steps.is_empty() {
            free::write(arena, cell, &mut out.bytes).map_err(|error| *error)?;
        } else {
            self.at(0, arena, cell, out).map_err(|error| *error)?;
        }
        if !self.head.is_empty() {
            out.bytes.push(b'}');
        }
        Ok(())
    }

    fn at(&self, at: u32, arena: &Arena, cell: Cell, out: &mut Output) -> Outcome {
        match self.steps.get(at as usize) {
            Some(step) => self.value(step.kind, at, arena, cell, out),
            None => Err(mismatch("a plan without this step")),
        }
    }

    #[inline]
    fn value(&self, kind: Kind, at: u32, arena: &Arena, cell: Cell, out: &mut Output) -> Outcome {
        let bytes = &mut out.bytes;
        match (kind, cell) {
            (_, Cell::Null | Cell::Unavailable) => return self.missing(at, cell, out),
            (Kind::Int { min, max }, Cell::Int(value)) => {
                if !(min..=max).contains(&value) {
                    return Err(mismatch("a number that is out of the range of its type"));
                }
                int(value, bytes);
            }
            (Kind::Text, Cell::Text(_)) => {
                bytes.push(b'"');
                super::write::escaped(arena.raw(cell), bytes);
                bytes.push(b'"');
            }
            (Kind::Struct { first, len, names }, Cell::Struct(_)) => {
                return self.structure(first, len, names, arena, cell, out);
            }
            (Kind::Bool, Cell::Bool(true)) => bytes.extend_from_slice(b"true"),
            (Kind::Bool, Cell::Bool(false)) => bytes.extend_from_slice(b"false"),
            (Kind::Float64, Cell::Float(value)) => double(value, bytes),
            // FLOAT32 travels as a double in memory; the value was a single before.
            (Kind::Float32, Cell::Float(value)) => float(value as f32, bytes),
            (Kind::Bytes, Cell::Bytes(_)) => base64(arena.raw(cell), bytes),
            (Kind::Decimal { scale }, Cell::Bytes(_)) => {
                decimal::to_text(arena.raw(cell), scale, bytes).map_err(Box::new)?;
            }
            (kind, cell) => return self.nested(kind, arena, cell, out),
        }
        Ok(())
    }

    fn structure(
        &self,
        first: u32,
        len: u32,
        names: u32,
        arena: &Arena,
        cell: Cell,
        out: &mut Output,
    ) -> Outcome {
        let children = arena.children(cell);
        if children.len() != len as usize {
            let found = children.len();
            return Err(mismatch(format!(
                "a struct of {found} values for a schema of {len} fields"
            )));
        }
        if len == 0 {
            out.bytes.extend_from_slice(b"{}");
            return Ok(());
        }
        let names = self
            .extras
            .get(names as usize)
            .map_or(&[][..], |extra| &extra.names);
        let steps = self.steps.get(first as usize..).unwrap_or_default();
        for ((step, child), at) in steps.iter().zip(children).zip(first..) {
            let (from, to) = step.lead;
            let lead = names.get(from as usize..to as usize).unwrap_or_default();
            out.bytes.extend_from_slice(lead);
            self.value(step.kind, at, arena, *child, out)
                .map_err(|error| self.in_field(at, *error))?;
        }
        out.bytes.push(b'}');
        Ok(())
    }

    #[cold]
    fn in_field(&self, at: u32, error: RecordError) -> Box<RecordError> {
        let field = self
            .extras
            .get(at as usize)
            .and_then(|extra| extra.field.as_ref());
        Box::new(match field {
            Some(field) => error.in_field(field),
            None => error,
        })
    }

    fn nested(&self, kind: Kind, arena: &Arena, cell: Cell, out: &mut Output) -> Outcome {
        let children = arena.children(cell);
        match (kind, cell) {
            (Kind::Array { item }, Cell::Array(_)) => {
                out.bytes.push(b'[');
                for (at, child) in children.iter().enumerate() {
                    comma(at, out);
                    self.at(item, arena, *child, out)?;
                }
                out.bytes.push(b']');
            }
            (Kind::Object { value }, Cell::Map(_)) => {
                out.bytes.push(b'{');
                for (at, pair) in children.chunks_exact(2).enumerate() {
                    let &[key @ Cell::Text(_), item] = pair else {
                        return Err(mismatch("a map's key that is no text"));
                    };
                    comma(at, out);
                    out.bytes.push(b'"');
                    super::write::escaped(arena.raw(key), &mut out.bytes);
                    out.bytes.extend_from_slice(b"\":");
                    self.at(value, arena, item, out)?;
                }
                out.bytes.push(b'}');
            }
            (Kind::Pairs { key, value }, Cell::Map(_)) => {
                out.bytes.push(b'[');
                for (at, pair) in children.chunks_exact(2).enumerate() {
                    let &[one, other] = pair else { continue };
                    comma(at, out);
                    out.bytes.push(b'[');
                    self.at(key, arena, one, out)?;
                    out.bytes.push(b',');
                    self.at(value, arena, other, out)?;
                    out.bytes.push(b']');
                }
                out.bytes.push(b']');
            }
            (kind, _) => return Err(mismatch(format!("a value that is no {}", kind.name()))),
        }
        Ok(())
    }

    fn missing(&self, at: u32, cell: Cell, out: &mut Output) -> Outcome {
        let extra = self.extras.get(at as usize);
        let unavailable = cell == Cell::Unavailable;
        let bytes = match (extra, unavailable) {
            (Some(extra), true) => extra.unavailable.as_ref(),
            (Some(extra), false) => extra.null.as_ref(),
            (None, _) => None,
        };
        let Some(bytes) = bytes else {
            return Err(mismatch(match unavailable {
                true => "an unavailable value that is no field of a struct",
                false => "null where a value is required",
            }));
        };
        out.bytes.extend_from_slice(bytes);
        out.unavailable |= unavailable;
        Ok(())
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int { .. } => "integer",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Decimal { .. } => "decimal",
            Self::Array { .. } => "array",
            Self::Object { .. } | Self::Pairs { .. } => "map",
            Self::Struct { .. } => "struct",
        }
    }
}

fn comma(at: usize, out: &mut Output) {
    if at > 0 {
        out.bytes.push(b',');
    }
}

#[cold]
fn mismatch(reason: impl Into<String>) -> Box<RecordError> {
    Box::new(RecordError::new(reason))
}

/// Breadth first, so that the fields of a struct stand side by side.
struct Compiler<'a> {
    plan: EncodePlan,
    /// The schema of each step, and whether a path of field names leads to it.
    pending: Vec<(&'a Schema, bool)>,
    settings: &'a JsonSettings,
}

impl<'a> Compiler<'a> {
    fn add(
        &mut self,
        schemas: impl IntoIterator<Item = &'a Schema>,
        nameable: bool,
    ) -> Result<u32, String> {
        let first = index(self.pending.len())?;
        for schema in schemas {
            self.pending.push((schema, nameable));
            self.plan.steps.push(Step {
                kind: Kind::Bool,
                lead: (0, 0),
            });
            self.plan.extras.push(Extra::default());
        }
        index(self.pending.len())?;
        Ok(first)
    }

    fn kind(&mut self, at: usize, schema: &'a Schema, nameable: bool) -> Result<Kind, String> {
        let int = |min: i64, max: i64| Kind::Int { min, max };
        Ok(match &schema.ty {
            Type::Bool => Kind::Bool,
            Type::Int8 => int(i8::MIN.into(), i8::MAX.into()),
            Type::Int16 => int(i16::MIN.into(), i16::MAX.into()),
            Type::Int32 => int(i32::MIN.into(), i32::MAX.into()),
            Type::Int64 => int(i64::MIN, i64::MAX),
            Type::Float32 => Kind::Float32,
            Type::Float64 => Kind::Float64,
            Type::Text => Kind::Text,
            Type::Bytes => match scale_of(schema) {
                Some(scale) if self.settings.numeric_decimals => Kind::Decimal { scale: scale? },
                _ => Kind::Bytes,
            },
            Type::Array(item) => Kind::Array {
                item: self.add([&**item], false)?,
            },
            Type::Map(key, value) if key.ty == Type::Text => Kind::Object {
                value: self.add([&**value], false)?,
            },
            Type::Map(key, value) => {
                let key = self.add([&**key, &**value], false)?;
                Kind::Pairs {
                    key,
                    value: key + 1,
                }
            }
            Type::Struct(fields) => {
                let schemas = fields.iter().map(|field| &*field.schema);
                let first = self.add(schemas, nameable || at == 0)?;
                let mut names = Vec::new();
                for (number, field) in fields.iter().enumerate() {
                    let place = first as usize + number;
                    let from = index_of_bytes(names.len())?;
                    names.push(if number == 0 { b'{' } else { b',' });
                    text(&field.name, &mut names);
                    names.push(b':');
                    let to = index_of_bytes(names.len())?;
                    if let Some(step) = self.plan.steps.get_mut(place) {
                        step.lead = (from, to);
                    }
                    if let Some(extra) = self.plan.extras.get_mut(place) {
                        extra.field = Some(Arc::clone(&field.name));
                    }
                }
                if let Some(extra) = self.plan.extras.get_mut(at) {
                    extra.names = names.into_boxed_slice();
                }
                Kind::Struct {
                    first,
                    len: index(fields.len())?,
                    names: index(at)?,
                }
            }
        })
    }

    /// Encodes nulls and placeholders once. Later steps first: a struct's default is made of its fields'.
    fn extras(&mut self, placeholder: Option<&Placeholder>) {
        for (at, (schema, nameable)) in self.pending.iter().enumerate().rev() {
            let encoded = |arena: &Arena, cell: Cell| {
                let mut out = Output::default();
                self.plan.at(index(at).ok()?, arena, cell, &mut out).ok()?;
                Some(out.bytes.into_boxed_slice())
            };
            // The original puts a default in the place of null, unless it is told not to.
            let default = schema.default.as_ref().filter(|default| {
                default.cell() != Cell::Null && (self.settings.replace_null || !schema.optional)
            });
            let null = match default {
                Some(default) => encoded(default.arena(), default.cell()),
                None => schema.optional.then(|| Box::from(&b"null"[..])),
            };
            let unavailable = placeholder.filter(|_| *nameable).and_then(|placeholder| {
                let mut arena = Arena::default();
                let cell = placeholder.cell(schema, &mut arena);
                match cell {
                    Cell::Null => Some(Box::from(&b"null"[..])),
                    cell => encoded(&arena, cell),
                }
            });
            if let Some(extra) = self.plan.extras.get_mut(at) {
                extra.null = null;
                extra.unavailable = unavailable;
            }
        }
    }
}

fn index(at: usize) -> Result<u32, String> {
    let small = u32::try_from(at).ok().filter(|_| at <= STEPS_MAX);
    small.ok_or_else(|| format!("more than {STEPS_MAX} values"))
}

fn index_of_bytes(at: usize) -> Result<u32, String> {
    u32::try_from(at).map_err(|_| "names of more than 4 GiB".to_owned())
}
