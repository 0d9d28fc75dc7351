//! Names in Avro: what is legal, and the full name of a named type.

use std::fmt;

/// No name is longer than that of a table and a column of any database together.
const NAME_BYTES_MAX: usize = 1_024;

/// The full name of a record, enum or fixed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct FullName {
    /// Empty: the null namespace.
    pub(crate) namespace: String,
    /// The last part.
    pub(crate) name: String,
}

impl FullName {
    /// Splits at the last dot; a name without one is of the enclosing namespace.
    pub(crate) fn resolve(name: &str, enclosing: &str) -> Self {
        match name.rsplit_once('.') {
            Some((namespace, name)) => Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            None => Self {
                namespace: enclosing.to_owned(),
                name: name.to_owned(),
            },
        }
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}.{}", self.namespace, self.name)
        }
    }
}

/// A letter or underscore, then letters, digits and underscores.
///
/// # Errors
/// Says what is illegal about the name.
pub(super) fn legal(name: &str) -> Result<(), String> {
    if name.len() > NAME_BYTES_MAX {
        let bytes = name.len();
        return Err(format!(
            "a name of {bytes} bytes; the limit is {NAME_BYTES_MAX}"
        ));
    }
    let mut bytes = name.bytes();
    let first = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !first || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(format!(
            "\"{name}\" is no legal name: a letter or _ first, then letters, digits and _"
        ));
    }
    Ok(())
}
