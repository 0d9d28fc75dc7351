//! The name of a named type in Avro, with its namespace.

use std::fmt;

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
