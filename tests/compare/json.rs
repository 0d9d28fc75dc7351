//! JSON whose objects keep the order of their fields: clients see that order, so the comparison does, too.
//!
//! Owns reading, printing and nothing else. Printed, a value that fits stands on one line, so that a recorded answer of
//! two hundred definitions stays readable.

use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use std::fmt::{self, Display, Formatter, Write as _};

/// What fits on one line when printed: a definition of a config key does.
const LINE_MAX: usize = 400;

/// A JSON value; objects are ordered.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number.
    Number(serde_json::Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object in the order of its fields.
    Object(IndexMap<String, Json>),
}

impl Json {
    /// Reads a whole text; nothing if it is not JSON.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The value at a JSON pointer without escapes (`/tasks/0/state`).
    pub fn at(&self, pointer: &str) -> Option<&Self> {
        let steps = pointer.split('/').skip(1);
        steps.into_iter().try_fold(self, |value, step| match value {
            Self::Object(fields) => fields.get(step),
            Self::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// A text without its quotes, anything else as JSON: for conditions and rules.
    pub fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// Over several lines, as far as they are needed.
    pub fn pretty(&self) -> String {
        let mut text = String::new();
        self.print(0, &mut text);
        text
    }

    fn print(&self, depth: usize, text: &mut String) {
        let line = self.to_string();
        let inner = match self {
            Self::List(items) if depth == 0 || line.len() > LINE_MAX => items.len(),
            Self::Object(fields) if depth == 0 || line.len() > LINE_MAX => fields.len(),
            _ => 0,
        };
        if inner == 0 {
            text.push_str(&line);
            return;
        }
        let (open, close) = if matches!(self, Self::List(_)) {
            ('[', ']')
        } else {
            ('{', '}')
        };
        text.push(open);
        for position in 0..inner {
            text.push_str(if position == 0 { "\n" } else { ",\n" });
            text.extend(std::iter::repeat_n(' ', 2 * depth + 2));
            match self {
                Self::List(items) => items[position].print(depth + 1, text),
                Self::Object(fields) => {
                    let (name, value) = fields.get_index(position).expect("within the fields");
                    let _infallible = write!(text, "{}: ", quoted(name));
                    value.print(depth + 1, text);
                }
                _ => {}
            }
        }
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', 2 * depth));
        text.push(close);
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

/// On one line, with a space after every comma and colon.
impl Display for Json {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => to.write_str("null"),
            Self::Bool(value) => write!(to, "{value}"),
            Self::Number(value) => write!(to, "{value}"),
            Self::Text(value) => to.write_str(&quoted(value)),
            Self::List(items) => {
                to.write_char('[')?;
                for (position, item) in items.iter().enumerate() {
                    write!(to, "{}{item}", if position == 0 { "" } else { ", " })?;
                }
                to.write_char(']')
            }
            Self::Object(fields) => {
                to.write_char('{')?;
                for (position, (name, value)) in fields.iter().enumerate() {
                    let comma = if position == 0 { "" } else { ", " };
                    write!(to, "{comma}{}: {value}", quoted(name))?;
                }
                to.write_char('}')
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        let number = serde_json::Number::from_f64(value);
        number
            .map(Json::Number)
            .ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields = IndexMap::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("a field stands twice"));
            }
        }
        Ok(Json::Object(fields))
    }
}

#[test]
fn printed_json_is_read_back_in_its_order() {
    let text = r#"{"z":[1,-2,0.5,null,true],"a":{"y":"\u0001\"","b":{}},"m":[]}"#;
    let value = Json::read(text).expect("it is JSON");
    assert_eq!(
        value.to_string().replace(": ", ":").replace(", ", ","),
        text
    );
    assert_eq!(Json::read(&value.pretty()), Some(value.clone()));
    assert_eq!(
        value.at("/a/y").map(Json::plain).as_deref(),
        Some("\u{1}\"")
    );
    assert_eq!(
        Json::read(r#"{"a":1,"a":2}"#),
        None,
        "a field must not stand twice"
    );
}
