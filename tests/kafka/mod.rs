//! Kafka's own `DumpLogSegments` over files of ours: what Kafka cannot read without a complaint is not Kafka's format.
//!
//! Part of the long proofs, because it downloads 43 MB through Maven: without `TAPLINE_PROVE=1` these tests say so and
//! do nothing.

#![expect(
    clippy::print_stdout,
    reason = "a skipped comparison and its figures are shown"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};
use tapline::broker::batch::{BatchBuilder, Compression, set_base_offset};

const KAFKA: &str = "kafka-4.3.1";

/// What Kafka's tool prints where something is wrong.
const COMPLAINTS: [&str; 6] = [
    "mismatch",
    "corrupt",
    "exception",
    "isvalid: false",
    " is followed by ",
    "not found",
];

/// The folder of Kafka's jars, fetched once; `None` outside the long proofs.
fn kafka() -> Option<PathBuf> {
    if env::var_os("TAPLINE_PROVE").is_none_or(|value| value != "1") {
        println!(
            "skipped: set TAPLINE_PROVE=1 to compare with Kafka's tools, fetched through Maven"
        );
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let jars = root.join(".cache").join(KAFKA);
    let status = Command::new("mvn")
        .args(["--batch-mode", "--quiet", "-f"])
        .arg(root.join("tests/kafka/pom.xml"))
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", jars.display()))
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "Maven could not fetch Kafka's tools"
    );
    Some(jars)
}

/// Whether offsets within the files follow each other, or compaction left some out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offsets {
    Dense,
    Sparse,
}

/// Runs the tool over the files; returns what it says and what it complains about, if anything.
fn run(jars: &Path, files: &[PathBuf], offsets: Offsets) -> (String, Option<String>) {
    let files: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let output = Command::new("java")
        .args(["-Xmx256m", "-cp", &format!("{}/*", jars.display())])
        .args(["org.apache.kafka.tools.DumpLogSegments", "--deep-iteration"])
        .args(["--print-data-log", "--files", &files.join(",")])
        .output()
        .expect("java runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let wrong = |line: &&str| {
        let line = line.to_lowercase();
        // A record's line ends with its payload, which may say anything.
        let line = line.split(" payload: ").next().unwrap_or_default();
        // The tool says this of the first record of every segment that does not begin at 0, Kafka's own included.
        if line.trim_start().starts_with("-1 is followed by ") {
            return false;
        }
        // And this, under a headline, of every compacted one; but never that offsets go back.
        if offsets == Offsets::Sparse && (is_ahead(line) || line.contains("non-consecutive")) {
            return false;
        }
        COMPLAINTS.iter().any(|complaint| line.contains(complaint))
    };
    let complaint = said
        .lines()
        .chain(errors.lines())
        .find(wrong)
        .map(str::to_owned);
    let failed = (!output.status.success()).then(|| format!("{}: {errors}", output.status));
    (said, complaint.or(failed))
}

/// `3 is followed by 7`
fn is_ahead(line: &str) -> bool {
    let pair = line.trim().split_once(" is followed by ");
    let pair = pair.and_then(|(a, b)| Some((a.parse::<u64>().ok()?, b.parse::<u64>().ok()?)));
    pair.is_some_and(|(before, after)| before < after)
}

/// What the tool says, once it has nothing to complain about.
fn dump(jars: &Path, files: &[PathBuf], offsets: Offsets) -> String {
    let (said, complaint) = run(jars, files, offsets);
    assert_eq!(complaint, None, "Kafka says of {files:?}:\n{said}");
    said
}

/// The records that the tool printed.
fn records(said: &str) -> usize {
    said.lines()
        .filter(|line| line.starts_with("| offset:"))
        .count()
}

#[test]
fn kafka_reads_batches_of_every_codec_and_size() {
    let Some(jars) = kafka() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut builder = BatchBuilder::new();
    let mut segment = Vec::new();
    let mut next = 0;
    for codec in [Compression::None, Compression::Lz4, Compression::Zstd] {
        for (count, bytes) in [(1_i64, 1), (3, 0), (100, 200), (2_000, 200), (9, 700_000)] {
            for n in 0..count {
                let value = vec![b'a' + (n % 23) as u8; bytes];
                let headers = [("name", Some(b"value".as_slice())), ("none", None)];
                let headers = headers.into_iter().take(n as usize % 3);
                let value = (n % 7 != 6).then_some(value.as_slice());
                builder
                    .append(
                        Some(&n.to_be_bytes()),
                        value,
                        1_700_000_000_000 + n,
                        headers,
                    )
                    .expect("the batch is small enough");
            }
            let mut batch = builder.finish(codec).expect("there are records").to_vec();
            set_base_offset(&mut batch, next);
            next += count.cast_unsigned();
            segment.extend_from_slice(&batch);
        }
    }
    let file = folder.path().join("00000000000000000000.log");
    fs::write(&file, &segment).expect("the segment is written");
    let said = dump(&jars, &[file], Offsets::Dense);
    assert_eq!(records(&said) as u64, next);
    assert!(said.contains("compresscodec: lz4") && said.contains("compresscodec: zstd"));
    println!(
        "Kafka reads {next} records in {} bytes of batches",
        segment.len()
    );
}

#[test]
fn a_damaged_batch_is_complained_about() {
    let Some(jars) = kafka() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut builder = BatchBuilder::new();
    builder
        .append(None, Some(&[7; 200]), 1, [])
        .expect("it fits");
    let mut batch = builder
        .finish(Compression::None)
        .expect("a record")
        .to_vec();
    batch[150] ^= 1;
    let file = folder.path().join("00000000000000000000.log");
    fs::write(&file, &batch).expect("the segment is written");
    let (said, complaint) = run(&jars, &[file], Offsets::Dense);
    assert!(complaint.is_some(), "Kafka did not notice:\n{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_reads_the_logs_segments_and_indexes() {
    let Some(jars) = kafka() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = crate::broker::write_segments(folder.path()).await;
    let indexes = files
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension != "log"))
        .filter(|file| fs::metadata(file).is_ok_and(|file| file.len() > 24))
        .count();
    assert!(indexes >= 4, "only {indexes} indexes have entries");
    let said = dump(&jars, &files, Offsets::Dense);
    assert_eq!(records(&said), 2_000);
    println!(
        "Kafka reads 2000 records in {} files, {indexes} of them indexes with entries",
        files.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_reads_what_compaction_and_retention_leave() {
    let Some(jars) = kafka() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [compacted, retained] = crate::broker::write_kept(folder.path()).await;
    let said = dump(&jars, &compacted.0, Offsets::Sparse);
    assert_eq!(records(&said), compacted.1);
    // KIP-534: of a batch with tombstones the base timestamp is when they may go.
    let horizons = said.matches("deleteHorizonMs: OptionalLong[").count();
    assert!(horizons > 0, "no delete horizon:\n{said}");
    let empty = said
        .lines()
        .filter(|line| line.starts_with("baseOffset:") && line.contains(" count: 0 "))
        .count();
    let offsets: Vec<u64> = said
        .lines()
        .filter_map(|line| line.strip_prefix("| offset: ")?.split(' ').next())
        .filter_map(|offset| offset.parse().ok())
        .collect();
    let sparse = offsets.windows(2).filter(|pair| pair[0] + 1 < pair[1]);
    let sparse = sparse.count();
    assert!(sparse > 0, "no offset was left out:\n{said}");
    println!(
        "Kafka reads {} records in {} files of a compacted log: {horizons} delete horizons, {empty} empty batches, \
         {sparse} gaps",
        compacted.1,
        compacted.0.len()
    );
    let said = dump(&jars, &retained.0, Offsets::Dense);
    assert_eq!(records(&said), retained.1);
    let first = retained.0.first().and_then(|file| file.file_stem());
    assert!(first.is_some_and(|name| name != "00000000000000000000"));
    println!("Kafka reads {} records of what retention left", retained.1);
}
