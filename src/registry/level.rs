//! What a subject demands of a new schema, and whether it takes any.

use std::fmt;

/// Which readers must get along with which writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compatibility {
    /// Nothing is checked.
    None,
    /// The new schema reads what the last one wrote.
    Backward,
    /// The new schema reads what every earlier one wrote.
    BackwardTransitive,
    /// The last schema reads what the new one writes.
    Forward,
    /// Every earlier schema reads what the new one writes.
    ForwardTransitive,
    /// Backward and forward.
    Full,
    /// Backward and forward, against every earlier schema.
    FullTransitive,
}

/// Whether schemas may be registered and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything is allowed.
    ReadWrite,
    /// Nothing may change.
    ReadOnly,
    /// Nothing may change, whatever a subject says; only as the global mode.
    ReadOnlyOverride,
    /// Schemas come with the ids and versions that they have elsewhere, and are not checked.
    Import,
}

impl Compatibility {
    const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// The level of this name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let same = |level: &Self| level.as_str().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same)
    }

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// The new schema must read the old ones.
    pub(super) fn backward(self) -> bool {
        matches!(
            self,
            Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive
        )
    }

    /// The old schemas must read the new one.
    pub(super) fn forward(self) -> bool {
        matches!(
            self,
            Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive
        )
    }

    /// All earlier schemas count, not only the last.
    pub(super) fn transitive(self) -> bool {
        matches!(
            self,
            Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive
        )
    }
}

impl Mode {
    const ALL: [Self; 4] = [
        Self::ReadWrite,
        Self::ReadOnly,
        Self::ReadOnlyOverride,
        Self::Import,
    ];

    /// The mode of this name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let same = |mode: &Self| mode.as_str().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same)
    }

    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWrite => "READWRITE",
            Self::ReadOnly => "READONLY",
            Self::ReadOnlyOverride => "READONLY_OVERRIDE",
            Self::Import => "IMPORT",
        }
    }

    pub(super) fn is_read_only(self) -> bool {
        matches!(self, Self::ReadOnly | Self::ReadOnlyOverride)
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
