//! The Grafana dashboard asks only for what a worker exports, and a pipeline that runs fills every panel.

use super::prometheus::Prometheus;
use crate::support::wait::{DEADLINE, within};
use serde_json::Value;
use std::collections::BTreeSet;

const DASHBOARD: &str = include_str!("../../config/grafana/tapline.json");

/// A panel's title and its query, Grafana's variables filled in.
struct Query {
    panel: String,
    expr: String,
}

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).expect("the dashboard is JSON")
}

fn queries() -> Vec<Query> {
    let dashboard = dashboard();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expr = target["expr"].as_str().expect("an expression");
            found.push(Query {
                panel: panel["title"].as_str().unwrap_or_default().to_owned(),
                expr: filled_in(expr),
            });
        }
    }
    assert!(found.len() > 30, "{} queries", found.len());
    found
}

fn filled_in(expr: &str) -> String {
    let expr = expr.replace("$__rate_interval", "1m");
    let expr = ["$job", "$instance", "$connector"]
        .iter()
        .fold(expr, |expr, variable| expr.replace(variable, ".+"));
    assert!(!expr.contains('$'), "an unknown variable in {expr}");
    expr
}

/// The metrics that an expression names.
fn metrics(expr: &str) -> Vec<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    expr.split(|c| !word(c))
        .filter(|word| word.starts_with("tapline_") || word.starts_with("kafka_connect_"))
        .collect()
}

/// Every query names metrics of this page, is taken by Prometheus, and gives data.
pub async fn shows(prometheus: &Prometheus, page: &str) {
    let exported: BTreeSet<&str> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let mut empty = Vec::new();
    for Query { panel, expr } in queries() {
        let named = metrics(&expr);
        assert!(!named.is_empty(), "{panel}: {expr} names no metric");
        for metric in named {
            assert!(
                exported.contains(metric),
                "{panel}: {metric} does not exist"
            );
        }
        // Rates need two scrapes.
        let data = within(DEADLINE, async || {
            (!prometheus.query(&expr).await.is_empty()).then_some(())
        });
        if data.await.is_none() {
            empty.push(format!("{panel}: {expr}"));
        }
    }
    assert_eq!(empty, Vec::<String>::new(), "panels without data");
}

#[test]
fn panels_have_titles_and_do_not_overlap_and_variables_are_those_of_the_queries() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut cells = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap_or_default();
        assert_ne!(title, "");
        assert!(ids.insert(panel["id"].as_u64()), "{title}: its id is taken");
        let at = |key: &str| panel["gridPos"][key].as_u64().expect("a place");
        assert!(at("x") + at("w") <= 24, "{title} is too wide");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{title} covers another panel");
            }
        }
    }
    let variables = dashboard["templating"]["list"]
        .as_array()
        .expect("variables");
    let names: Vec<&str> = variables
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["datasource", "job", "instance", "connector"]);
    drop(queries());
}
