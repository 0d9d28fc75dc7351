//! What the metrics page sees of a worker's connectors.

use super::Shared;
use crate::{herder::Connector, metrics::ConnectorSeen};
use std::sync::Arc;

impl Shared {
    /// Every connector that exists, with its tasks.
    pub(super) fn seen(&self) -> Vec<ConnectorSeen> {
        let connectors = self.connectors();
        let seen = connectors.iter().filter_map(|one| self.look_at(one));
        seen.collect()
    }

    fn look_at(&self, connector: &Connector) -> Option<ConnectorSeen> {
        let spec = connector.stored()?.spec;
        let running = connector.running();
        let resolved = running.as_ref().map(|running| &running.plan.resolved);
        let monitors = running.iter().flat_map(|running| running.monitors());
        Some(ConnectorSeen {
            name: Arc::clone(&connector.name),
            kind: spec.kind.as_str(),
            version: self.version_of(&spec.class).unwrap_or_default(),
            class: resolved.map_or(spec.class, |resolved| resolved.class.to_owned()),
            state: connector.state().as_str(),
            tasks: monitors.map(|monitor| monitor.seen()).collect(),
        })
    }
}
