//! The contract between Tapline's runtime and its connectors: the only crate of ours that a connector imports.
//!
//! It owns the data model ([`Schema`], [`Rows`], [`Record`]), configuration keys ([`Key`], [`Config`]), errors
//! ([`Error`] for a task, [`RecordError`] for a row) and the traits [`Source`], [`Sink`] and [`Transform`]. It does no
//! I/O, starts no task and knows neither broker nor converter.
//!
//! ```text
//!  Source::run ──SourceBatch(Rows)──▶ runtime: transform, convert, commit ──▶ log
//!       ▲                                                                     │
//!       └────────────── Committed (a watched level) ◀─────────────────────────┘
//!  Sink::put ◀──Batch(Rows + places)── runtime: fetch, decode, transform ◀────┘
//! ```

mod arena;
mod config;
mod connector;
mod error;
mod files;
mod record;
mod rows;
mod schema;
mod sink;
mod source;
mod transform;

pub use arena::{Arena, Block, Cell, Cells, Span, Value};
pub use config::{
    Config, ConfigValue, Definition, Importance, Issue, Key, Kind, Presence, Secret, Width, nearest,
};
pub use connector::{Alias, BoxFuture, Connector, Info, Position, Scalar};
pub use error::{Error, ErrorKind, RecordError, Result};
pub use files::Files;
pub use record::{Datum, Header, Partition, Record, Transaction};
pub use rows::{Head, HeaderRef, RecordRef, Rows, Shape};
pub use schema::{Field, Schema, SchemaBuilder, Type};
pub use sink::{Assignment, Batch, Place, Rejected, Sink, SinkContext, TopicPartition};
pub use source::{Committed, Output, Progress, Source, SourceBatch, SourceContext};
pub use transform::Transform;
