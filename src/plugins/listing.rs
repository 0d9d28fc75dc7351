//! Which plugins there are, and the keys of each, for whoever asks without a configuration.

use super::{
    Plugins, form,
    form::Row,
    info::{ConfigKeyInfo, PluginInfo},
    parts,
};
use crate::worker::ConnectorKind;

impl Plugins {
    /// The keys of a plugin of any kind, the connector's own first; `None` if there is none of that name.
    #[must_use]
    pub fn definitions(&self, plugin: &str) -> Option<Vec<ConfigKeyInfo>> {
        let rows = match self.lookup(plugin) {
            Some(found) => {
                let mut rows = form::own(&found);
                let named = |row: &Row| rows.iter().any(|own| own.info.name == row.info.name);
                let rest: Vec<Row> = form::framework(&found)
                    .into_iter()
                    .filter(|row| !named(row))
                    .collect();
                rows.extend(rest);
                rows
            }
            None => form::part(&parts::named(plugin)?),
        };
        Some(rows.into_iter().map(|row| row.info).collect())
    }

    /// The version of a plugin of any kind.
    #[must_use]
    pub fn version(&self, plugin: &str) -> Option<&'static str> {
        let connector = self.lookup(plugin).map(|found| found.plugin.info().version);
        connector.or_else(|| parts::named(plugin).map(|_| form::VERSION))
    }

    /// Every class that settings can name, in Connect's order: sinks, sources, and the parts unless only connectors
    /// are asked for. A connector stands there under its own class and under each of its aliases'.
    #[must_use]
    pub fn list(&self, connectors_only: bool) -> Vec<PluginInfo> {
        let of = |kind: ConnectorKind| {
            let mut found: Vec<PluginInfo> = Vec::new();
            for plugin in self.all().filter(|plugin| plugin.kind() == kind) {
                let info = plugin.info();
                // Last words of classes are names, too, but no classes.
                let aliases = info.aliases.iter().map(|alias| alias.class);
                let aliases = aliases.filter(|class| class.contains('.'));
                found.extend(aliases.chain([info.class]).map(|class| PluginInfo {
                    class,
                    kind: kind.as_str(),
                    version: info.version,
                }));
            }
            found.sort_by_key(|plugin| plugin.class);
            found
        };
        let mut list = of(ConnectorKind::Sink);
        list.extend(of(ConnectorKind::Source));
        if !connectors_only {
            list.extend(parts::all().into_iter().map(|part| PluginInfo {
                class: part.class,
                kind: part.role.word(),
                version: form::VERSION,
            }));
        }
        list
    }
}
