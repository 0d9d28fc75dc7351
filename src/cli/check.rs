//! `tapline check FILE…`: what `validate` finds, and whether every source and target answers, lets us in and is set up.

use super::{Failure, Found, files, output::Output};
use crate::{
    config::{access::Access, placeholder},
    pipeline::{Compiled, Pipeline},
    plugins::Plugins,
    worker::Subject,
};
use futures_util::future::join_all;
use serde_json::json;
use std::{io::Write, path::PathBuf, time::Duration};
use tapline_sdk::Issue;

/// Longer than a connector's own timeouts; what is silent for so long is told as that.
const PROBE_TIME_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Pipeline files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn execute(arguments: &Arguments, out: &mut dyn Write) -> Result<Found, Failure> {
    let json = arguments.output.is_json();
    let pipelines = match files::load(&arguments.files, Plugins::builtin()) {
        Ok(pipelines) => pipelines,
        Err(found) => return found.show(json, out),
    };
    let mut found = files::Problems::default();
    for pipeline in &pipelines {
        let probed = join_all(pipeline.connectors.iter().map(probe)).await;
        let connectors = pipeline.connectors.iter();
        let connectors = connectors.map(|part| Subject::Connector(part.name.clone()));
        if !json {
            say(pipeline, &probed, out)?;
        }
        let issues = connectors
            .zip(probed)
            .flat_map(|(name, issues)| issues.into_iter().map(move |issue| (name.clone(), issue)));
        let report = pipeline.report("TL0115", issues);
        if !report.problems().is_empty() {
            found.reports.push(report);
        }
    }
    if !found.is_empty() {
        return found.show(json, out);
    }
    if json {
        super::output::write(out, &json!({"findings": []}))?;
    }
    Ok(Found::Fine)
}

fn say(pipeline: &Pipeline, probed: &[Vec<Issue>], out: &mut dyn Write) -> Result<(), Failure> {
    let warnings = files::warnings(std::slice::from_ref(pipeline));
    write!(out, "{warnings}")?;
    for (part, issues) in pipeline.connectors.iter().zip(probed) {
        let verdict = match issues.len() {
            0 => "fine".to_owned(),
            1 => "1 problem".to_owned(),
            several => format!("{several} problems"),
        };
        writeln!(out, "{}: {}: {verdict}", pipeline.file, part.name)?;
    }
    Ok(())
}

async fn probe(part: &Compiled) -> Vec<Issue> {
    let resolved = placeholder::resolve_all(&part.settings, &Access::everything())
        .and_then(|settings| Plugins::builtin().resolve(part.role, &part.class, &settings));
    let resolved = match resolved {
        Ok(resolved) => resolved,
        Err(issues) => return issues,
    };
    let probe = resolved.plugin.probe(&resolved.config);
    match tokio::time::timeout(PROBE_TIME_MAX, probe).await {
        Ok(issues) => issues,
        Err(_silent) => {
            let problem = format!("did not answer within {} s", PROBE_TIME_MAX.as_secs());
            let remedy = "check the address, and that nothing on the way drops packets";
            vec![Issue::new("", format!("the other side {problem}"), remedy)]
        }
    }
}
