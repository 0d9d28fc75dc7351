//! Every resource, with the codes that Confluent's clients look at.

#![expect(
    clippy::too_many_lines,
    reason = "a test is a conversation, or a table with a row for every code"
)]

use super::{NOTHING, Running, record};
use reqwest::Method;
use serde_json::{Value, json};

fn row(more: &[Value]) -> Value {
    let mut fields = vec![json!({"name": "a", "type": "int"})];
    fields.extend_from_slice(more);
    record(&Value::Array(fields))
}

fn body(schema: &Value) -> Value {
    json!({"schema": schema.to_string()})
}

#[tokio::test]
async fn schemas_are_registered_found_and_deleted() {
    let registry = Running::start(NOTHING).await;
    let (one, two) = (
        row(&[]),
        row(&[json!({"name": "b", "type": "int", "default": 0})]),
    );
    assert_eq!(registry.register("s", &one).await, (200, json!({"id": 1})));
    assert_eq!(registry.register("s", &two).await, (200, json!({"id": 2})));
    // Whitespace and the order of keys are not what a schema says.
    let spaced = json!({"schema": "{ \"fields\": [{\"type\": \"int\", \"name\": \"a\"}], \"name\": \"R\", \"type\": \"record\" }"});
    let again = registry.post("/subjects/s/versions", spaced.clone()).await;
    assert_eq!(again, (200, json!({"id": 1})));
    assert_eq!(
        registry.register("t%2Fu", &one).await,
        (200, json!({"id": 1}))
    );

    let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    assert_eq!(
        registry.get("/schemas/ids/1").await,
        (200, json!({"schema": text}))
    );
    let bare: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        registry.get("/schemas/ids/1/schema").await,
        (200, bare.clone())
    );
    assert_eq!(
        registry.get("/schemas/ids/1/subjects").await,
        (200, json!(["s", "t/u"]))
    );
    let versions = json!([{"subject": "s", "version": 1}, {"subject": "t/u", "version": 1}]);
    assert_eq!(
        registry.get("/schemas/ids/1/versions").await,
        (200, versions)
    );
    assert_eq!(registry.get("/schemas/types").await, (200, json!(["AVRO"])));
    assert_eq!(registry.get("/subjects").await, (200, json!(["s", "t/u"])));
    assert_eq!(
        registry.get("/subjects?subjectPrefix=t").await,
        (200, json!(["t/u"]))
    );
    assert_eq!(
        registry.get("/subjects?offset=1&limit=1").await,
        (200, json!(["t/u"]))
    );
    assert_eq!(
        registry.get("/subjects/s/versions").await,
        (200, json!([1, 2]))
    );
    let shown = json!({"subject": "s", "version": 1, "id": 1, "schema": text});
    assert_eq!(
        registry.get("/subjects/s/versions/1").await,
        (200, shown.clone())
    );
    assert_eq!(
        registry.get("/subjects/s/versions/1/schema").await,
        (200, bare)
    );
    assert_eq!(
        registry.get("/subjects/s/versions/latest").await.1["version"],
        2
    );
    assert_eq!(registry.get("/subjects/s/versions/-1").await.1["id"], 2);
    assert_eq!(
        registry.post("/subjects/s?normalize=False", spaced).await,
        (200, shown)
    );
    assert_eq!(
        registry.get("/schemas?latestOnly=true").await.1[0]["version"],
        2
    );

    assert_eq!(
        registry.delete("/subjects/s/versions/latest").await,
        (200, json!(2))
    );
    assert_eq!(
        registry.get("/subjects/s/versions").await,
        (200, json!([1]))
    );
    assert_eq!(
        registry.get("/subjects/s/versions?deleted=true").await,
        (200, json!([1, 2]))
    );
    assert_eq!(
        registry.get("/schemas/ids/2").await.0,
        200,
        "it still decodes"
    );
    assert_eq!(
        registry
            .delete("/subjects/s/versions/2?permanent=True")
            .await,
        (200, json!(2))
    );
    assert_eq!(registry.get("/schemas/ids/2").await.1["error_code"], 40403);
    assert_eq!(registry.delete("/subjects/s").await, (200, json!([1])));
    assert_eq!(registry.get("/subjects").await, (200, json!(["t/u"])));
    assert_eq!(
        registry.get("/subjects?deleted=true").await,
        (200, json!(["s", "t/u"]))
    );
    assert_eq!(
        registry.get("/subjects?deletedOnly=true").await,
        (200, json!(["s"]))
    );
    // What comes back has its id and a new version.
    assert_eq!(registry.register("s", &one).await, (200, json!({"id": 1})));
    assert_eq!(
        registry.get("/subjects/s/versions").await,
        (200, json!([2]))
    );
    assert_eq!(registry.delete("/subjects/s").await, (200, json!([2])));
    assert_eq!(
        registry.delete("/subjects/s?permanent=true").await,
        (200, json!([2]))
    );
    assert_eq!(
        registry.get("/subjects?deleted=true").await,
        (200, json!(["t/u"]))
    );
    assert_eq!(
        registry.register("s", &two).await,
        (200, json!({"id": 3})),
        "2 is never given out again"
    );
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_confluents_codes() {
    let registry = Running::start(NOTHING).await;
    registry.register("s", &row(&[])).await;
    registry
        .register(
            "s",
            &row(&[json!({"name": "b", "type": "int", "default": 0})]),
        )
        .await;
    registry.delete("/subjects/s/versions/1").await;
    let schema = |text: &str| Some(json!({"schema": text}));
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let long = format!("/subjects/{}/versions", "n".repeat(1_100));
    for (method, path, body, expected) in [
        (&get, "/subjects/x/versions", None, (404, 40401)),
        (&get, "/subjects/x/versions/1", None, (404, 40401)),
        (&get, "/subjects/s/versions/1", None, (404, 40402)),
        (&get, "/subjects/s/versions/9", None, (404, 40402)),
        (&get, "/subjects/s/versions/0", None, (422, 42202)),
        (&get, "/subjects/s/versions/new", None, (422, 42202)),
        (&get, "/schemas/ids/9", None, (404, 40403)),
        (&get, "/schemas/ids/x", None, (404, 40403)),
        (&get, "/nothing", None, (404, 404)),
        (&put, "/subjects/s", None, (415, 415)),
        (&post, "/subjects/x", schema("\"int\""), (404, 40401)),
        (&post, "/subjects/s", schema("\"int\""), (404, 40403)),
        (
            &post,
            "/subjects/s/versions",
            schema("\"strng\""),
            (422, 42201),
        ),
        (&post, "/subjects/s/versions", schema(""), (422, 42201)),
        (&post, "/subjects/s/versions", Some(json!({})), (422, 42201)),
        (
            &post,
            "/subjects/s/versions",
            Some(json!({"schema": "{}", "schemaType": "JSON"})),
            (422, 42201),
        ),
        (
            &post,
            "/subjects/s/versions",
            Some(json!({"schema": "x", "schemaType": "PROTOBUF"})),
            (422, 42201),
        ),
        (
            &post,
            "/subjects/s/versions",
            Some(json!({"schema": "\"int\"", "metadata": {"properties": {"a": "b"}}})),
            (422, 422),
        ),
        (
            &post,
            "/subjects/s/versions",
            Some(json!({"shcema": "\"int\""})),
            (422, 422),
        ),
        (
            &post,
            "/subjects/s/versions",
            Some(json!({"schema": "\"int\"", "id": 7})),
            (422, 42205),
        ),
        (&post, "/subjects/s/versions", schema("\"int\""), (409, 409)),
        (&post, &long, schema("\"int\""), (422, 42208)),
        (
            &post,
            "/subjects/:.ctx:s/versions",
            schema("\"int\""),
            (422, 42208),
        ),
        (&delete, "/subjects/x", None, (404, 40401)),
        (&delete, "/subjects/s?permanent=true", None, (404, 40405)),
        (&delete, "/subjects/s/versions/1", None, (404, 40406)),
        (
            &delete,
            "/subjects/s/versions/2?permanent=true",
            None,
            (404, 40407),
        ),
        (&get, "/config/s", None, (404, 40408)),
        (
            &put,
            "/config/s",
            Some(json!({"compatibility": "SOME"})),
            (422, 42203),
        ),
        (&put, "/config/s", Some(json!({"alias": "t"})), (422, 422)),
        (&delete, "/config/s", None, (404, 40401)),
        (&get, "/mode/s", None, (404, 40409)),
        (&put, "/mode/s", Some(json!({"mode": "SOME"})), (422, 42204)),
        (
            &put,
            "/mode/s",
            Some(json!({"mode": "IMPORT"})),
            (422, 42205),
        ),
        (
            &post,
            "/compatibility/subjects/s/versions/9",
            schema("\"int\""),
            (404, 40402),
        ),
        (
            &post,
            "/compatibility/subjects/s/versions/x",
            schema("\"int\""),
            (422, 42202),
        ),
    ] {
        let refused = registry.refused(method.clone(), path, body.clone()).await;
        assert_eq!(refused, expected, "{method} {path} {body:?}");
    }
    registry.delete("/subjects/s").await;
    assert_eq!(
        registry.refused(delete, "/subjects/s", None).await,
        (404, 40404)
    );
}

#[tokio::test]
async fn hosts_types_and_bodies_are_guarded() {
    let registry = Running::start(NOTHING).await;
    let url = |path: &str| format!("http://{}{path}", registry.address);
    let send = async |request: reqwest::RequestBuilder| {
        let answer = request.send().await.expect("the registry answers");
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap_or_default()
            .to_owned();
        (answer.status().as_u16(), kind)
    };
    let v1 = "application/vnd.schemaregistry.v1+json";
    let get = |path: &str| registry.client.get(url(path));
    let evil = get("/subjects").header("host", "evil.example");
    assert_eq!(send(evil).await, (403, v1.to_owned()));
    let evil = get("/subjects").header("origin", "http://evil.example");
    assert_eq!(send(evil).await.0, 403);
    let json = get("/subjects").header("accept", "application/json");
    assert_eq!(send(json).await, (200, "application/json".to_owned()));
    assert_eq!(
        send(get("/subjects").header("accept", "text/html")).await.0,
        406
    );
    let post = |body: String| registry.client.post(url("/subjects/s/versions")).body(body);
    let plain = post("{}".to_owned()).header("content-type", "text/plain");
    assert_eq!(send(plain).await, (415, v1.to_owned()));
    let broken = post("{".to_owned()).header("content-type", v1);
    assert_eq!(send(broken).await.0, 400);
    let deep = json!({"schema": format!("{}\"int\"{}", "[".repeat(50_000), "]".repeat(50_000))});
    assert_eq!(
        registry.post("/subjects/s/versions", deep).await.1["error_code"],
        42201
    );
    // One byte too many: the server has read nearly all of it when it refuses, so that its answer is not lost in a reset.
    let large = post(" ".repeat((2 << 20) + 1)).header("content-type", v1);
    assert_eq!(send(large).await, (413, v1.to_owned()));
}

#[tokio::test]
async fn a_level_decides_which_schemas_a_subject_takes() {
    let registry = Running::start(NOTHING).await;
    assert_eq!(
        registry.get("/config").await,
        (200, json!({"compatibilityLevel": "BACKWARD"}))
    );
    let needed = json!({"name": "b", "type": "int"});
    let optional = json!({"name": "b", "type": "int", "default": 0});
    registry.register("s", &row(&[])).await;
    let check = "/compatibility/subjects/s/versions?verbose=True";
    let latest = "/compatibility/subjects/s/versions/latest";
    let (status, refused) = registry
        .register("s", &row(std::slice::from_ref(&needed)))
        .await;
    assert_eq!(status, 409);
    let message = refused["message"].as_str().unwrap_or_default();
    let reason = "the field 'b' at path '/fields/1' in the new schema has no default value";
    assert!(
        message.contains(reason) && message.contains("BACKWARD"),
        "{message}"
    );
    let (_, answer) = registry
        .post(check, body(&row(std::slice::from_ref(&needed))))
        .await;
    assert_eq!(answer["is_compatible"], false);
    assert!(
        answer["messages"][0]
            .as_str()
            .unwrap_or_default()
            .contains(reason),
        "{answer}"
    );
    assert_eq!(
        registry
            .post(latest, body(&row(std::slice::from_ref(&optional))))
            .await,
        (200, json!({"is_compatible": true}))
    );
    assert_eq!(
        registry
            .post(
                "/compatibility/subjects/new/versions/latest",
                body(&row(&[]))
            )
            .await
            .1,
        json!({"is_compatible": true})
    );

    // By level: a needed field added, a needed field dropped, and both against the last schema but one.
    let (with, without) = (row(std::slice::from_ref(&needed)), row(&[]));
    let dropped = record(&json!([]));
    for (level, added, removed) in [
        ("NONE", true, true),
        ("BACKWARD", false, true),
        ("BACKWARD_TRANSITIVE", false, true),
        ("FORWARD", true, false),
        ("FORWARD_TRANSITIVE", true, false),
        ("FULL", false, false),
        ("FULL_TRANSITIVE", false, false),
    ] {
        let set = registry
            .put("/config/s", json!({"compatibility": level}))
            .await;
        assert_eq!(set, (200, json!({"compatibility": level})));
        for (schema, fine) in [(&with, added), (&dropped, removed), (&without, true)] {
            let (_, answer) = registry.post(check, body(schema)).await;
            assert_eq!(answer["is_compatible"], fine, "{level} {schema}: {answer}");
        }
    }
    // a, then nothing, then a again: only the transitive level sees that the first and the last disagree.
    registry
        .put("/config/s", json!({"compatibility": "BACKWARD"}))
        .await;
    assert_eq!(registry.register("s", &dropped).await.0, 200);
    let text = record(&json!([{"name": "a", "type": "string", "default": ""}]));
    assert_eq!(
        registry.post(check, body(&text)).await.1["is_compatible"],
        true
    );
    registry
        .put("/config/s", json!({"compatibility": "BACKWARD_TRANSITIVE"}))
        .await;
    assert_eq!(
        registry.post(check, body(&text)).await.1["is_compatible"],
        false
    );

    assert_eq!(
        registry.delete("/config/s").await,
        (200, json!({"compatibilityLevel": "BACKWARD_TRANSITIVE"}))
    );
    registry
        .put("/config", json!({"compatibility": "full"}))
        .await;
    assert_eq!(
        registry.get("/config/s?defaultToGlobal=true").await,
        (200, json!({"compatibilityLevel": "FULL"}))
    );
    assert_eq!(registry.delete("/config").await.0, 200);
    assert_eq!(
        registry.get("/config").await.1["compatibilityLevel"],
        "BACKWARD"
    );
}

#[tokio::test]
async fn references_bind_schemas_together() {
    let registry = Running::start(NOTHING).await;
    let address = json!({"type": "record", "name": "Address", "namespace": "x", "fields": [{"name": "zip", "type": "string"}]});
    let person = json!({"type": "record", "name": "Person", "namespace": "y", "fields": [{"name": "home", "type": "x.Address"}]});
    let refers = |version: i32| {
        let reference = json!([{"name": "x.Address", "subject": "address", "version": version}]);
        json!({"schema": person.to_string(), "schemaType": "AVRO", "references": reference})
    };
    let path = "/subjects/person/versions";
    assert_eq!(
        registry.post(path, body(&person)).await.1["error_code"],
        42201
    );
    assert_eq!(registry.post(path, refers(1)).await.1["error_code"], 42201);
    assert_eq!(
        registry.register("address", &address).await.1,
        json!({"id": 1})
    );
    assert_eq!(registry.post(path, refers(-1)).await.1, json!({"id": 2}));
    assert_eq!(registry.post(path, refers(1)).await.1, json!({"id": 2}));
    let (_, shown) = registry.get("/schemas/ids/2").await;
    assert_eq!(shown["references"], refers(1)["references"]);
    let text = r#"{"type":"record","name":"Person","namespace":"y","fields":[{"name":"home","type":"x.Address"}]}"#;
    assert_eq!(shown["schema"], text);
    let (_, resolved) = registry.get("/schemas/ids/2?format=resolved").await;
    assert!(
        resolved["schema"]
            .as_str()
            .unwrap_or_default()
            .contains("zip"),
        "{resolved}"
    );
    assert_eq!(
        registry
            .get("/subjects/address/versions/1/referencedby")
            .await
            .1,
        json!([2])
    );
    assert_eq!(
        registry
            .refused(Method::DELETE, "/subjects/address/versions/1", None)
            .await,
        (422, 42206)
    );
    assert_eq!(
        registry
            .refused(Method::DELETE, "/subjects/address", None)
            .await,
        (422, 42206)
    );
    // What a reference says counts in a comparison.
    let zip = json!({"type": "record", "name": "Address", "namespace": "x", "fields": [{"name": "zip", "type": "int"}]});
    registry
        .put("/config/address", json!({"compatibility": "NONE"}))
        .await;
    assert_eq!(registry.register("address", &zip).await.1, json!({"id": 3}));
    let (_, answer) = registry
        .post(
            "/compatibility/subjects/person/versions?verbose=true",
            refers(2),
        )
        .await;
    let messages = answer["messages"].to_string();
    assert!(
        messages.contains("home.zip") && messages.contains("TYPE_MISMATCH"),
        "{answer}"
    );
    registry.delete("/subjects/person").await;
    assert_eq!(
        registry.delete("/subjects/address").await,
        (200, json!([1, 2]))
    );
}

#[tokio::test]
async fn a_mode_decides_who_may_change_what_and_import_keeps_ids() {
    let mut registry = Running::start(NOTHING).await;
    registry.register("s", &row(&[])).await;
    assert_eq!(
        registry.get("/mode").await,
        (200, json!({"mode": "READWRITE"}))
    );
    assert_eq!(
        registry.put("/mode/s", json!({"mode": "READONLY"})).await,
        (200, json!({"mode": "READONLY"}))
    );
    let two = row(&[json!({"name": "b", "type": "int", "default": 0})]);
    assert_eq!(registry.register("s", &two).await.1["error_code"], 42205);
    assert_eq!(
        registry.refused(Method::DELETE, "/subjects/s", None).await,
        (422, 42205)
    );
    let level = Some(json!({"compatibility": "NONE"}));
    assert_eq!(
        registry.refused(Method::PUT, "/config/s", level).await,
        (422, 42205)
    );
    assert_eq!(registry.register("t", &two).await.0, 200);
    assert_eq!(
        registry.delete("/mode/s").await,
        (200, json!({"mode": "READONLY"}))
    );
    assert_eq!(registry.register("s", &two).await.0, 200);

    registry.put("/mode/copy", json!({"mode": "IMPORT"})).await;
    assert_eq!(
        registry.register("copy", &row(&[])).await.1["error_code"],
        42205,
        "an id is missing"
    );
    let with = |schema: &Value, id: i32, version: i32| json!({"schema": schema.to_string(), "id": id, "version": version});
    let path = "/subjects/copy/versions";
    let text = json!("string");
    assert_eq!(
        registry.post(path, with(&text, 700, 5)).await,
        (200, json!({"id": 700}))
    );
    assert_eq!(
        registry.post(path, with(&json!("int"), 1, 6)).await.1["error_code"],
        42205,
        "1 is another schema's"
    );
    assert_eq!(
        registry.post(path, with(&row(&[]), 1, 6)).await,
        (200, json!({"id": 1}))
    );
    assert_eq!(registry.get(path).await, (200, json!([5, 6])));

    // All of it after a SIGKILL.
    registry
        .put(
            "/config/s",
            json!({"compatibility": "FULL", "normalize": true}),
        )
        .await;
    registry.worker.kill();
    registry.restart().await;
    assert_eq!(
        registry.get("/mode/copy").await,
        (200, json!({"mode": "IMPORT"}))
    );
    assert_eq!(
        registry.get("/config/s").await,
        (
            200,
            json!({"compatibilityLevel": "FULL", "normalize": true})
        )
    );
    assert_eq!(
        registry.get("/schemas/ids/700").await,
        (200, json!({"schema": "\"string\""}))
    );
    assert_eq!(
        registry.register("u", &json!("double")).await,
        (200, json!({"id": 701}))
    );
}
