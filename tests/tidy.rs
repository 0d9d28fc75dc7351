//! The rules that no compiler checks: sizes, module headers, banned words, who may import whom.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file without its tests; files aim at 100 to 250 lines.
const FILE_LINES_MAX: usize = 500;

/// Names that say nothing about what a module owns.
const NAMES_BANNED: [&str; 4] = ["utils", "common", "helpers", "manager"];

/// A lower module never imports a higher one: module, and what it must not name.
const IMPORTS_BANNED: [(&str, &[&str]); 7] = [
    (
        "src/avro",
        &[
            "crate::broker",
            "crate::source",
            "crate::sink",
            "crate::converter",
            "crate::registry",
            "crate::state",
            "crate::worker",
            "crate::rest",
            "crate::cli",
            "crate::pipeline",
        ],
    ),
    (
        "src/broker",
        &[
            "crate::source",
            "crate::sink",
            "crate::converter",
            "crate::registry",
            "crate::state",
            "crate::worker",
            "crate::rest",
            "crate::cli",
            "crate::pipeline",
        ],
    ),
    (
        "src/state",
        &[
            "crate::source",
            "crate::sink",
            "crate::worker",
            "crate::rest",
            "crate::cli",
            "crate::pipeline",
        ],
    ),
    (
        "src/converter",
        &[
            "crate::source",
            "crate::sink",
            "crate::worker",
            "crate::rest",
            "crate::cli",
            "crate::pipeline",
        ],
    ),
    (
        "src/registry",
        &[
            "crate::source",
            "crate::sink",
            "crate::worker",
            "crate::cli",
            "crate::pipeline",
        ],
    ),
    (
        "src/transform",
        &[
            "crate::source",
            "crate::sink",
            "crate::broker",
            "crate::worker",
            "crate::rest",
            "crate::cli",
        ],
    ),
    ("src/rest", &["crate::cli", "crate::pipeline"]),
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["src", "connectors", "tests"]
        .map(|folder| root.join(folder))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)
            .expect("a source folder can be read")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(root)
                    .expect("below the root")
                    .display()
                    .to_string();
                found.push((
                    name,
                    fs::read_to_string(&path).expect("a source file is text"),
                ));
            }
        }
    }
    found.sort();
    assert!(found.len() > 10, "the source tree was not found");
    found
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/") || name.ends_with("/tests.rs") || name.contains("/tests/")
}

#[test]
fn files_stay_short() {
    let long = sources()
        .into_iter()
        .filter(|(name, _)| !is_test(name))
        .filter_map(|(name, text)| {
            let lines = text
                .lines()
                .take_while(|line| !line.starts_with("#[cfg(test)]"))
                .count();
            (lines > FILE_LINES_MAX).then(|| format!("{name}: {lines} lines"))
        });
    assert_eq!(
        long.collect::<Vec<_>>(),
        Vec::<String>::new(),
        "split these files"
    );
}

#[test]
fn every_module_says_what_it_owns() {
    let silent = sources()
        .into_iter()
        .filter(|(name, _)| !name.ends_with("/tests.rs"));
    let silent = silent
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(name, _)| name);
    assert_eq!(
        silent.collect::<Vec<_>>(),
        Vec::<String>::new(),
        "open these with //!"
    );
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    let vague = sources().into_iter().map(|(name, _)| name).filter(|name| {
        name.split(['/', '.'])
            .any(|part| NAMES_BANNED.contains(&part))
    });
    assert_eq!(
        vague.collect::<Vec<_>>(),
        Vec::<String>::new(),
        "name these after what they own"
    );
}

#[test]
fn no_module_imports_upward() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        for (folder, banned) in IMPORTS_BANNED {
            let inside = name.starts_with(&format!("{folder}/")) || name == format!("{folder}.rs");
            for import in banned
                .iter()
                .filter(|import| inside && text.contains(**import))
            {
                wrong.push(format!("{name} imports {import}"));
            }
        }
        let connector = name.starts_with("connectors/") && !name.starts_with("connectors/sdk/");
        let plugins = name == "src/plugins.rs" || is_test(&name);
        if !connector
            && !plugins
            && ["tapline_postgres", "tapline_sql", "tapline_file"]
                .iter()
                .any(|c| text.contains(&format!("{c}::")))
        {
            wrong.push(format!(
                "{name} imports from a connector crate; only src/plugins.rs may"
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_connector_depends_on_the_sdk_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors");
    for entry in fs::read_dir(root)
        .expect("connectors can be listed")
        .flatten()
    {
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml"))
            .expect("a connector has a manifest");
        let ours = manifest
            .lines()
            .filter(|line| line.starts_with("tapline"))
            .collect::<Vec<_>>();
        let allowed = |line: &&&str| line.starts_with("tapline-sdk");
        assert_eq!(
            ours.iter().filter(allowed).count(),
            ours.len(),
            "{}",
            entry.path().display()
        );
    }
}
