//! The decoder: an Avro schema compiled once to a flat list of steps, which then fills an arena. Reads what anybody
//! may have written: lengths are checked before anything is allocated, and text is checked to be UTF-8.

mod compile;

use super::{encode::EMPTY_ITEMS_MAX, varint::take_long};
use crate::avro::AvroSchema;
use std::sync::Arc;
use tapline_sdk::{Arena, Cell, RecordError};

/// Cells of structs that a record may make beside those that its bytes pay for: a schema may have structs without
/// fields, which take no bytes.
const CELLS_FREE: usize = 65_536;

/// Cells per byte of input: a byte makes one cell and those of the structs around it. A few levels of structs with
/// one field each are honest, more are an attempt to exhaust memory.
const CELLS_PER_BYTE: usize = 16;

/// A compiled schema.
#[derive(Debug)]
pub struct DecodePlan {
    /// The root is the first; the fields of a struct stand side by side.
    steps: Vec<Step>,
    /// A field's name, for errors.
    fields: Vec<Option<Arc<str>>>,
    /// The symbols of the enums.
    symbols: Vec<Vec<Box<str>>>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    kind: Kind,
    null: Null,
}

/// Which branch of a union with null is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Null {
    Never,
    Branch0,
    Branch1,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A branch of a larger union.
    Null,
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Text,
    Bytes,
    Fixed {
        len: u32,
    },
    Enum {
        symbols: u32,
    },
    Array {
        item: u32,
        empty: bool,
    },
    Map {
        value: u32,
    },
    Entries {
        key: u32,
        value: u32,
    },
    Struct {
        first: u32,
        len: u32,
    },
    Union {
        first: u32,
        len: u32,
    },
}

type Outcome<T> = Result<T, Box<RecordError>>;

/// What the decoder reuses from record to record.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Items of arrays whose end is not known yet.
    cells: Vec<Cell>,
    /// How many cells the record may still make.
    room: usize,
}

impl DecodePlan {
    /// Compiles a schema that [`super::to_connect::to_connect`] has accepted.
    ///
    /// # Errors
    /// It is too large.
    pub(super) fn compile(avro: &AvroSchema) -> Result<Self, String> {
        compile::compile(avro)
    }

    /// Decodes one value, which must take the whole input.
    ///
    /// # Errors
    /// The bytes are not of this schema; names the field.
    pub fn decode(
        &self,
        mut input: &[u8],
        arena: &mut Arena,
        scratch: &mut Scratch,
    ) -> Result<Cell, RecordError> {
        scratch.cells.clear();
        scratch.room = CELLS_FREE + input.len().saturating_mul(CELLS_PER_BYTE);
        let cell = self
            .at(0, &mut input, arena, scratch)
            .map_err(|error| *error)?;
        if input.is_empty() {
            Ok(cell)
        } else {
            Err(RecordError::new(format!(
                "{} bytes behind the value",
                input.len()
            )))
        }
    }

    fn at(
        &self,
        at: u32,
        input: &mut &[u8],
        arena: &mut Arena,
        scratch: &mut Scratch,
    ) -> Outcome<Cell> {
        match self.steps.get(at as usize) {
            Some(step) => self.value(*step, input, arena, scratch),
            None => Err(broken("a plan without this step")),
        }
    }

    #[inline]
    fn value(
        &self,
        step: Step,
        input: &mut &[u8],
        arena: &mut Arena,
        scratch: &mut Scratch,
    ) -> Outcome<Cell> {
        if step.null != Null::Never {
            let (branch, rest) = input.split_first().ok_or_else(ended)?;
            *input = rest;
            match (step.null, *branch) {
                (Null::Branch0, 0) | (Null::Branch1, 2) => return Ok(Cell::Null),
                (Null::Branch0, 2) | (Null::Branch1, 0) => {}
                _ => return Err(broken("a union's branch that does not exist")),
            }
        }
        Ok(match step.kind {
            Kind::Int64 => Cell::Int(take_long(input).ok_or_else(ended)?),
            Kind::Text => {
                let bytes = take_bytes(input)?;
                arena.utf8(bytes).map_err(Box::new)?
            }
            Kind::Int32 => Cell::Int(ranged(input, i32::MIN.into(), i32::MAX.into())?),
            Kind::Struct { first, len } => {
                return self.structure(first, len, input, arena, scratch);
            }
            Kind::Bytes => arena.bytes(take_bytes(input)?),
            Kind::Bool => match take(input, 1)? {
                [0] => Cell::Bool(false),
                [1] => Cell::Bool(true),
                _ => return Err(broken("a boolean that is neither 0 nor 1")),
            },
            Kind::Float64 => Cell::Float(f64::from_le_bytes(take_array(input)?)),
            Kind::Float32 => Cell::Float(f32::from_le_bytes(take_array(input)?).into()),
            Kind::Int16 => Cell::Int(ranged(input, i16::MIN.into(), i16::MAX.into())?),
            Kind::Int8 => Cell::Int(ranged(input, i8::MIN.into(), i8::MAX.into())?),
            other => return self.nested(other, input, arena, scratch),
        })
    }

    fn structure(
        &self,
        first: u32,
        len: u32,
        input: &mut &[u8],
        arena: &mut Arena,
        scratch: &mut Scratch,
    ) -> Outcome<Cell> {
        let room = scratch.room.checked_sub(len as usize);
        scratch.room = room.ok_or_else(|| broken("more values than there are bytes"))?;
        let block = arena.block(len as usize);
        let steps = self.steps.get(first as usize..).unwrap_or_default();
        for (at, step) in steps.iter().take(len as usize).enumerate() {
            let cell = self.value(*step, input, arena, scratch);
            let cell = cell.map_err(|error| self.in_field(first as usize + at, *error))?;
            arena.set(block, at, cell);
        }
        Ok(block.structure())
    }

    #[cold]
    fn in_field(&self, at: usize, error: RecordError) -> Box<RecordError> {
        Box::new(match self.fields.get(at) {
            Some(Some(field)) => error.in_field(field),
            _ => error,
        })
    }

    fn nested(
        &self,
        kind: Kind,
        input: &mut &[u8],
        arena: &mut Arena,
        scratch: &mut Scratch,
    ) -> Outcome<Cell> {
        Ok(match kind {
            Kind::Array { item, empty } => {
                let cells = self.blocks(
                    input,
                    arena,
                    scratch,
                    empty,
                    |plan, input, arena, scratch| {
                        let cell = plan.at(item, input, arena, scratch)?;
                        scratch.cells.push(cell);
                        Ok(())
                    },
                )?;
                cells.array()
            }
            Kind::Map { value } => {
                let cells = self.blocks(
                    input,
                    arena,
                    scratch,
                    false,
                    |plan, input, arena, scratch| {
                        let key = arena.utf8(take_bytes(input)?).map_err(Box::new)?;
                        scratch.cells.push(key);
                        let cell = plan.at(value, input, arena, scratch)?;
                        scratch.cells.push(cell);
                        Ok(())
                    },
                )?;
                cells.map()
            }
            Kind::Entries { key, value } => {
                let cells = self.blocks(
                    input,
                    arena,
                    scratch,
                    false,
                    |plan, input, arena, scratch| {
                        for part in [key, value] {
                            let cell = plan.at(part, input, arena, scratch)?;
                            scratch.cells.push(cell);
                        }
                        Ok(())
                    },
                )?;
                cells.map()
            }
            Kind::Fixed { len } => arena.bytes(take(input, len as usize)?),
            Kind::Enum { symbols } => {
                let symbols = self.symbols.get(symbols as usize);
                let at = take_long(input).and_then(|at| usize::try_from(at).ok());
                let symbol = symbols.zip(at).and_then(|(symbols, at)| symbols.get(at));
                arena.text(symbol.ok_or_else(|| broken("an enum's symbol that does not exist"))?)
            }
            Kind::Union { first, len } => return self.union(first, len, input, arena, scratch),
            _ => Cell::Null,
        })
    }

    /// A struct in which the field of the branch at hand is set; null if the branch is null.
    fn union(
        &self,
        first: u32,
        len: u32,
        input: &mut &[u8],
        arena: &mut Arena,
        scratch: &mut Scratch,
    ) -> Outcome<Cell> {
        let at = take_long(input)
            .and_then(|at| u32::try_from(at).ok())
            .filter(|at| *at < len);
        let at = at.ok_or_else(|| broken("a union's branch that does not exist"))?;
        let steps = self.steps.get(first as usize..).unwrap_or_default();
        let fields = |steps: &[Step]| {
            steps
                .iter()
                .filter(|step| !matches!(step.kind, Kind::Null))
                .count()
        };
        let steps = steps.get(..len as usize).unwrap_or_default();
        let Some(step) = steps
            .get(at as usize)
            .filter(|step| !matches!(step.kind, Kind::Null))
        else {
            return Ok(Cell::Null);
        };
        let before = fields(steps.get(..at as usize).unwrap_or_default());
        let block = arena.block(fields(steps));
        let cell = self.value(*step, input, arena, scratch)?;
        arena.set(block, before, cell);
        Ok(block.structure())
    }

    /// The blocks of an array or map; `each` pushes an item's cells.
    fn blocks(
        &self,
        input: &mut &[u8],
        arena: &mut Arena,
        scratch: &mut Scratch,
        empty: bool,
        each: impl Fn(&Self, &mut &[u8], &mut Arena, &mut Scratch) -> Outcome<()>,
    ) -> Outcome<tapline_sdk::Block> {
        let start = scratch.cells.len();
        loop {
            let mut count = take_long(input).ok_or_else(ended)?;
            if count == 0 {
                break;
            }
            if count < 0 {
                take_long(input).ok_or_else(ended)?;
                count = count
                    .checked_neg()
                    .ok_or_else(|| broken("a block's count that is out of range"))?;
            }
            // An item takes at least a byte, unless it is empty: a claim beyond that is not believed.
            let seen = scratch.cells.len() - start;
            let room = if empty {
                EMPTY_ITEMS_MAX.saturating_sub(seen)
            } else {
                input.len()
            };
            let count = usize::try_from(count).ok().filter(|count| *count <= room);
            let count = count.ok_or_else(|| broken("more items than there are bytes"))?;
            for _ in 0..count {
                each(self, input, arena, scratch)?;
            }
        }
        let block = arena.block_of(scratch.cells.get(start..).unwrap_or_default());
        scratch.cells.truncate(start);
        Ok(block)
    }
}

#[cold]
fn broken(reason: &str) -> Box<RecordError> {
    Box::new(RecordError::new(reason))
}

#[cold]
fn ended() -> Box<RecordError> {
    broken("the bytes end inside of a value, or a number is too long")
}

#[inline]
fn take<'a>(input: &mut &'a [u8], len: usize) -> Outcome<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(len).ok_or_else(ended)?;
    *input = rest;
    Ok(taken)
}

#[inline]
fn take_array<const N: usize>(input: &mut &[u8]) -> Outcome<[u8; N]> {
    let (taken, rest) = input.split_first_chunk::<N>().ok_or_else(ended)?;
    *input = rest;
    Ok(*taken)
}

#[inline]
fn take_bytes<'a>(input: &mut &'a [u8]) -> Outcome<&'a [u8]> {
    let len = take_long(input).ok_or_else(ended)?;
    take(
        input,
        usize::try_from(len).map_err(|_| broken("a negative length"))?,
    )
}

#[inline]
fn ranged(input: &mut &[u8], min: i64, max: i64) -> Outcome<i64> {
    let value = take_long(input).ok_or_else(ended)?;
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(broken("a number that is out of the range of its type"))
    }
}
