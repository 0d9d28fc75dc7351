//! A YAML text as a tree with places.
//!
//! Scalars keep their text exactly (`1.10`, `no`, `0123`): a connector's config is text. Refuses what a config does
//! not need and an attacker does: aliases (they multiply), anchors, tags and several documents. Never interprets a
//! key.

use super::{Diagnostic, Place};
use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use std::collections::HashMap;

/// Pipelines nest four or five deep; the bound keeps recursion and flattened keys short.
const DEPTH_MAX: usize = 16;

/// A value with the place it stands at. It may be a secret: hence no `Debug`.
#[derive(Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) content: Content,
    pub(crate) place: Place,
    /// The last line it stands on.
    pub(crate) last_line: usize,
}

/// What a value is.
#[derive(Clone, PartialEq)]
pub(crate) enum Content {
    /// Nothing, `~` or `null`.
    Null,
    /// Text exactly as written, after quotes and escapes.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in order; keys are unique.
    Map(Vec<Entry>),
    /// Something that was reported already: nobody complains about it again.
    Refused,
}

/// A key of a map with its value.
#[derive(Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

impl Node {
    /// What the value is, in words.
    pub(crate) fn shape(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Scalar(_) => "a plain value",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
            Content::Refused => "refused",
        }
    }
}

/// Parses one document. Everything that can be parsed is in the tree, every problem in the list.
pub(crate) fn parse(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let options = granit_parser::options! { emit_unresolved_aliases: true, emit_comments: false };
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
        problems: Vec::new(),
        path: Vec::new(),
        last: String::new(),
    };
    let root = reader.document();
    (root, reader.problems)
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    problems: Vec<Diagnostic>,
    /// The keys that have begun, outermost first: what a problem of the text itself is told to be below.
    path: Vec<String>,
    /// The key that began last, for text that is no YAML behind it.
    last: String,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Option<Node> {
        let mut root = None;
        while let Some((event, span)) = self.next() {
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    let problem = "a settings file holds one document";
                    self.refuse(&span, problem, "put the rest into a file of its own");
                    break;
                }
                event if event.is_node() => root = Some(self.node(event, &span, 0)?),
                _ => {}
            }
        }
        root
    }

    /// The next event; `None` at the end or after text that is not YAML.
    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        match self.events.next_event()? {
            Ok(next) => Some(next),
            Err(error) => {
                let marker = error.marker();
                let place = Place {
                    line: marker.line(),
                    column: marker.col() + 1,
                    len: 1,
                };
                let message = format!("not YAML: {}", error.info());
                self.problems.push(
                    Diagnostic::new("TL0102", place, message)
                        .at(self.last.clone())
                        .help("check indentation, colons and quotes above this place"),
                );
                None
            }
        }
    }

    /// The node that this event begins. `None`: the text ended within it.
    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Option<Node> {
        let place = Place::of(span);
        if depth > DEPTH_MAX {
            let problem = format!("nested more than {DEPTH_MAX} deep");
            self.problems.push(
                Diagnostic::new("TL0108", place, problem)
                    .at(self.path.join("."))
                    .help("write the keys with dots instead"),
            );
            return None;
        }
        if event.anchor_id().is_some_and(|id| id != 0) && !event.is_alias() {
            self.refuse(
                span,
                "anchors are not part of a settings file",
                "write the value out",
            );
        }
        if event.tag().is_some() {
            let help = "remove the tag: every value is text";
            self.refuse(span, "tags are not part of a settings file", help);
        }
        let content = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => Content::Null,
            Event::Scalar(text, ..) => Content::Scalar(text.into_owned()),
            Event::SequenceStart(..) => Content::List(self.list(depth)?),
            Event::MappingStart(..) => Content::Map(self.map(depth)?),
            _ => {
                self.refuse(
                    span,
                    "aliases are not part of a settings file",
                    "write the value out",
                );
                Content::Refused
            }
        };
        let last_line = match span.end.col() {
            0 => span.end.line() - 1,
            _ => span.end.line(),
        };
        Some(Node {
            content,
            place,
            last_line: last_line.max(place.line),
        })
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Some(items),
                (event, span) if event.is_node() => {
                    items.push(self.node(event, &span, depth + 1)?);
                }
                _ => {}
            }
        }
    }

    fn map(&mut self, depth: usize) -> Option<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Some(entries);
            }
            if !event.is_node() {
                continue;
            }
            let key = self.node(event, &span, depth + 1)?;
            let word = match &key.content {
                Content::Scalar(word) => word.clone(),
                _ => String::new(),
            };
            self.path.push(word);
            self.last = self.path.join(".");
            let (event, span) = self.next()?;
            let value = self.node(event, &span, depth + 1)?;
            self.path.pop();
            if let Some(entry) = self.entry(key, value, &mut lines) {
                entries.push(entry);
            }
        }
    }

    /// An entry whose key is new to its map; `lines` has the keys before it, and where they stand.
    fn entry(
        &mut self,
        key: Node,
        value: Node,
        lines: &mut HashMap<String, usize>,
    ) -> Option<Entry> {
        let place = key.place;
        let key = match key.content {
            Content::Scalar(key) if !key.trim().is_empty() => key,
            Content::Refused => return None,
            _ => {
                let help = "write `key: value`";
                let problem = Diagnostic::new("TL0108", place, "a key is a plain, non-empty word");
                let path = self.path.join(".");
                self.problems.push(problem.at(path).help(help));
                return None;
            }
        };
        if let Some(first) = lines.get(&key) {
            let message = format!("`{key}` is given twice, first on line {first}");
            let problem = Diagnostic::new("TL0104", place, message);
            self.problems
                .push(problem.at(&key).help("remove one of them"));
            return None;
        }
        lines.insert(key.clone(), place.line);
        Some(Entry { key, place, value })
    }

    fn refuse(&mut self, span: &Span, problem: &str, help: &str) {
        let problem = Diagnostic::new("TL0103", Place::of(span), problem);
        let path = self.path.join(".");
        self.problems.push(problem.at(path).help(help));
    }
}

/// YAML 1.2's ways to write nothing.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
