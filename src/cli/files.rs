//! Pipeline files named on the command line: read, compiled, or every problem of them in one text.

use super::{Failure, output, problem};
use crate::{
    config::document::Report,
    pipeline::{self, Catalogue, Pipeline},
    worker::Refusal,
};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    path::PathBuf,
};
use tapline_sdk::{Error, Result};

/// Everything that is wrong with some files.
#[derive(Default)]
pub(super) struct Problems {
    /// Files that cannot be read.
    pub(super) unreadable: Vec<(PathBuf, Error)>,
    /// Problems inside files.
    pub(super) reports: Vec<Report>,
}

impl Problems {
    pub(super) fn is_empty(&self) -> bool {
        self.unreadable.is_empty() && self.reports.is_empty()
    }

    /// For people: on stderr. For programs: `{"findings": […]}` on stdout. Either way the command has failed.
    pub(super) fn show<T>(&self, json: bool, out: &mut dyn Write) -> Result<T, Failure> {
        if json {
            output::write(out, &json!({"findings": self.findings()}))?;
            return Err(Failure::Told);
        }
        Err(Failure::Shown(self.text()))
    }

    fn text(&self) -> String {
        let unreadable = self.unreadable.iter();
        let unreadable = unreadable.map(|(_, error)| problem::of_error(error));
        let reports = self.reports.iter().map(ToString::to_string);
        unreadable.chain(reports).collect::<Vec<_>>().join("\n")
    }

    fn findings(&self) -> Vec<Value> {
        let unreadable = self.unreadable.iter().map(|(file, error)| {
            json!({
                "code": error.code,
                "file": file.display().to_string(),
                "line": 0,
                "column": 0,
                "key": "",
                "message": error.chain(),
                "remedy": error.remedy,
            })
        });
        let inside = self.reports.iter().flat_map(|report| {
            report.problems().iter().map(|problem| {
                json!({
                    "code": problem.code,
                    "file": report.file(),
                    "line": problem.place.line,
                    "column": problem.place.column,
                    "key": problem.path,
                    "message": problem.message,
                    "remedy": problem.help,
                })
            })
        });
        unreadable.chain(inside).collect()
    }
}

/// The pipelines of these files, for whoever runs the connectors.
///
/// # Errors
/// Everything that is wrong with any of them.
pub(super) fn compile(
    files: &[PathBuf],
    catalogue: &dyn Catalogue,
) -> Result<Vec<Pipeline>, Failure> {
    load(files, catalogue).map_err(|found| Failure::Shown(found.text()))
}

/// As [`compile`], with what is wrong one by one.
///
/// # Errors
/// Everything that is wrong with any of them.
pub(super) fn load(
    files: &[PathBuf],
    catalogue: &dyn Catalogue,
) -> Result<Vec<Pipeline>, Problems> {
    let mut texts = Vec::new();
    let mut found = Problems::default();
    for file in files {
        match read(file, pipeline::FILE_BYTES_MAX) {
            Ok(text) => texts.push((file.display().to_string(), text)),
            Err(error) => found.unreadable.push((file.clone(), error)),
        }
    }
    match pipeline::compile_all(&texts, catalogue) {
        Ok(pipelines) if found.is_empty() => return Ok(pipelines),
        Ok(_) => {}
        Err(reports) => found.reports = reports,
    }
    Err(found)
}

/// A text file of bounded size.
///
/// # Errors
/// It cannot be read, is too large or is not UTF-8.
pub(super) fn read(file: &Path, bytes_max: usize) -> Result<String> {
    let unreadable = |why: &str| {
        Error::config(format!("cannot read {}: {why}", file.display()))
            .code("TL0101")
            .remedy("check the path and its permissions")
    };
    let limit = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| unreadable(&error.to_string()))?;
    if bytes.len() > bytes_max {
        return Err(unreadable(&format!("it is larger than {bytes_max} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text"))
}

/// What the files hold that was accepted and means nothing.
pub(super) fn warnings(pipelines: &[Pipeline]) -> String {
    let mut text = String::new();
    for pipeline in pipelines {
        for part in &pipeline.connectors {
            let place = format!("{}:{}  {}", pipeline.file, part.place.line, part.path);
            for warning in &part.warnings {
                text.push_str(&problem::warning(warning, &place));
            }
        }
    }
    text
}

/// What a worker refused, each at the line of its key.
pub(super) fn refused(pipelines: &[Pipeline], refusals: &[Refusal]) -> Failure {
    let found = |refusal: &Refusal| (refusal.subject.clone(), refusal.issue.clone());
    let reports = pipelines.iter();
    let reports = reports.map(|one| one.report("TL0110", refusals.iter().map(found)));
    let told = reports.filter(|report| !report.problems().is_empty());
    let told: Vec<String> = told.map(|report| report.to_string()).collect();
    Failure::Shown(told.join("\n"))
}
