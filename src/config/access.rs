//! What settings may read of this machine: everything, or what the worker's allow-lists name.
//!
//! Files on the command line are the operator's own and may name everything. What comes over HTTP is confined to the
//! worker's settings, where nothing is allowed unless it is listed: whoever reaches the port is not the operator.
//! Names and meanings of the lists are Kafka's (`config.providers.….param.…`), only the defaults are not.

use regex::Regex;
use std::path::{Path, PathBuf};
use tapline_sdk::Files;

/// The setting that allows environment variables.
pub const ENV_PATTERN: &str = "config.providers.env.param.allowlist.pattern";
/// The setting that allows files of `${file:…}`.
pub const FILE_PATHS: &str = "config.providers.file.param.allowed.paths";
/// The setting that allows files of `${directory:…}`.
pub const DIRECTORY_PATHS: &str = "config.providers.directory.param.allowed.paths";
/// The setting that allows files that connectors' own keys name.
pub const CONNECTOR_PATHS: &str = "connector.files.allowed.paths";

/// What may be read. There is no default: whoever makes one says which.
#[derive(Debug, Clone)]
pub struct Access {
    /// Environment variables whose whole name matches; `None`: all.
    env: Option<Variables>,
    file: Files,
    directory: Files,
    connector: Files,
}

#[derive(Debug, Clone)]
enum Variables {
    None,
    Matching(Regex),
}

/// What may be read by whoever is not the operator. The default: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowLists {
    /// An expression that matches the whole name of each environment variable.
    pub env: Option<String>,
    /// Files, and folders with all that is in them, for `${file:…}`.
    pub file: Vec<PathBuf>,
    /// The same for `${directory:…}`.
    pub directory: Vec<PathBuf>,
    /// The same for files that connectors read and write.
    pub connector: Vec<PathBuf>,
}

impl Access {
    /// What the operator's own files may read.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            env: None,
            file: Files::default(),
            directory: Files::default(),
            connector: Files::default(),
        }
    }

    /// What these lists allow, but for anything in these folders: the worker's own data is nobody's to read.
    #[must_use]
    pub fn listed(lists: &AllowLists, never: &[PathBuf]) -> Self {
        let within = |allowed: &[PathBuf]| Files::within(allowed, never);
        let pattern = lists.env.as_deref();
        let pattern = pattern.and_then(|pattern| whole(pattern).ok());
        Self {
            env: Some(pattern.map_or(Variables::None, Variables::Matching)),
            file: within(&lists.file),
            directory: within(&lists.directory),
            connector: within(&lists.connector),
        }
    }

    /// The files that connectors' own keys may name.
    #[must_use]
    pub fn connector(&self) -> &Files {
        &self.connector
    }

    /// Whether an environment variable may be read. Asked before it is looked up: the answer must not tell whether it
    /// is set.
    pub(super) fn allows_variable(&self, name: &str) -> bool {
        match &self.env {
            None => true,
            Some(Variables::None) => false,
            Some(Variables::Matching(pattern)) => pattern.is_match(name),
        }
    }

    pub(super) fn file(&self) -> &Files {
        &self.file
    }

    pub(super) fn directory(&self) -> &Files {
        &self.directory
    }
}

/// An expression that matches whole names only, as Kafka's does.
pub(super) fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

/// A list of absolute paths.
pub(super) fn paths(text: &str) -> Result<Vec<PathBuf>, String> {
    let items = text.split(',').map(str::trim);
    let items = items.filter(|item| !item.is_empty());
    let absolute = |item: &str| match Path::new(item) {
        path if path.is_absolute() => Ok(path.to_owned()),
        _ => Err("holds a path that does not begin with `/`".to_owned()),
    };
    items.map(absolute).collect()
}

#[cfg(test)]
mod tests {
    use super::{Access, AllowLists, paths};
    use std::path::{Path, PathBuf};

    #[test]
    fn nothing_is_listed_unless_somebody_lists_it() {
        let nothing = Access::listed(&AllowLists::default(), &[]);
        assert!(!nothing.allows_variable("HOME"));
        for files in [nothing.file(), nothing.directory(), nothing.connector()] {
            assert!(files.check(Path::new("/etc/hostname")).is_err());
        }
        let all = Access::everything();
        assert!(all.allows_variable("HOME"));
        assert!(all.file().check(Path::new("/etc/hostname")).is_ok());
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        let env = Some("TAP_.*|HOME".to_owned());
        let lists = AllowLists {
            env,
            ..AllowLists::default()
        };
        let some = Access::listed(&lists, &[]);
        for (name, allowed) in [
            ("TAP_X", true),
            ("HOME", true),
            ("HOME2", false),
            ("MY_TAP_X", false),
        ] {
            assert_eq!(some.allows_variable(name), allowed, "{name}");
        }
    }

    #[test]
    fn lists_hold_absolute_paths() {
        assert_eq!(
            paths("/a, /b/c,"),
            Ok(vec![PathBuf::from("/a"), PathBuf::from("/b/c")])
        );
        assert!(paths("a").is_err());
    }
}
