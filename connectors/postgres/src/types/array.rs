//! The text form of arrays: `[1:2]={1,NULL,"a \"quoted\" item",{…}}`, read item by item.

use std::borrow::Cow;
use tapline_sdk::RecordError;

/// An item of an array.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An unquoted NULL.
    Null,
    /// A value, with quotes and escapes removed.
    Value(Cow<'a, [u8]>),
    /// An inner array, braces included, quoted parts as they are.
    Array(&'a [u8]),
}

/// Reads the items of one array, one dimension deep.
#[derive(Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
    delimiter: u8,
    first: bool,
}

impl<'a> Items<'a> {
    /// The items of an array in text form; explicit lower bounds are skipped.
    ///
    /// # Errors
    /// If the text does not stand in braces.
    pub fn new(text: &'a [u8], delimiter: u8) -> Result<Self, RecordError> {
        let body = match text.first() {
            Some(b'[') => memchr::memchr(b'=', text).and_then(|at| text.get(at + 1..)),
            _ => Some(text),
        };
        let inner = body
            .and_then(|body| body.strip_prefix(b"{"))
            .and_then(|body| body.strip_suffix(b"}"));
        let rest = inner.ok_or_else(malformed)?;
        Ok(Self {
            rest,
            delimiter,
            first: true,
        })
    }

    /// The next item, if there is one.
    ///
    /// # Errors
    /// If the text is no array.
    pub fn next_item(&mut self) -> Result<Option<Item<'a>>, RecordError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        if !self.first {
            match self.rest.split_first() {
                Some((byte, rest)) if *byte == self.delimiter => self.rest = rest,
                _ => return Err(malformed()),
            }
        }
        self.first = false;
        match self.rest.first() {
            Some(b'"') => self.quoted().map(Some),
            Some(b'{') => self.inner().map(Some),
            _ => self.plain().map(Some),
        }
    }

    fn plain(&mut self) -> Result<Item<'a>, RecordError> {
        let end = memchr::memchr(self.delimiter, self.rest).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        if value.is_empty() {
            return Err(malformed());
        }
        self.rest = rest;
        Ok(if value == b"NULL" {
            Item::Null
        } else {
            Item::Value(Cow::Borrowed(value))
        })
    }

    fn quoted(&mut self) -> Result<Item<'a>, RecordError> {
        let body = self.rest.get(1..).unwrap_or_default();
        let end = memchr::memchr2(b'"', b'\\', body).ok_or_else(malformed)?;
        if body.get(end) == Some(&b'"') {
            let (value, rest) = body.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            return Ok(Item::Value(Cow::Borrowed(value)));
        }
        let mut value = Vec::with_capacity(body.len().min(end + 64));
        let mut bytes = body.iter().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = body.get(at + 1..).unwrap_or_default();
                    return Ok(Item::Value(Cow::Owned(value)));
                }
                b'\\' => value.push(*bytes.next().ok_or_else(malformed)?.1),
                byte => value.push(*byte),
            }
        }
        Err(malformed())
    }

    fn inner(&mut self) -> Result<Item<'a>, RecordError> {
        let (mut depth, mut quoted) = (0_usize, false);
        let mut bytes = self.rest.iter().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'\\' => drop(bytes.next()),
                b'"' => quoted = !quoted,
                b'{' if !quoted => depth += 1,
                b'}' if !quoted => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let (array, rest) = self.rest.split_at(at + 1);
                self.rest = rest;
                return Ok(Item::Array(array));
            }
        }
        Err(malformed())
    }
}

fn malformed() -> RecordError {
    RecordError::new("array is not in Postgres' text form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(text: &str) -> Result<Vec<String>, RecordError> {
        let mut items = Items::new(text.as_bytes(), b',')?;
        let mut read = Vec::new();
        while let Some(item) = items.next_item()? {
            read.push(match item {
                Item::Null => "∅".to_owned(),
                Item::Value(value) => String::from_utf8(value.into_owned()).unwrap(),
                Item::Array(inner) => format!("a:{}", str::from_utf8(inner).unwrap()),
            });
        }
        Ok(read)
    }

    #[test]
    fn items_are_read_with_nulls_quotes_bounds_and_inner_arrays() {
        assert_eq!(items("{}").unwrap(), [""; 0]);
        assert_eq!(items("{1,NULL,\"NULL\"}").unwrap(), ["1", "∅", "NULL"]);
        assert_eq!(items("[0:1]={a,b}").unwrap(), ["a", "b"]);
        assert_eq!(items(r#"{"a\"\\,b",""}"#).unwrap(), ["a\"\\,b", ""]);
        assert_eq!(
            items(r#"{{1,"}"},{2,"\""}}"#).unwrap(),
            [r#"a:{1,"}"}"#, r#"a:{2,"\""}"#]
        );
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for text in [
            "", "{", "1", "{1", "{\"}", "{a,}", "{{1}", "{\"a\"b}", "{,}",
        ] {
            assert!(items(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in r#"[\[\]{}",\\a1=:]{0,24}"#) {
            let _either = items(&text);
        }
    }
}
