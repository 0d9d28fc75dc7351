//! The encoder: a Connect schema compiled once to a flat list of steps, which then writes cells as Avro without
//! looking at a schema again.
//!
//! The layout follows from the schema alone and equals that of [`super::from_connect`]; the tests hold both together
//! through Apache's own decoder.

use super::{
    from_connect::{default_of, is_text_key},
    placeholder::Placeholder,
    varint::{put_len, put_long},
};
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, RecordError, Schema, Type};

/// Far above what a table's columns need; more would be a schema that unfolds without end.
pub(super) const STEPS_MAX: usize = 65_536;

/// Items that take no bytes (structs without fields) cost a reader memory that the input does not pay for.
pub(super) const EMPTY_ITEMS_MAX: usize = 65_536;

/// A compiled schema.
#[derive(Debug)]
pub struct EncodePlan {
    /// The root is the first; the fields of a struct stand side by side.
    steps: Vec<Step>,
    /// What is needed seldom, by the same index.
    extras: Vec<Extra>,
}

/// One value: sixteen bytes, so that a row's plan stays in the cache.
#[derive(Debug, Clone, Copy)]
struct Step {
    kind: Kind,
    /// The branch of the union before a value, and before null; `REQUIRED` if there is no union.
    some: u8,
    null: u8,
}

const REQUIRED: u8 = u8::MAX;
/// Union branches 0 and 1, zigzagged.
const BRANCH_0: u8 = 0;
const BRANCH_1: u8 = 2;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Text,
    Bytes,
    Array { item: u32, empty: bool },
    Map { value: u32 },
    Entries { key: u32, value: u32 },
    Struct { first: u32, len: u32 },
}

#[derive(Debug, Default)]
struct Extra {
    /// The field's name, for errors.
    field: Option<Arc<str>>,
    /// What is written for null where a value is required: the default.
    default: Option<Box<[u8]>>,
    /// What is written for an unavailable value; `None` where no header could name it.
    unavailable: Option<Box<[u8]>>,
}

/// Where a value goes.
#[derive(Debug, Default)]
pub struct Output {
    /// The bytes; appended to.
    pub bytes: Vec<u8>,
    /// Set when an unavailable value was written as its placeholder.
    pub unavailable: bool,
}

/// Boxed, because a result on the hot path should fit a register.
type Outcome = Result<(), Box<RecordError>>;

impl EncodePlan {
    /// Compiles a schema. The placeholder stands for values that the source's system did not send.
    ///
    /// # Errors
    /// It is too large.
    pub fn compile(schema: &Schema, placeholder: &Placeholder) -> Result<Self, String> {
        let mut compiler = Compiler {
            plan: Self {
                steps: Vec::new(),
                extras: Vec::new(),
            },
            pending: Vec::new(),
        };
        compiler.add([schema], false)?;
        let mut at = 0;
        while let Some((schema, nameable)) = compiler.pending.get(at).copied() {
            let kind = compiler.kind(schema, nameable)?;
            compiler.set_kind(at, kind);
            at += 1;
        }
        compiler.extras(placeholder);
        Ok(compiler.plan)
    }

    /// Appends a value of the schema.
    ///
    /// # Errors
    /// The value does not fit the schema; names the field. What was appended until then is left to the caller.
    pub fn encode(&self, arena: &Arena, cell: Cell, out: &mut Output) -> Result<(), RecordError> {
        self.at(0, arena, cell, out).map_err(|error| *error)
    }

    fn at(&self, at: u32, arena: &Arena, cell: Cell, out: &mut Output) -> Outcome {
        match self.steps.get(at as usize) {
            Some(step) => self.value(*step, at, arena, cell, out),
            None => Err(mismatch("a plan without this step")),
        }
    }

    #[inline]
    fn value(&self, step: Step, at: u32, arena: &Arena, cell: Cell, out: &mut Output) -> Outcome {
        if matches!(cell, Cell::Null | Cell::Unavailable) {
            return self.missing(step, at, cell, out);
        }
        if step.some != REQUIRED {
            out.bytes.push(step.some);
        }
        let bytes = &mut out.bytes;
        match (step.kind, cell) {
            (Kind::Int64, Cell::Int(value)) => put_long(bytes, value),
            (Kind::Text, Cell::Text(_)) | (Kind::Bytes, Cell::Bytes(_)) => {
                let raw = arena.raw(cell);
                put_len(bytes, raw.len());
                bytes.extend_from_slice(raw);
            }
            (Kind::Int32, Cell::Int(value)) => put_long(bytes, fit(i32::try_from(value))?.into()),
            (Kind::Struct { first, len }, Cell::Struct(_)) => {
                return self.structure(first, len, arena, cell, out);
            }
            (Kind::Bool, Cell::Bool(value)) => bytes.push(u8::from(value)),
            (Kind::Float64, Cell::Float(value)) => bytes.extend_from_slice(&value.to_le_bytes()),
            (Kind::Float32, Cell::Float(value)) => {
                bytes.extend_from_slice(&single(value).to_le_bytes());
            }
            (Kind::Int16, Cell::Int(value)) => put_long(bytes, fit(i16::try_from(value))?.into()),
            (Kind::Int8, Cell::Int(value)) => put_long(bytes, fit(i8::try_from(value))?.into()),
            (kind, cell) => return self.nested(kind, arena, cell, out),
        }
        Ok(())
    }

    fn structure(
        &self,
        first: u32,
        len: u32,
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
        let steps = self.steps.get(first as usize..).unwrap_or_default();
        for ((step, child), at) in steps.iter().zip(children).zip(first..) {
            self.value(*step, at, arena, *child, out)
                .map_err(|error| self.in_field(at, *error))?;
        }
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
        let (count, parts) = match (kind, cell) {
            (Kind::Array { item, empty }, Cell::Array(_)) => {
                if empty && children.len() > EMPTY_ITEMS_MAX {
                    return Err(mismatch(format!(
                        "more than {EMPTY_ITEMS_MAX} empty structs in an array"
                    )));
                }
                (children.len(), [item, item])
            }
            (Kind::Map { value }, Cell::Map(_)) => return self.map(value, arena, children, out),
            (Kind::Entries { key, value }, Cell::Map(_)) => (children.len() / 2, [key, value]),
            (kind, _) => return Err(mismatch(format!("a value that is no {}", kind.name()))),
        };
        if count > 0 {
            put_len(&mut out.bytes, count);
            for (child, part) in children.iter().zip(parts.into_iter().cycle()) {
                self.at(part, arena, *child, out)?;
            }
        }
        out.bytes.push(0);
        Ok(())
    }

    /// A map with text keys.
    fn map(&self, value: u32, arena: &Arena, children: &[Cell], out: &mut Output) -> Outcome {
        if !children.is_empty() {
            put_len(&mut out.bytes, children.len() / 2);
        }
        for pair in children.chunks_exact(2) {
            let &[key @ Cell::Text(_), item] = pair else {
                return Err(mismatch("a map's key that is no text"));
            };
            let raw = arena.raw(key);
            put_len(&mut out.bytes, raw.len());
            out.bytes.extend_from_slice(raw);
            self.at(value, arena, item, out)?;
        }
        out.bytes.push(0);
        Ok(())
    }

    fn missing(&self, step: Step, at: u32, cell: Cell, out: &mut Output) -> Outcome {
        let extra = self.extras.get(at as usize);
        if cell == Cell::Unavailable {
            let Some(bytes) = extra.and_then(|extra| extra.unavailable.as_ref()) else {
                return Err(mismatch(
                    "an unavailable value that is no field of a struct",
                ));
            };
            out.bytes.extend_from_slice(bytes);
            out.unavailable = true;
        } else if step.null != REQUIRED {
            // NULL stays NULL, also where the column has a default: a replica must not invent values.
            out.bytes.push(step.null);
        } else if let Some(default) = extra.and_then(|extra| extra.default.as_ref()) {
            out.bytes.extend_from_slice(default);
        } else {
            return Err(mismatch("null where a value is required"));
        }
        Ok(())
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Array { .. } => "array",
            Self::Map { .. } | Self::Entries { .. } => "map",
            Self::Struct { .. } => "struct",
        }
    }
}

#[cold]
fn mismatch(reason: impl Into<String>) -> Box<RecordError> {
    Box::new(RecordError::new(reason))
}

#[inline]
fn fit<T, E>(value: Result<T, E>) -> Result<T, Box<RecordError>> {
    value.map_err(|_| mismatch("a number that is out of the range of its type"))
}

/// FLOAT32 travels as a double in memory; the value was a single before.
#[inline]
fn single(value: f64) -> f32 {
    value as f32
}

/// Breadth first, so that the fields of a struct stand side by side.
struct Compiler<'a> {
    plan: EncodePlan,
    /// The schema of each step, and whether a path of field names leads to it.
    pending: Vec<(&'a Schema, bool)>,
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
            let (some, null) = match (schema.optional, default_of(schema)) {
                (false, _) => (REQUIRED, REQUIRED),
                (true, None) => (BRANCH_1, BRANCH_0),
                (true, Some(_)) => (BRANCH_0, BRANCH_1),
            };
            self.plan.steps.push(Step {
                kind: Kind::Bool,
                some,
                null,
            });
            self.plan.extras.push(Extra::default());
        }
        index(self.pending.len())?;
        Ok(first)
    }

    fn kind(&mut self, schema: &'a Schema, nameable: bool) -> Result<Kind, String> {
        let root = self.plan.steps.len() == 1;
        Ok(match &schema.ty {
            Type::Bool => Kind::Bool,
            Type::Int8 => Kind::Int8,
            Type::Int16 => Kind::Int16,
            Type::Int32 => Kind::Int32,
            Type::Int64 => Kind::Int64,
            Type::Float32 => Kind::Float32,
            Type::Float64 => Kind::Float64,
            Type::Text => Kind::Text,
            Type::Bytes => Kind::Bytes,
            Type::Array(item) => Kind::Array {
                item: self.add([&**item], false)?,
                empty: is_empty(item),
            },
            Type::Map(key, value) if is_text_key(key) => Kind::Map {
                value: self.add([&**value], false)?,
            },
            Type::Map(key, value) => {
                let key = self.add([&**key, &**value], false)?;
                Kind::Entries {
                    key,
                    value: key + 1,
                }
            }
            Type::Struct(fields) => {
                let first =
                    self.add(fields.iter().map(|field| &*field.schema), nameable || root)?;
                let names = self.plan.extras.iter_mut().skip(first as usize);
                for (extra, field) in names.zip(fields) {
                    extra.field = Some(Arc::clone(&field.name));
                }
                Kind::Struct {
                    first,
                    len: index(fields.len())?,
                }
            }
        })
    }

    fn set_kind(&mut self, at: usize, kind: Kind) {
        if let Some(step) = self.plan.steps.get_mut(at) {
            step.kind = kind;
        }
    }

    /// Encodes defaults and placeholders once. Later steps first: a struct's placeholder is made of its fields'.
    fn extras(&mut self, placeholder: &Placeholder) {
        for (at, (schema, nameable)) in self.pending.iter().enumerate().rev() {
            let encoded = |datum: Option<(&Arena, Cell)>| {
                let (arena, cell) = datum?;
                let mut out = Output::default();
                let at = index(at).ok()?;
                self.plan.at(at, arena, cell, &mut out).ok()?;
                Some(out.bytes.into_boxed_slice())
            };
            let default = default_of(schema).filter(|_| !schema.optional);
            let default = encoded(default.map(|datum| (datum.arena(), datum.cell())));
            let mut arena = Arena::default();
            let cell = nameable.then(|| placeholder.cell(schema, &mut arena));
            let unavailable = encoded(cell.map(|cell| (&arena, cell)));
            if let Some(extra) = self.plan.extras.get_mut(at) {
                extra.default = default;
                extra.unavailable = unavailable;
            }
        }
    }
}

/// Whether a value takes no bytes.
fn is_empty(schema: &Schema) -> bool {
    match &schema.ty {
        Type::Struct(fields) => {
            !schema.optional && fields.iter().all(|field| is_empty(&field.schema))
        }
        _ => false,
    }
}

fn index(at: usize) -> Result<u32, String> {
    let small = u32::try_from(at).ok().filter(|_| at <= STEPS_MAX);
    small.ok_or_else(|| format!("more than {STEPS_MAX} values"))
}
