//! The registry on a log in memory.

use super::{Against, Candidate, Reference, Registry, TOPIC};
use crate::state::{
    StateMap,
    tests::{Fault, Memory},
};
use serde_json::{Value, json};

#[tokio::test]
async fn one_text_has_one_id_under_every_subject_and_after_a_restart() {
    let log = Memory::default();
    let registry = Registry::open(log.broker()).await.unwrap();
    assert_eq!(registry.register("a-value", "\"string\"").await.unwrap(), 1);
    assert_eq!(registry.register("b-value", "\"string\"").await.unwrap(), 1);
    assert_eq!(registry.register("a-value", "\"long\"").await.unwrap(), 2);
    let commits = log.commits();
    assert_eq!(registry.register("a-value", "\"string\"").await.unwrap(), 1);
    assert_eq!(log.commits(), commits, "what is registered costs nothing");
    for registry in [registry, Registry::open(log.broker()).await.unwrap()] {
        assert_eq!(registry.schema(2).as_deref(), Some("\"long\""));
        assert_eq!(registry.schema(3), None);
        assert_eq!(registry.versions("a-value"), [(1, 1), (2, 2)]);
        assert_eq!(registry.subjects(), ["a-value".into(), "b-value".into()]);
    }
}

#[tokio::test]
async fn many_schemas_are_one_commit() {
    let log = Memory::default();
    let registry = Registry::open(log.broker()).await.unwrap();
    let schemas = (0..100).map(|at| {
        (
            format!("t{at}-value").into(),
            format!("\"s{}\"", at % 10).into(),
        )
    });
    let ids = registry.register_all(schemas.collect()).await.unwrap();
    assert_eq!(log.commits(), 1);
    assert_eq!(ids[..11], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1]);
}

#[tokio::test]
async fn records_are_confluents() {
    let log = Memory::default();
    Registry::open(log.broker())
        .await
        .unwrap()
        .register("t-key", "\"int\"")
        .await
        .unwrap();
    assert_eq!(
        log.records(TOPIC),
        [
            (
                r#"{"keytype":"CONFIG","subject":"t-key","magic":0}"#.to_owned(),
                Some(r#"{"subject":"t-key","compatibilityLevel":"NONE"}"#.to_owned())
            ),
            (
                r#"{"keytype":"SCHEMA","subject":"t-key","version":1,"magic":1}"#.to_owned(),
                Some(
                    r#"{"subject":"t-key","version":1,"id":1,"schema":"\"int\"","deleted":false}"#
                        .to_owned()
                )
            )
        ]
    );
}

#[tokio::test]
async fn a_topic_of_confluents_registry_is_taken_over() {
    let log = Memory::default();
    let map = StateMap::open(log.broker(), TOPIC).await.unwrap();
    let records = [
        (r#"{"keytype":"NOOP","magic":0}"#, r#"null"#),
        (
            r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
            r#"{"compatibilityLevel":"FULL"}"#,
        ),
        (
            r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#,
            r#"{"subject":"s","version":1,"id":40,"md5":"x","schema":"\"int\"","deleted":true}"#,
        ),
        (
            r#"{"keytype":"SCHEMA","subject":"s","version":2,"magic":1}"#,
            r#"{"subject":"s","version":2,"id":41,"schema":"\"long\"","deleted":false}"#,
        ),
    ];
    for (key, value) in records {
        map.put(key.as_bytes().into(), value.as_bytes().into())
            .await
            .unwrap();
    }
    let registry = Registry::open(log.broker()).await.unwrap();
    assert_eq!(registry.versions("s"), [(2, 41)]);
    assert_eq!(
        registry.schema(40).as_deref(),
        Some("\"int\""),
        "a deleted version still decodes"
    );
    assert_eq!(
        registry.register("s", "\"int\"").await.unwrap(),
        40,
        "the text keeps its id"
    );
    assert_eq!(registry.register("s", "\"double\"").await.unwrap(), 42);
}

/// Confluent's registry took defaults of any type for years, and others take more.
#[tokio::test]
async fn a_schema_that_another_registry_took_is_written_out_compared_and_referred_to() {
    let address = r#"{"type":"record","name":"x.Address","fields":[{"name":"zip","type":"int","default":"none"}]}"#;
    let person =
        r#"{"type":"record","name":"y.Person","fields":[{"name":"home-1","type":"x.Address"}]}"#;
    let reference = Reference {
        name: "x.Address".to_owned(),
        subject: "address".to_owned(),
        version: 1,
    };
    let log = Memory::default();
    let map = StateMap::open(log.broker(), TOPIC).await.unwrap();
    for (id, subject, schema, references) in [
        (1, "address", address, vec![]),
        (2, "person", person, vec![&reference]),
    ] {
        let key = json!({"keytype": "SCHEMA", "subject": subject, "version": 1, "magic": 1});
        let value = json!({"subject": subject, "version": 1, "id": id, "references": references,
            "schema": schema, "deleted": false});
        let blob = |value: Value| value.to_string().into_bytes().into();
        map.put(blob(key), blob(value)).await.unwrap();
    }
    let registry = Registry::open(log.broker()).await.unwrap();
    assert_eq!(
        registry.schema(2).as_deref(),
        Some(
            r#"{"type":"record","name":"Person","namespace":"y","fields":[{"name":"home-1","type":{"type":"record","name":"Address","namespace":"x","fields":[{"name":"zip","type":"int","default":"none"}]}}]}"#
        )
    );
    let candidate = |ty: &str| {
        Candidate {
        schema: r#"{"type":"record","name":"y.Person","fields":[{"name":"home","type":"TYPE","aliases":["home_1"]}]}"#
            .replace("TYPE", ty),
        references: vec![reference.clone()],
        ..Candidate::default()
    }
    };
    let check =
        |candidate: Candidate| registry.check("person", &candidate, false, Against::Subject);
    let clash = check(candidate("x.Address")).unwrap();
    assert!(
        clash[0].contains("READER_FIELD_MISSING_DEFAULT_VALUE"),
        "it is compared: {clash:?}"
    );
    let error = check(Candidate {
        schema: person.to_owned(),
        ..candidate("x.Address")
    });
    assert!(
        error.unwrap_err().to_string().contains("no legal name"),
        "what is new keeps the rules"
    );
}

#[tokio::test]
async fn a_topic_that_is_no_registrys_is_an_error() {
    let log = Memory::default();
    let map = StateMap::open(log.broker(), TOPIC).await.unwrap();
    map.put(b"hello"[..].into(), b"world"[..].into())
        .await
        .unwrap();
    let error = Registry::open(log.broker()).await.unwrap_err();
    assert_eq!(error.code, Some("TL0610"));
}

#[tokio::test]
async fn a_schema_whose_commit_failed_gets_no_id_and_one_whose_answer_was_lost_keeps_its_id() {
    let log = Memory::default();
    let registry = Registry::open(log.broker()).await.unwrap();
    log.fail(Fault::Refuse);
    registry.register("a", "\"int\"").await.unwrap_err();
    assert_eq!(registry.schema(1), None);
    log.fail(Fault::LoseAnswer);
    registry.register("a", "\"long\"").await.unwrap_err();
    assert_eq!(
        registry.schema(1),
        None,
        "not before it is known to be durable"
    );
    log.fail(Fault::None);
    assert_eq!(
        registry.register("a", "\"string\"").await.unwrap(),
        2,
        "1 is taken in the log"
    );
    assert_eq!(registry.register("a", "\"long\"").await.unwrap(), 1);
    assert_eq!(registry.versions("a"), [(1, 1), (2, 2)]);
}

#[tokio::test]
async fn schemas_that_are_registered_at_once_get_different_ids() {
    let log = Memory::default();
    let registry = Registry::open(log.broker()).await.unwrap();
    let tasks = (0..20).map(|at| {
        let registry = std::sync::Arc::clone(&registry);
        tokio::spawn(async move { registry.register("s", &format!("\"s{at}\"")).await.unwrap() })
    });
    let mut ids = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        ids.push(task.await.unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=20).collect::<Vec<_>>());
}
