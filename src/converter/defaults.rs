//! A worker's converters: what stands where a connector names none, as in Kafka's worker properties.
//!
//! A converter and its keys come from one place. A connector that names a converter takes nothing from the worker for
//! that role, and one that only gives keys of an unnamed converter does not change the worker's: that is Kafka
//! Connect's rule, which ignores such keys in silence; here a warning says so.

use super::{Class, Converters, settings::ROLES};
use std::collections::BTreeMap;
use tapline_sdk::Issue;

/// The converters of a worker, checked. Holds no secret: keys of a registry elsewhere are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Defaults(BTreeMap<String, String>);

impl Defaults {
    /// Reads `key.converter`, `value.converter`, `header.converter` and the keys below them; other settings of a worker
    /// are left alone. With it comes one sentence per key that means nothing here.
    ///
    /// # Errors
    /// Every problem at once, each with a remedy.
    pub fn parse(worker: &BTreeMap<String, String>) -> Result<(Self, Vec<String>), Vec<Issue>> {
        let mut issues = lonely(worker);
        let warnings = match Converters::parse(worker) {
            Ok((_, warnings)) => warnings,
            Err(mut found) => {
                found.retain(|issue| issues.iter().all(|told| told.key != issue.key));
                issues.append(&mut found);
                Vec::new()
            }
        };
        if !issues.is_empty() {
            return Err(issues);
        }
        let meant = |(key, _): &(&String, &String)| {
            ROLES.iter().any(|role| {
                let class = worker.get(*role).and_then(|name| Class::find(name.trim()));
                let inert = class.map_or(&[][..], |class| class.inert);
                key == role || below(key, role).is_some_and(|part| !inert.contains(&part))
            })
        };
        let kept = worker.iter().filter(meant);
        let kept = kept.map(|(key, value)| (key.clone(), value.clone()));
        Ok((Self(kept.collect()), warnings))
    }

    /// The converter of connectors that name none for this role (`value.converter`), if it is set.
    #[must_use]
    pub fn class(&self, role: &str) -> Option<&'static Class> {
        let role = ROLES.iter().find(|known| **known == role)?;
        Class::find(self.0.get(*role)?.trim())
    }

    /// The settings of a connector with these converters where it names none. With it comes one sentence per key that
    /// means nothing for that reason.
    #[must_use]
    pub fn fill(
        &self,
        connector: &BTreeMap<String, String>,
    ) -> (BTreeMap<String, String>, Vec<String>) {
        let (mut settings, mut warnings) = (connector.clone(), Vec::new());
        for role in ROLES {
            if names(connector, role) || !names(&self.0, role) {
                continue;
            }
            settings.retain(|key, _| {
                let stays = below(key, role).is_none();
                if !stays {
                    warnings.push(format!(
                        "{key} is ignored: without {role} the worker's converter holds, with the worker's keys"
                    ));
                }
                stays
            });
            let parts = self.0.iter();
            let parts = parts.filter(|(key, _)| *key == role || below(key, role).is_some());
            settings.extend(parts.map(|(key, value)| (key.clone(), value.clone())));
        }
        (settings, warnings)
    }
}

/// Keys of converters that are not named: a worker's file is written for Tapline, so they are a mistake.
fn lonely(worker: &BTreeMap<String, String>) -> Vec<Issue> {
    let unnamed = ROLES.into_iter().filter(|role| !names(worker, role));
    let of_role = |role: &'static str| {
        let keys = worker.keys();
        let keys = keys.filter(move |key| below(key, role).is_some());
        keys.map(move |key| {
            let problem = format!("is given without a {role}");
            Issue::new(key, problem, format!("name {role} too, or remove it"))
        })
    };
    unnamed.flat_map(of_role).collect()
}

/// Whether these settings name a converter for this role.
fn names(settings: &BTreeMap<String, String>, role: &str) -> bool {
    let name = settings.get(role);
    name.is_some_and(|name| !name.trim().is_empty())
}

/// The key of a role's converter, without the role before it.
fn below<'a>(key: &'a str, role: &str) -> Option<&'a str> {
    key.strip_prefix(role)?.strip_prefix('.')
}

#[cfg(test)]
mod tests {
    use super::Defaults;
    use std::collections::BTreeMap;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    fn defaults(pairs: &[(&str, &str)]) -> Defaults {
        let (defaults, warnings) = Defaults::parse(&settings(pairs)).expect("they are good");
        assert_eq!(warnings, Vec::<String>::new());
        defaults
    }

    #[test]
    fn a_converter_stands_in_whole_where_a_connector_names_none() {
        let worker = defaults(&[
            ("key.converter", "string"),
            ("value.converter", "json"),
            ("value.converter.schemas.enable", "false"),
            ("rest.address", "127.0.0.1:1"),
        ]);
        let own = settings(&[("value.converter", "json"), ("name", "x")]);
        let expected = settings(&[
            ("key.converter", "string"),
            ("name", "x"),
            ("value.converter", "json"),
        ]);
        assert_eq!(worker.fill(&own), (expected, Vec::new()));
        let (whole, _) = worker.fill(&BTreeMap::new());
        let expected = settings(&[
            ("key.converter", "string"),
            ("value.converter", "json"),
            ("value.converter.schemas.enable", "false"),
        ]);
        assert_eq!(whole, expected);
    }

    #[test]
    fn a_key_of_a_converter_that_is_not_named_does_not_change_the_workers() {
        let worker = defaults(&[
            ("value.converter", "json"),
            ("value.converter.schemas.enable", "false"),
        ]);
        let own = settings(&[
            ("value.converter.decimal.format", "NUMERIC"),
            ("value.converter.schemas.enable", "true"),
        ]);
        let (filled, warnings) = worker.fill(&own);
        let expected = [
            ("value.converter", "json"),
            ("value.converter.schemas.enable", "false"),
        ];
        assert_eq!(filled, settings(&expected));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        // Without a worker's converter they stay, to be refused.
        assert_eq!(Defaults::default().fill(&own), (own.clone(), Vec::new()));
    }

    #[test]
    fn bad_ones_are_refused_and_secrets_of_a_registry_elsewhere_are_not_kept() {
        let issues = Defaults::parse(&settings(&[
            ("key.converter", "jsn"),
            ("header.converter.schemas.enable", "false"),
            ("value.converter.schemas.enable", "false"),
        ]));
        let issues = issues.expect_err("they are bad");
        let mut keys: Vec<&str> = issues.iter().map(|issue| issue.key.as_str()).collect();
        keys.sort_unstable();
        let expected = [
            "header.converter.schemas.enable",
            "key.converter",
            "value.converter.schemas.enable",
        ];
        assert_eq!(keys, expected);
        let (kept, warnings) = Defaults::parse(&settings(&[
            ("value.converter", "io.confluent.connect.avro.AvroConverter"),
            ("value.converter.basic.auth.user.info", "user:canary"),
        ]))
        .expect("they are good");
        assert_eq!(warnings.len(), 1);
        assert!(!format!("{kept:?}").contains("canary"));
    }
}
