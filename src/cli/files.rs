//! Pipeline files named on the command line: read, compiled, or every problem of them in one text.

use super::{Failure, problem};
use crate::{
    pipeline::{self, Pipeline},
    plugins::Plugins,
};
use std::{fs::File, io::Read, path::Path, path::PathBuf};
use tapline_sdk::{Error, Result};

/// The pipelines of these files.
///
/// # Errors
/// Everything that is wrong with any of them.
pub(super) fn compile(files: &[PathBuf]) -> Result<Vec<Pipeline>, Failure> {
    let mut texts = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        match read(file, pipeline::FILE_BYTES_MAX) {
            Ok(text) => texts.push((file.display().to_string(), text)),
            Err(error) => problems.push(problem::of_error(&error)),
        }
    }
    match pipeline::compile_all(&texts, Plugins::builtin()) {
        Ok(pipelines) if problems.is_empty() => return Ok(pipelines),
        Ok(_) => {}
        Err(reports) => problems.extend(reports.iter().map(ToString::to_string)),
    }
    Err(Failure::Shown(problems.join("\n")))
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
