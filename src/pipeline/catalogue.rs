//! What a pipeline needs to know of connectors: a narrow view of the registry, so that tests can stand in for it.

use crate::{plugins::Plugins, worker::ConnectorKind};
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
