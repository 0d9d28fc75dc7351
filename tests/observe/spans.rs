//! Whose a line is must survive every thread and task that a connector has made for itself.

use std::{fs, path::Path};

/// What carries a span over.
const CARRIED: [&str; 3] = ["in_current_span()", "instrument(", "in_scope("];

/// What begins something that has no span of its own.
const BEGUN: [&str; 3] = ["spawn(", "spawn_blocking(", "thread::spawn"];

/// Code that runs for tasks.
const FOR_TASKS: [&str; 7] = [
    "src/source",
    "src/sink",
    "src/task",
    "src/worker/running.rs",
    "connectors/file/src",
    "connectors/postgres/src",
    "connectors/sql/src",
];

fn files(path: &Path, found: &mut Vec<(String, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder").flatten() {
            files(&entry.path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = fs::read_to_string(path).expect("a source file");
        found.push((path.display().to_string(), text));
    }
}

#[test]
fn whatever_a_task_spawns_keeps_its_span() {
    let mut found = Vec::new();
    for place in FOR_TASKS {
        files(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(place),
            &mut found,
        );
    }
    let (mut spawns, mut bare) = (0, Vec::new());
    for (file, text) in found.iter().filter(|(file, _)| !file.contains("test")) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let is_code = !line.trim_start().starts_with("//");
            if is_code && BEGUN.iter().any(|begin| line.contains(begin)) {
                spawns += 1;
                if !CARRIED.iter().any(|carry| line.contains(carry)) {
                    bare.push(format!("{file}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(spawns >= 8, "the sources were not found");
    assert!(
        bare.is_empty(),
        "these lose their connector and task in the log: use in_current_span()\n{}",
        bare.join("\n")
    );
}
