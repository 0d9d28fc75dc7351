//! Files of lines, as Kafka's FileStream pair: a source that reads a file and waits for more, a sink that appends.
//!
//! Both answer to Kafka's class names with Kafka's record shape, offsets and texts, and to our own with a record that
//! loses nothing. The source is exactly once into the log: position and lines are one commit. The sink is exactly once
//! into the file: position and lines are one entry of a ledger beside it. The source follows no rotation: that is a
//! tail's work, which grows from here.
//!
//! ```text
//!  file ─▶ reader (steps) ─▶ lines ─▶ record ─▶ SourceBatch{lines, position}
//!  Batch ─▶ render (lines) ─▶ target: ledger (positions + lines, the commit) ─▶ file
//! ```

mod error;
mod keys;
mod ledger;
mod lines;
mod offset;
mod reader;
mod record;
mod render;
mod sink;
mod source;
mod target;
mod text;
mod threads;

pub use sink::FileSink;
pub use source::FileSource;
