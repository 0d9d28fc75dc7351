//! An Avro schema to the decoder's steps.
//!
//! Records are unfolded wherever they are used, so that the bound on steps is one on what a value can unfold to.

use super::{
    super::{
        encode::STEPS_MAX,
        from_connect::CONNECT_TYPE,
        to_connect::{Resolved, nullable},
    },
    DecodePlan, Kind, Null, Step,
};
use crate::avro::{AvroSchema, Definition, Field, Kind as Avro, Node, Shape};

/// The plan of a schema that contains nothing recursive.
pub(super) fn compile(avro: &AvroSchema) -> Result<DecodePlan, String> {
    let mut compiler = Compiler {
        avro,
        plan: DecodePlan {
            steps: Vec::new(),
            fields: Vec::new(),
            symbols: Vec::new(),
        },
    };
    let root = compiler.reserve(1)?;
    compiler.fill(root, &avro.root)?;
    Ok(compiler.plan)
}

struct Compiler<'a> {
    avro: &'a AvroSchema,
    plan: DecodePlan,
}

impl<'a> Compiler<'a> {
    fn reserve(&mut self, len: usize) -> Result<u32, String> {
        let first = self.plan.steps.len();
        if first + len > STEPS_MAX {
            return Err(format!("more than {STEPS_MAX} values"));
        }
        let step = Step {
            kind: Kind::Null,
            null: Null::Never,
        };
        self.plan.steps.resize(first + len, step);
        self.plan.fields.resize(first + len, None);
        index(first)
    }

    fn one(&mut self, node: &'a Node) -> Result<u32, String> {
        let at = self.reserve(1)?;
        self.fill(at, node)?;
        Ok(at)
    }

    fn fill(&mut self, at: u32, node: &'a Node) -> Result<(), String> {
        let (node, null) = match &node.kind {
            Avro::Union(branches) => match nullable(branches) {
                Some(branch)
                    if branches
                        .first()
                        .is_some_and(|first| first.kind == Avro::Null) =>
                {
                    (branch, Null::Branch0)
                }
                Some(branch) => (branch, Null::Branch1),
                None => (node, Null::Never),
            },
            _ => (node, Null::Never),
        };
        let kind = self.kind(node)?;
        if let Some(step) = self.plan.steps.get_mut(at as usize) {
            *step = Step { kind, null };
        }
        Ok(())
    }

    fn kind(&mut self, node: &'a Node) -> Result<Kind, String> {
        let node = match Resolved::of(self.avro, node)? {
            Resolved::Unnamed(node) => node,
            Resolved::Named(definition) => return self.named(definition),
        };
        Ok(match &node.kind {
            Avro::Null | Avro::Named(_) => Kind::Null,
            Avro::Boolean => Kind::Bool,
            Avro::Int => match node.props.text(CONNECT_TYPE) {
                Some("int8") => Kind::Int8,
                Some("int16") => Kind::Int16,
                _ => Kind::Int32,
            },
            Avro::Long => Kind::Int64,
            Avro::Float => Kind::Float32,
            Avro::Double => Kind::Float64,
            Avro::Bytes => Kind::Bytes,
            Avro::String => Kind::Text,
            Avro::Map(value) => Kind::Map {
                value: self.one(value)?,
            },
            Avro::Array(item) => self.array(item)?,
            Avro::Union(branches) => {
                let first = self.reserve(branches.len())?;
                for (branch, at) in branches.iter().zip(first..) {
                    self.fill(at, branch)?;
                }
                Kind::Union {
                    first,
                    len: index(branches.len())?,
                }
            }
        })
    }

    fn named(&mut self, definition: &'a Definition) -> Result<Kind, String> {
        Ok(match &definition.shape {
            Shape::Record { fields, .. } => self.record(fields)?,
            Shape::Enum { symbols, .. } => {
                let symbols = symbols.iter().map(|symbol| symbol.as_str().into());
                self.plan.symbols.push(symbols.collect());
                Kind::Enum {
                    symbols: index(self.plan.symbols.len() - 1)?,
                }
            }
            Shape::Fixed { size } => Kind::Fixed {
                len: u32::try_from(*size).map_err(|_| "a fixed that is too long")?,
            },
        })
    }

    fn array(&mut self, item: &'a Node) -> Result<Kind, String> {
        if let Some([key, value]) = Resolved::of(self.avro, item)?.entry() {
            let at = self.reserve(2)?;
            self.fill(at, &key.node)?;
            self.fill(at + 1, &value.node)?;
            return Ok(Kind::Entries {
                key: at,
                value: at + 1,
            });
        }
        let item = self.one(item)?;
        Ok(Kind::Array {
            item,
            empty: self.is_empty(item),
        })
    }

    fn record(&mut self, fields: &'a [Field]) -> Result<Kind, String> {
        let first = self.reserve(fields.len())?;
        for (field, at) in fields.iter().zip(first..) {
            self.fill(at, &field.node)?;
            if let Some(name) = self.plan.fields.get_mut(at as usize) {
                *name = Some(field.name.as_str().into());
            }
        }
        let len = index(fields.len())?;
        Ok(Kind::Struct { first, len })
    }

    /// Whether a value may take no bytes.
    fn is_empty(&self, at: u32) -> bool {
        let Some(step) = self.plan.steps.get(at as usize) else {
            return true;
        };
        if step.null != Null::Never {
            return false;
        }
        match step.kind {
            Kind::Null | Kind::Fixed { len: 0 } => true,
            Kind::Struct { first, len } => (first..first + len).all(|at| self.is_empty(at)),
            _ => false,
        }
    }
}

fn index(at: usize) -> Result<u32, String> {
    u32::try_from(at).map_err(|_| format!("more than {STEPS_MAX} values"))
}
