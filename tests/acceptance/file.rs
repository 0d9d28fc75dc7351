//! The file pair through the real binary: a copy equal under kills, offsets read and changed, memory and speed.

mod kills;
mod offsets;
mod volume;

use crate::support::{wait, worker::Worker};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A class family: source, sink.
const OURS: (&str, &str) = ("io.tapline.file.FileSource", "file");
const KAFKAS: (&str, &str) = (
    "org.apache.kafka.connect.file.FileStreamSourceConnector",
    "FileStreamSink",
);

/// A worker that copies `in-N.txt` to `out-N.txt`, one pair per class family.
struct Copies {
    folder: TempDir,
    worker: Worker,
}

impl Copies {
    fn new(families: &[(&str, &str)], more_source: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let pipeline = pipeline(folder.path(), families, more_source);
        let binary = Path::new(env!("CARGO_BIN_EXE_tapline"));
        let worker = Worker::new(binary, folder.path(), &pipeline);
        Self { folder, worker }
    }

    fn source(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("in-{number}.txt"))
    }

    fn target(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("out-{number}.txt"))
    }

    fn append(&self, number: usize, bytes: &[u8]) {
        let file = File::options()
            .create(true)
            .append(true)
            .open(self.source(number));
        file.and_then(|mut file| file.write_all(bytes))
            .expect("the source file can be written");
    }

    /// How much has arrived.
    fn arrived(&self, number: usize) -> u64 {
        fs::metadata(self.target(number)).map_or(0, |metadata| metadata.len())
    }

    /// Waits until so much has arrived, and compares every byte.
    async fn until_equal(&self, number: usize) {
        let expected = fs::read(self.source(number)).expect("the source file can be read");
        let size = expected.len() as u64;
        let arrived = wait::while_moving(async || match self.arrived(number) {
            arrived if arrived >= size => wait::Look::Found(()),
            arrived => wait::Look::At(arrived),
        });
        assert!(
            arrived.await.is_some(),
            "{} of {size} bytes arrived\n{}",
            self.arrived(number),
            self.worker.log()
        );
        let found = fs::read(self.target(number)).expect("the target file can be read");
        let same = expected
            .iter()
            .zip(&found)
            .take_while(|(a, b)| a == b)
            .count();
        assert!(
            expected == found,
            "pair {number} differs from byte {same} on: {} bytes against {}",
            found.len(),
            expected.len()
        );
    }
}

fn pipeline(folder: &Path, families: &[(&str, &str)], more_source: &str) -> String {
    let (mut sources, mut sinks) = (String::new(), String::new());
    for (number, (source, sink)) in families.iter().enumerate() {
        let file = |name: &str| {
            folder
                .join(format!("{name}-{number}.txt"))
                .display()
                .to_string()
        };
        sources.push_str(&format!(
            "  in{number}:\n    connector: {source}\n    file: {}\n    topic: lines-{number}\n{more_source}",
            file("in")
        ));
        sinks.push_str(&format!(
            "  out{number}:\n    connector: {sink}\n    file: {}\n    from: {{topics: [lines-{number}]}}\n",
            file("out")
        ));
    }
    format!("version: 1\nname: copy\nsources:\n{sources}sinks:\n{sinks}")
}
