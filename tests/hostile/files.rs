//! Pipeline files that somebody got wrong: good ones, damaged at random.
//!
//! Each goes through the compiler in this process. What it refuses it places and explains; what it takes is read once
//! more by another YAML reader (libyaml's) and has to mean the same, key by key; and the editors' JSON Schema has to say
//! the same as the compiler, as far as a schema can.

mod damage;
mod truth;

use super::answers::tells;
use crate::support::process::{proving, seed};
use fastrand::Rng;
use std::{
    collections::BTreeMap,
    fs, panic,
    path::Path,
    process::{Command, Stdio},
};
use tapline::{
    config::document::{Diagnostic, Report},
    pipeline::{Elsewhere, Pipeline, compile, schema},
    plugins::Plugins,
};

/// Files in the full profile and in the quick one.
const FILES: [usize; 2] = [10_000, 1_000];

/// Of these, so many go through the binary, too.
const THROUGH_THE_BINARY: [usize; 2] = [200, 20];

/// As many faults are shown.
const FAULTS_SHOWN: usize = 40;

/// Refusals that a schema cannot know of: text that is no YAML or a part of it that files do not use, keys that are given
/// twice or missing, values, placeholders, units, and what follows from other keys.
const BEYOND_A_SCHEMA: [&str; 10] = [
    "TL0102", "TL0103", "TL0104", "TL0106", "TL0108", "TL0110", "TL0111", "TL0113", "TL0114",
    "TL0116",
];

#[derive(Default)]
struct Figures {
    taken: usize,
    codes: BTreeMap<&'static str, usize>,
    without_a_key: usize,
    only_the_schema: usize,
    faults: Vec<String>,
}

#[test]
fn mutated_files_prove_to_be_refused_with_file_line_key_and_remedy() {
    let [full, quick] = FILES;
    let count = if proving() { full } else { quick };
    let seed = seed("mutated files");
    let mut random = Rng::with_seed(seed);
    let good = damage::good();
    let root = schema(Plugins::builtin());
    let validator = jsonschema::validator_for(&root).expect("the schema is one");
    let mut figures = Figures::default();
    for number in 0..count {
        let base = &good[number % good.len()];
        let text = damage::damaged(base, &mut random);
        let before = figures.faults.len();
        one(&text, &validator, &mut figures);
        for fault in &mut figures.faults[before..] {
            let start: String = text.chars().take(3_000).collect();
            *fault = format!("file {number}: {fault}\n{start}\n");
        }
    }
    let Figures {
        taken,
        codes,
        without_a_key,
        only_the_schema,
        faults,
    } = &figures;
    eprintln!(
        "{count} mutated files of {} good ones: {taken} still good and the same to another reader; problems {codes:?}, \
         {without_a_key} of them before any key; {only_the_schema} files that only the schema refuses; {} faults",
        good.len(),
        faults.len()
    );
    assert!(codes.len() > 9, "the damage is always the same: {codes:?}");
    assert!(faults.is_empty(), "seed {seed}\n{}", shown(faults));
}

fn shown(faults: &[String]) -> String {
    faults
        .iter()
        .take(FAULTS_SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

fn one(text: &str, validator: &jsonschema::Validator, figures: &mut Figures) {
    let compiled = panic::catch_unwind(|| {
        // Both views of a file: one that runs here, and one whose secrets are known elsewhere.
        let _here = compile("x.yaml", text, Plugins::builtin());
        compile("x.yaml", text, &Elsewhere(Plugins::builtin()))
    });
    let Ok(compiled) = compiled else {
        figures.faults.push("the compiler panicked".to_owned());
        return;
    };
    let read = truth::read(text);
    match &compiled {
        Ok(pipeline) => {
            figures.taken += 1;
            figures.faults.extend(taken(
                pipeline,
                &read,
                validator,
                &mut figures.only_the_schema,
            ));
        }
        Err(report) => {
            for problem in report.problems() {
                *figures.codes.entry(problem.code).or_default() += 1;
                figures.without_a_key += usize::from(problem.path.is_empty());
                figures
                    .faults
                    .extend(explained(problem, report, text).err());
            }
            if report.problems().is_empty() {
                figures.faults.push("refused without a problem".to_owned());
            }
            let beyond = |problem: &Diagnostic| BEYOND_A_SCHEMA.contains(&problem.code);
            if let Ok(read) = &read
                && validator.is_valid(read)
                && !report.problems().iter().any(beyond)
            {
                figures
                    .faults
                    .push(format!("the schema takes what is refused: {report}"));
            }
        }
    }
}

/// What is wrong with a file that was taken.
fn taken(
    pipeline: &Pipeline,
    read: &Result<serde_json::Value, String>,
    validator: &jsonschema::Validator,
    only_the_schema: &mut usize,
) -> Option<String> {
    let read = match read {
        Ok(read) => read,
        Err(error) => return Some(format!("taken, and no YAML to another reader: {error}")),
    };
    if let Err(difference) = truth::same(read, pipeline) {
        return Some(format!(
            "taken, and means something else to another reader: {difference}"
        ));
    }
    let error = validator.iter_errors(read).next()?;
    *only_the_schema += 1;
    // The differences that are meant: lists join with commas for every key, and every plain value is text; an editor
    // marks both where another kind of value is usual.
    let at = read.pointer(&error.instance_path().to_string());
    if at.is_some_and(|at| at.is_array() || at.is_number() || at.is_boolean()) {
        return None;
    }
    Some(format!(
        "taken, and refused by the schema at {}: {error}",
        error.instance_path()
    ))
}

/// Whether a refusal says where and what to do.
fn explained(problem: &Diagnostic, report: &Report, text: &str) -> Result<(), String> {
    let Diagnostic {
        code,
        message,
        place,
        path,
        help,
    } = problem;
    let fault = |what: &str| Err(format!("{what}: {problem:?}"));
    // As YAML counts them.
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = unix.lines().collect();
    let columns = place
        .line
        .checked_sub(1)
        .and_then(|at| lines.get(at))
        .map_or(0, |line| line.chars().count());
    if !(1..=lines.len() + 1).contains(&place.line) {
        return fault("no such line");
    }
    if !(1..=columns + 1).contains(&place.column) {
        return fault("no such column");
    }
    let told = format!(
        "error[{code}]: {message}  --> x.yaml:{}:{}",
        place.line, place.column
    );
    if !report.to_string().contains(&told) {
        return fault("not shown with its place");
    }
    // A problem of the text itself may come before the first key.
    if path.is_empty() && !["TL0102", "TL0103", "TL0108"].contains(code) {
        return fault("names no key");
    }
    match tells(help) {
        true => Ok(()),
        false => fault("its remedy tells nobody to do anything"),
    }
}

#[test]
fn prove_that_the_binary_answers_for_mutated_files_as_the_compiler_does() {
    let [full, quick] = THROUGH_THE_BINARY;
    let count = if proving() { full } else { quick };
    let mut random = Rng::with_seed(seed("files through the binary"));
    let folder = tempfile::tempdir().expect("a folder");
    let good = damage::good();
    let mut codes: BTreeMap<i32, usize> = BTreeMap::new();
    for number in 0..count {
        let bytes = damage::bytes(&good[number % good.len()], &mut random);
        let expected = match std::str::from_utf8(&bytes) {
            Ok(text) if bytes.len() <= 1 << 20 => {
                i32::from(compile("x.yaml", text, Plugins::builtin()).is_err())
            }
            _ => 1,
        };
        let (code, out) = validate(folder.path(), &bytes);
        let told = format!("{}\n{out}", String::from_utf8_lossy(&bytes));
        assert_eq!(code, Some(expected), "{told}");
        let findings: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        let findings = findings["findings"].as_array().expect("a list");
        assert_eq!(findings.is_empty(), expected == 0, "{told}");
        for finding in findings {
            assert_eq!(finding["file"], "x.yaml", "{told}");
            assert!(
                finding["code"]
                    .as_str()
                    .is_some_and(|code| code.starts_with("TL01")),
                "{told}"
            );
            assert!(finding["remedy"].as_str().is_some_and(tells), "{told}");
        }
        *codes.entry(expected).or_default() += 1;
    }
    eprintln!("{count} files through `tapline validate`: exit codes {codes:?}");
}

fn validate(folder: &Path, bytes: &[u8]) -> (Option<i32>, String) {
    fs::write(folder.join("x.yaml"), bytes).expect("the file is written");
    let output = Command::new(env!("CARGO_BIN_EXE_tapline"))
        .current_dir(folder)
        .args(["validate", "x.yaml", "--output", "json"])
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// The compiler's work grows with a file's size, not with its square: four times the file may cost ten times, never
/// sixteen. Processor time of this thread counts, in one run, so that a loaded machine changes nothing.
#[test]
fn the_largest_hostile_files_cost_no_more_than_their_size() {
    for (what, piece) in [
        ("keys", "  k#: v\n"),
        ("the same key", "  k: v\n"),
        ("list items", "  - v#\n"),
        ("open lists", "["),
        ("open maps", "{a: "),
        ("unknown words", "k#: v\n"),
        ("anchors", "  k#: &a v\n"),
        ("aliases", "  k#: *a\n"),
        ("secrets", "  password#: v\n"),
        ("broken placeholders", "  slot.name#: ${\n"),
        ("placeholders", "  k#: ${env:A}${X}${field}\n"),
        ("one long line", "xxxxxxxxxxxxxxxx"),
        ("quotes", "'"),
        ("dots", "a."),
        ("parts", "  p#: {connector: postgres}\n"),
        ("topics", "  t#: {partitions: 2, retention.ms: 3d}\n"),
        ("bad topics", "  t #: {partitions: x, retention.ms: y}\n"),
        ("settings of a topic", "    k#: v\n"),
        ("documents", "---\n"),
        ("comments", "# x\n"),
    ] {
        let head = match what {
            "unknown words" | "open lists" | "open maps" | "documents" | "comments" | "quotes" => {
                "version: 1\nname: x\n"
            }
            "list items" => "version: 1\nname: x\nsource:\n  table.include.list:\n",
            "parts" => "version: 1\nname: x\nsources:\n",
            "topics" | "bad topics" => "version: 1\nname: x\ntopics:\n",
            "settings of a topic" => "version: 1\nname: x\ntopics:\n  t:\n",
            _ => "version: 1\nname: x\nsource:\n  connector: postgres\n",
        };
        let cost = |bytes: usize| {
            let mut text = head.to_owned();
            for number in 0.. {
                if text.len() > bytes {
                    break;
                }
                text.push_str(&piece.replace('#', &number.to_string()));
            }
            let start = cpu();
            let compiled = compile("x.yaml", &text, &Elsewhere(Plugins::builtin()));
            let report = compiled.err().map(|report| report.to_string());
            let took = cpu() - start;
            (took, report.map_or(0, |report| report.len()))
        };
        let (small, _) = cost(30_000);
        let (large, shown) = cost(120_000);
        eprintln!(
            "{what}: {small:.3} s for 30 kB, {large:.3} s for 120 kB, {shown} bytes of report"
        );
        // Below a tenth of a second nothing hangs, and the clock's grain is in the way.
        assert!(
            large < 0.1 || large < 10.0 * small,
            "{what}: {small} s, then {large} s"
        );
        assert!(shown < 1 << 20, "{what}: a report of {shown} bytes");
    }
}

/// Seconds that this thread has had of a processor.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat
        .split(' ')
        .next()
        .and_then(|text| text.parse::<u64>().ok());
    nanoseconds.map_or(0.0, |nanoseconds| {
        std::time::Duration::from_nanos(nanoseconds).as_secs_f64()
    })
}
