use super::{Action, Change, Declaration, Stored, plan};
use crate::{
    plugins::Plugins,
    worker::{Author, ConnectorKind, ConnectorSpec},
};
use std::collections::BTreeMap;
use tapline_sdk::Definition;

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(key, text): &(&str, &str)| ((*key).to_owned(), (*text).to_owned());
    pairs.iter().map(own).collect()
}

fn sink(name: &str, pairs: &[(&str, &str)]) -> ConnectorSpec {
    let mut settings = settings(pairs);
    settings.insert("tapline.pipeline".to_owned(), "shop".to_owned());
    settings.insert("topics.of".to_owned(), "shop.source".to_owned());
    ConnectorSpec {
        name: name.to_owned(),
        kind: ConnectorKind::Sink,
        class: "sql".to_owned(),
        settings,
        origin: None,
        author: Author::default(),
    }
}

fn definitions(class: &str) -> Vec<Definition> {
    let mut plugins = Plugins::builtin().all().map(|plugin| plugin.info());
    let info = plugins.find(|info| info.short == class);
    info.map(|info| info.keys.to_vec()).unwrap_or_default()
}

fn store(specs: &[ConnectorSpec]) -> Stored {
    let properties = |spec: &ConnectorSpec| {
        let mut properties = spec.settings.clone();
        properties.insert("name".to_owned(), spec.name.clone());
        properties.insert("connector.class".to_owned(), spec.class.clone());
        (spec.name.clone(), properties)
    };
    specs.iter().map(properties).collect()
}

fn planned(stored: &Stored, connectors: Vec<ConnectorSpec>, prune: bool) -> Vec<Change> {
    let declared = Declaration {
        pipelines: ["shop".to_owned()].into(),
        topics: Vec::new(),
        connectors,
        prune,
    };
    plan(stored, &declared, &definitions)
}

fn actions(changes: &[Change]) -> Vec<(&str, Action)> {
    changes
        .iter()
        .map(|change| (&*change.connector, change.action))
        .collect()
}

#[test]
fn what_is_stored_as_declared_is_unchanged_and_the_rest_is_told_key_by_key() {
    let url = ("connection.url", "postgres://h/db");
    let one = sink("shop.a", &[url]);
    let stored = store(std::slice::from_ref(&one));
    assert_eq!(
        actions(&planned(&stored, vec![one], true)),
        [("shop.a", Action::Unchanged)]
    );
    let changed = planned(
        &stored,
        vec![sink("shop.a", &[url, ("batch.size", "10")])],
        true,
    );
    assert_eq!(actions(&changed), [("shop.a", Action::Change)]);
    let keys: Vec<_> = changed.iter().flat_map(|c| &c.keys).collect();
    let [key] = keys.as_slice() else {
        panic!("{keys:?}")
    };
    assert_eq!(
        (key.key.as_str(), &key.old, &key.new),
        ("batch.size", &None, &Some("10".to_owned()))
    );
}

#[test]
fn no_secret_is_in_a_plan_and_a_changed_one_is_told() {
    let with = |password: &str, url: &str| {
        sink(
            "shop.a",
            &[("connection.password", password), ("connection.url", url)],
        )
    };
    let stored = store(&[with("hunter2", "postgres://u:canary@h/db")]);
    let same = planned(
        &stored,
        vec![with("hunter2", "postgres://u:canary@h/db")],
        false,
    );
    assert_eq!(actions(&same), [("shop.a", Action::Unchanged)]);
    let changes = planned(
        &stored,
        vec![with("${env:P}", "postgres://u:other@h/db")],
        false,
    );
    let text = serde_json::to_string(&changes).expect("a plan is JSON");
    for secret in ["hunter2", "canary", "other"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(
        text.contains("${env:P}"),
        "a placeholder is no secret: {text}"
    );
    assert_eq!(changes.iter().map(|c| c.keys.len()).sum::<usize>(), 2);
}

#[test]
fn only_what_these_files_own_is_deleted_and_only_if_asked() {
    let mut stored = store(&[sink("shop.a", &[]), sink("shop.b", &[])]);
    let by_hand = stored.get_mut("shop.b").expect("it was stored");
    by_hand.remove("tapline.pipeline");
    let mut others = sink("other.c", &[]);
    others
        .settings
        .insert("tapline.pipeline".to_owned(), "other".to_owned());
    stored.extend(store(&[others]));
    assert_eq!(
        actions(&planned(&stored, Vec::new(), true)),
        [("shop.a", Action::Delete)]
    );
    assert_eq!(
        actions(&planned(&stored, Vec::new(), false)),
        [("shop.a", Action::Left)]
    );
}

#[test]
fn a_renamed_part_is_recognised_once_and_by_its_class() {
    let stored = store(&[sink("shop.a", &[])]);
    let changes = planned(
        &stored,
        vec![sink("shop.b", &[]), sink("shop.c", &[])],
        true,
    );
    let renamed: Vec<Option<&str>> = changes.iter().map(|c| c.renamed_from.as_deref()).collect();
    assert_eq!(renamed, [Some("shop.a"), None, None]);
    let mut source = sink("shop.b", &[]);
    source.kind = ConnectorKind::Source;
    let changes = planned(&stored, vec![source], true);
    assert!(changes.iter().all(|c| c.renamed_from.is_none()));
}
