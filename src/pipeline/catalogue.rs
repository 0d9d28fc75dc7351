//! What a pipeline needs to know of connectors: a narrow view of the registry, so that tests can stand in for it.

use crate::{
    config::{access::Access, placeholder},
    plugins::Plugins,
    worker::ConnectorKind,
};
use std::collections::BTreeMap;
use tapline_sdk::{Info, Issue};

/// The connectors there are.
pub trait Catalogue {
    /// The connector that answers to this class, alias or short name.
    fn info(&self, role: ConnectorKind, class: &str) -> Option<&'static Info>;

    /// The short names there are.
    fn shorts(&self, role: ConnectorKind) -> Vec<&'static str>;

    /// Checks settings whose placeholders are resolved; returns what was accepted and means nothing here.
    ///
    /// # Errors
    /// Every problem at once.
    fn check(
        &self,
        role: ConnectorKind,
        class: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, Vec<Issue>>;

    /// The settings with their secrets put in, before [`Catalogue::check`] sees them.
    ///
    /// # Errors
    /// Every placeholder that has no value, by key.
    fn resolve(
        &self,
        settings: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Vec<Issue>> {
        placeholder::resolve_all(settings, &Access::everything())
    }
}

/// The same connectors for a file that another process will run: a secret that is not known here may be known there,
/// so that keys which name one are left for that process to judge.
pub struct Elsewhere<'a>(pub &'a dyn Catalogue);

impl Catalogue for Elsewhere<'_> {
    fn info(&self, role: ConnectorKind, class: &str) -> Option<&'static Info> {
        self.0.info(role, class)
    }

    fn shorts(&self, role: ConnectorKind) -> Vec<&'static str> {
        self.0.shorts(role)
    }

    fn check(
        &self,
        role: ConnectorKind,
        class: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, Vec<Issue>> {
        let unknown = |key: &String| {
            let text = settings.get(key);
            text.is_some_and(|text| placeholder::resolve(text, &Access::everything()).is_err())
        };
        match self.0.check(role, class, settings) {
            Err(mut issues) => {
                // What is wrong with a key whatever its value is wrong here, too: the key itself.
                let blank = settings.iter().map(|(key, text)| match unknown(key) {
                    true => (key.clone(), String::new()),
                    false => (key.clone(), text.clone()),
                });
                let blank = self.0.check(role, class, &blank.collect());
                let anyway = blank.err().unwrap_or_default();
                issues.retain(|issue| !unknown(&issue.key) || anyway.contains(issue));
                if issues.is_empty() {
                    Ok(Vec::new())
                } else {
                    Err(issues)
                }
            }
            checked => checked,
        }
    }

    fn resolve(
        &self,
        settings: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Vec<Issue>> {
        let known = settings.iter().map(|(key, text)| {
            let known =
                placeholder::resolve(text, &Access::everything()).unwrap_or_else(|_| text.clone());
            (key.clone(), known)
        });
        Ok(known.collect())
    }
}

impl Catalogue for Plugins {
    fn info(&self, role: ConnectorKind, class: &str) -> Option<&'static Info> {
        let infos = self.all().filter(|plugin| plugin.kind() == role);
        infos.map(|plugin| plugin.info()).find(|info| {
            let alias = info.aliases.iter().any(|alias| alias.class == class);
            alias || info.class == class || info.short == class
        })
    }

    fn shorts(&self, role: ConnectorKind) -> Vec<&'static str> {
        let infos = self.all().filter(|plugin| plugin.kind() == role);
        infos.map(|plugin| plugin.info().short).collect()
    }

    fn check(
        &self,
        role: ConnectorKind,
        class: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, Vec<Issue>> {
        self.resolve(role, class, settings)
            .map(|resolved| resolved.warnings)
    }
}
