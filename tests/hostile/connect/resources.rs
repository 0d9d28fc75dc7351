//! Offsets, and what Kafka Connect does not have: pipelines, tables read again, topics. And bodies damaged at random.

use super::{creation, entries, pick, pipeline};
use crate::hostile::{
    bodies,
    case::{Case, Request, Server::Connect},
    oracle,
    world::World,
};
use fastrand::Rng;
use serde_json::{Value, json};

pub(super) fn offsets(random: &mut Rng, world: &World) -> Case {
    let bodies: [(&str, Value, &[&str]); 12] = [
        ("halted", json!({}), &["offsets"]),
        ("halted", json!({"offsets": []}), &["offsets"]),
        ("halted", json!({"offsets": {}}), &["offsets"]),
        ("halted", json!({"offsets": [1]}), &["entry"]),
        (
            "halted",
            json!({"offsets": [{"offset": {"position": 1}}]}),
            &["partition"],
        ),
        (
            "halted",
            json!({"offsets": [{"partition": {"filename": []}, "offset": null}]}),
            &["filename"],
        ),
        (
            "halted",
            json!({"offsets": [{"partition": {"filename": "f"}, "offset": {"position": -1}}]}),
            &["position"],
        ),
        (
            "halted",
            json!({"offsets": [{"partition": {"filename": "f"}, "offset": {"position": "7"}}]}),
            &["position"],
        ),
        (
            "still",
            json!({"offsets": [{"partition": {"kafka_topic": "lines"}}]}),
            &["kafka_partition"],
        ),
        (
            "still",
            json!({"offsets": [{"partition": {"kafka_topic": "none", "kafka_partition": 0}}]}),
            &["none"],
        ),
        (
            "still",
            json!({"offsets": [{"partition": {"kafka_topic": "lines", "kafka_partition": 0}, "offset": {"kafka_offset": "x"}}]}),
            &["x", "offset"],
        ),
        ("in", entries(world), &["/connectors/in/stop"]),
    ];
    let (name, body, words) = pick(random, &bodies.each_ref());
    let target = format!("/connectors/{name}/offsets");
    Request::json(Connect, "PATCH", &target, body.to_string()).refused("offsets", words)
}

pub(super) fn pipelines(random: &mut Rng, world: &World) -> Case {
    let mut one = pipeline(world);
    let topics = |topics: Value| {
        let pipeline = json!({"name": "p", "connectors": [], "topics": topics});
        json!({"pipelines": [pipeline], "dry_run": true})
    };
    let bodies: [(Value, &[&str]); 16] = [
        (topics(json!({})), &["line 1 column"]),
        (topics(json!([{"partitions": 1}])), &["name"]),
        (
            topics(json!([{"name": "a", "partitions": "many"}])),
            &["line 1 column"],
        ),
        (
            topics(json!([{"name": "a", "config": {"retention.ms": "soon"}}])),
            &["topic a", "retention.ms"],
        ),
        (
            topics(json!([{"name": "a"}, {"name": "a"}])),
            &["topic a is given twice"],
        ),
        (
            topics(json!([{"name": "lines", "partitions": 77}])),
            &["topic lines", "partitions"],
        ),
        (topics(json!([{"name": "_schemas"}])), &["_schemas"]),
        (json!({}), &["pipelines"]),
        (json!({"pipelines": {}}), &["line 1 column"]),
        (json!({"pipelines": [{"name": "p"}]}), &["connectors"]),
        (
            json!({"pipelines": [{"name": "", "connectors": []}]}),
            &["pipeline name"],
        ),
        (json!({"pipelines": [one, one]}), &["p.source"]),
        (
            json!({"pipelines": [{"name": "q", "connectors": one["connectors"]}]}),
            &["p.source"],
        ),
        (
            json!({"pipelines": [one], "prune": "yes"}),
            &["line 1 column"],
        ),
        (json!({"pipelines": [one], "dryrun": true}), &["dryrun"]),
        (
            {
                one["connectors"][0]["config"]["topik"] = json!("t");
                json!({"pipelines": [one], "dry_run": true})
            },
            &["topik"],
        ),
    ];
    let (body, words) = pick(random, &bodies.each_ref());
    let target = "/tapline/v1/pipelines";
    Request::json(Connect, "POST", target, body.to_string()).refused("pipelines", words)
}

/// What Kafka Connect does not have.
pub(super) fn ours(random: &mut Rng, world: &World) -> Case {
    let known = json!({"offsets": [{"partition": {}}]});
    let cases: [(&str, &str, Value, &[&str]); 8] = [
        ("POST", "out/resnapshot", json!({}), &["out"]),
        ("POST", "nobody/resnapshot", json!({}), &["nobody"]),
        (
            "POST",
            "in/resnapshot",
            json!({"tables": "a"}),
            &["line 1 column"],
        ),
        (
            "POST",
            "in/resnapshot",
            json!({"tables": [1]}),
            &["line 1 column"],
        ),
        ("POST", "in/resnapshot", json!({"tabels": []}), &["tabels"]),
        (
            "POST",
            "in/resnapshot",
            json!({"tables": ["public.none"]}),
            &["public.none"],
        ),
        ("PATCH", "nobody/offsets", entries(world), &["nobody"]),
        ("PATCH", "out/offsets", known, &["kafka_topic"]),
    ];
    let (method, rest, body, words) = pick(random, &cases.each_ref());
    let target = format!("/tapline/v1/connectors/{rest}");
    Request::json(Connect, method, &target, body.to_string()).refused("ours", words)
}

/// Topics that are made, altered and deleted.
pub(super) fn topics(random: &mut Rng, _: &World) -> Case {
    let cases: [(&str, &str, Value, &[&str]); 15] = [
        ("POST", "", json!({}), &["name"]),
        ("POST", "", json!({"name": 1}), &["name"]),
        ("POST", "", json!({"name": "a b"}), &["a b"]),
        ("POST", "", json!({"name": ".."}), &[".."]),
        ("POST", "", json!({"name": "x".repeat(250)}), &["249"]),
        ("POST", "", json!({"name": "lines"}), &["lines"]),
        (
            "POST",
            "",
            json!({"name": "connect-configs"}),
            &["connect-configs"],
        ),
        (
            "POST",
            "",
            json!({"name": "new", "partitions": 0}),
            &["partitions"],
        ),
        (
            "POST",
            "",
            json!({"name": "new", "partitions": "many"}),
            &["partitions"],
        ),
        (
            "POST",
            "",
            json!({"name": "new", "partitions": 4_000_000_000_u32}),
            &["partitions"],
        ),
        (
            "POST",
            "",
            json!({"name": "new", "config": {"cleanup.policy": "keep"}}),
            &["cleanup.policy"],
        ),
        (
            "POST",
            "",
            json!({"name": "new", "config": {"retention.msx": 1}}),
            &["retention.msx"],
        ),
        (
            "PATCH",
            "/lines",
            json!({"config": {"retention.ms": "soon"}}),
            &["retention.ms"],
        ),
        ("PATCH", "/lines", json!({"config": []}), &["config"]),
        (
            "PATCH",
            "/nothing",
            json!({"config": {"retention.ms": "1"}}),
            &["nothing"],
        ),
    ];
    let (method, rest, body, words) = pick(random, &cases.each_ref());
    if random.u8(0..6) == 0 {
        let target = "/tapline/v1/topics/lines";
        return Request::bare(Connect, "DELETE", target).refused("topics", &["in, out"]);
    }
    let target = format!("/tapline/v1/topics{rest}");
    Request::json(Connect, method, &target, body.to_string()).refused("topics", words)
}

/// Some bytes of a good body are others: whether it is still good, the oracle says.
pub(super) fn damaged(random: &mut Rng, world: &World) -> Case {
    match random.u8(0..3) {
        0 => {
            let body = bodies::damaged(&creation(random, world), random);
            let expect = oracle::create(&body);
            Request::json(Connect, "POST", "/connectors", body).expecting("damaged bytes", expect)
        }
        1 => {
            let body = bodies::damaged(&world.config("halted"), random);
            let expect = oracle::configure(&body, "halted");
            Request::json(Connect, "PUT", "/connectors/halted/config", body)
                .expecting("damaged bytes", expect)
        }
        _ => {
            let body = bodies::damaged(&entries(world), random);
            let expect = oracle::offsets(&body);
            Request::json(Connect, "PATCH", "/connectors/halted/offsets", body)
                .expecting("damaged bytes", expect)
        }
    }
}
