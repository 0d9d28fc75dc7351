use super::*;
use crate::worker::ConnectorKind;
use tapline_sdk::{Config, Connector, Error, Key, Position, Result, SourceContext};

const HOST: Key<String> = Key::required("host", "Connection", "where the server is");
const PORT: Key<u16> = Key::required("port", "Connection", "its port").or("1");

struct Pump;

impl Connector for Pump {
    const INFO: Info = Info {
        class: "io.example.Pump",
        short: "pump",
        version: "1",
        keys: &[HOST.definition, PORT.definition],
        aliases: &[Alias {
            class: "com.other.Pump",
            defaults: &[("port", "7")],
            renames: &[("server", "host")],
            keys: &[],
            required: &[],
            connects: None,
        }],
        inert: &["heap.size"],
        refused: &[("signals.*", "wait for them")],
    };
    fn validate(config: &Config) -> Vec<Issue> {
        match config.text("host") {
            Some("bad") => vec![Issue::new("host", "is bad", "use a good one")],
            _ => Vec::new(),
        }
    }
    async fn probe(_: &Config) -> Vec<Issue> {
        Vec::new()
    }
    fn task_configs(config: &Config, _: u32) -> Vec<BTreeMap<String, String>> {
        vec![config.settings().clone()]
    }
    async fn connect(_: Config) -> Result<Self> {
        Ok(Self)
    }
    async fn alter_offsets(_: &Config, _: &[(Position, Option<Position>)]) -> Result<bool> {
        Ok(false)
    }
    async fn purge(_: &Config) -> Result<()> {
        Ok(())
    }
}

impl Source for Pump {
    async fn run(self, _: SourceContext) -> Result<(), Error> {
        Ok(())
    }
}

fn resolved(
    class: &str,
    pairs: &[(&str, &str)],
) -> Result<Resolved, Vec<(String, String, String)>> {
    let settings = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Plugins::default()
        .with_source::<Pump>()
        .resolve(ConnectorKind::Source, class, &settings)
        .map_err(|issues| {
            let parts = |issue: Issue| (issue.key, issue.problem, issue.remedy);
            issues.into_iter().map(parts).collect()
        })
}

fn keys_refused(class: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    match resolved(class, pairs) {
        Ok(_) => Vec::new(),
        Err(issues) => issues.into_iter().map(|(key, ..)| key).collect(),
    }
}

#[test]
fn an_alias_brings_its_names_and_defaults_and_our_class_does_not() {
    let theirs = resolved("com.other.Pump", &[("server", "db")]).expect("valid");
    assert_eq!(theirs.class, "io.example.Pump");
    assert_eq!(theirs.config.text("host"), Some("db"));
    assert_eq!(theirs.config.text("port"), Some("7"));
    let ours = resolved("pump", &[("host", "db")]).expect("valid");
    assert_eq!(ours.config.text("port"), None);
    assert_eq!(
        keys_refused("pump", &[("server", "db")]),
        ["server", "host"]
    );
}

#[test]
fn issues_name_keys_as_they_were_written() {
    assert_eq!(
        keys_refused("com.other.Pump", &[("server", "bad")]),
        ["server"]
    );
    let both = [("server", "a"), ("host", "b")];
    assert_eq!(keys_refused("com.other.Pump", &both), ["server"]);
}

#[test]
fn inert_keys_warn_refused_keys_say_what_to_do_unknown_keys_name_the_nearest() {
    let warned = resolved("pump", &[("host", "db"), ("heap.size", "1")]).expect("valid");
    assert_eq!(warned.warnings.len(), 1, "{:?}", warned.warnings);
    let Err(issues) = resolved(
        "pump",
        &[
            ("host", "db"),
            ("porte", "1"),
            ("task.max", "1"),
            ("signals.x", "1"),
        ],
    ) else {
        unreachable!("it is refused")
    };
    assert_eq!(issues[0].2, "did you mean port?");
    assert_eq!(issues[1].2, "did you mean tasks.max?");
    assert_eq!(issues[2].2, "wait for them");
}

#[test]
fn every_problem_of_the_runtimes_keys_is_named_at_once() {
    let pairs = [
        ("host", "db"),
        ("tasks.max", "0"),
        ("topics", "a"),
        ("errors.tolerance", "all"),
        (
            "value.converter",
            "org.apache.kafka.connect.json.JsonnConverter",
        ),
        ("producer.override.acks", "1"),
        ("compression.type", "gzip"),
        ("transforms", "x"),
        ("connector.class", "other"),
    ];
    let mut keys = keys_refused("pump", &pairs);
    keys.sort();
    assert_eq!(
        keys,
        [
            "compression.type",
            "connector.class",
            "errors.tolerance",
            "producer.override.acks",
            "tasks.max",
            "topics",
            "transforms.x.type",
            "value.converter",
        ]
    );
}

#[test]
fn a_class_of_the_other_kind_or_a_mistyped_one_is_named() {
    let plugins = Plugins::default().with_source::<Pump>();
    let problem = |kind, class| match plugins.resolve(kind, class, &BTreeMap::new()) {
        Ok(_) => unreachable!("it is refused"),
        Err(issues) => format!("{} {}", issues[0].problem, issues[0].remedy),
    };
    assert!(problem(ConnectorKind::Sink, "pump").contains("is a source connector"));
    assert!(problem(ConnectorKind::Source, "pomp").contains("did you mean pump?"));
}
