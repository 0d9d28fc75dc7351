//! Another product's settings become ours: renames, defaults, keys without a meaning here.

use std::collections::BTreeMap;
use tapline_sdk::{Alias, Info, Issue, Presence};

/// Settings in our words, with what to tell about them.
#[derive(Default)]
pub(super) struct Translated {
    pub(super) settings: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
    pub(super) issues: Vec<Issue>,
    /// Our key → the key as it was written, so that issues name what people wrote.
    pub(super) written: BTreeMap<String, String>,
}

/// Applies an alias' profile, and takes out what is inert or refused.
pub(super) fn translate(
    info: &Info,
    alias: Option<&Alias>,
    settings: &BTreeMap<String, String>,
) -> Translated {
    let mut out = Translated::default();
    for (key, value) in settings {
        let name = renamed(alias, key);
        let refused = info.refused.iter().find(|(known, _)| covers(known, key));
        if let Some((_, remedy)) = refused
            && !says_default(alias, key, value)
        {
            let issue = Issue::new(key, "is not supported yet", *remedy);
            out.issues.push(issue);
        } else if refused.is_some() || info.inert.iter().any(|known| covers(known, key)) {
            out.warnings
                .push(format!("{key} has no meaning here and is ignored"));
        } else if let Some(other) = out.written.insert(name.to_owned(), key.clone()) {
            let problem = format!("means the same as {other}, which is given too");
            out.issues
                .push(Issue::new(key, problem, format!("remove {key} or {other}")));
        } else {
            out.settings.insert(name.to_owned(), value.clone());
        }
    }
    for (key, default) in alias.map(|alias| alias.defaults).unwrap_or_default() {
        out.settings
            .entry((*key).to_owned())
            .or_insert_with(|| (*default).to_owned());
    }
    out
}

impl Translated {
    /// Issues of our keys, as issues of the keys that people wrote.
    pub(super) fn as_written(&self, issues: Vec<Issue>) -> impl Iterator<Item = Issue> {
        issues.into_iter().map(|mut issue| {
            if let Some(written) = self.written.get(&issue.key) {
                issue.key.clone_from(written);
            }
            issue
        })
    }
}

/// What is not built asks for nothing when it says that product's default.
fn says_default(alias: Option<&Alias>, key: &str, value: &str) -> bool {
    let keys = alias.map(|alias| alias.keys).unwrap_or_default();
    keys.iter().any(|known| {
        known.name == key && matches!(known.presence, Presence::Default(d) if d == value)
    })
}

pub(super) fn renamed<'a>(alias: Option<&'a Alias>, key: &'a str) -> &'a str {
    alias
        .and_then(|alias| alias.renames.iter().find(|(theirs, _)| *theirs == key))
        .map_or(key, |(_, ours)| ours)
}

/// Whether a key, or a family that ends in `*`, is this one.
pub(super) fn covers(known: &str, key: &str) -> bool {
    match known.strip_suffix('*') {
        Some(prefix) => key.starts_with(prefix),
        None => known == key,
    }
}
