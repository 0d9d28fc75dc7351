//! The source: Kafka's FileStreamSource, exactly once into the log.
//!
//! Owns the loop. Lines and the position after them are one batch (I1); a start goes on at the position that the log
//! has, so a line that is in the log is never read again and one that is not, is.

use crate::{
    keys::{
        LINE_BYTES_LEAST, LINE_BYTES_MAX, LINE_BYTES_MOST, SOURCE_FILE, SOURCE_INFO, SourceSettings,
    },
    offset::{self, Offset},
    reader::{Reader, Step, Waiting},
    threads::blocking,
};
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    path::{Path, PathBuf},
    time::Duration,
};
use tapline_sdk::{
    BoxFuture, Config, Connector, Error, Info, Issue, Output, Position, Source, SourceBatch,
    SourceContext,
};

/// Between two looks at a file that has nothing new: ten looks a second cost nothing that shows, and nobody notices
/// the delay.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads a file line by line and waits for more.
pub struct FileSource {
    settings: SourceSettings,
}

impl Connector for FileSource {
    const INFO: Info = SOURCE_INFO;

    fn validate(config: &Config) -> Vec<Issue> {
        let mut issues = Vec::new();
        if config.find(&SOURCE_FILE).ok().flatten().is_none() {
            issues.push(Issue::new(
                SOURCE_FILE.name(),
                "is required: a service has no standard input that could be read again after a restart",
                "set file to the path of the file to read",
            ));
        }
        let limits = LINE_BYTES_LEAST..=LINE_BYTES_MOST;
        if config
            .get(&LINE_BYTES_MAX)
            .is_ok_and(|max| !limits.contains(&max))
        {
            issues.push(Issue::new(
                LINE_BYTES_MAX.name(),
                format!("is not from {LINE_BYTES_LEAST} to {LINE_BYTES_MOST}"),
                "set it to the longest line that one record is to hold",
            ));
        }
        issues
    }

    fn files(config: &Config) -> Vec<(&'static str, PathBuf)> {
        let file = config.find(&SOURCE_FILE).ok().flatten();
        let named = |file| (SOURCE_FILE.name(), PathBuf::from(file));
        file.map(named).into_iter().collect()
    }

    async fn probe(config: &Config) -> Vec<Issue> {
        let file = config.find(&SOURCE_FILE).ok().flatten();
        let problem = file.and_then(|file| match std::fs::metadata(Path::new(&file)) {
            Ok(metadata) if metadata.is_file() => {
                let opened = config
                    .files()
                    .open(OpenOptions::new().read(true), Path::new(&file));
                opened.err().map(|e| e.to_string())
            }
            Ok(_) => Some("it is not a regular file".to_owned()),
            // It is waited for.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(error.to_string()),
        });
        let issue = |why| {
            Issue::new(
                "file",
                format!("cannot be read: {why}"),
                "name a file that the worker may read",
            )
        };
        problem.map(issue).into_iter().collect()
    }

    fn task_configs(config: &Config, _: u32) -> Vec<BTreeMap<String, String>> {
        // One file is read by one task.
        vec![config.settings().clone()]
    }

    async fn connect(config: Config) -> Result<Self, Error> {
        let settings = SourceSettings::parse(&config)?;
        Ok(Self { settings })
    }

    async fn alter_offsets(
        config: &Config,
        to: &[(Position, Option<Position>)],
    ) -> Result<bool, Error> {
        if config.find(&SOURCE_FILE)?.is_none() {
            return Err(offset::untracked());
        }
        offset::check(to)?;
        Ok(true)
    }

    async fn purge(_: &Config) -> Result<(), Error> {
        // Nothing is left behind in the file.
        Ok(())
    }
}

impl Source for FileSource {
    async fn run(self, context: SourceContext) -> Result<(), Error> {
        let SourceContext {
            mut output,
            committed,
            mut stop,
            progress,
        } = context;
        let partition = offset::partition(&self.settings.file);
        let stored = committed.resume_at(&partition);
        let offset = stored
            .as_ref()
            .map(Offset::read)
            .transpose()?
            .unwrap_or_default();
        let mut reader = Reader::new(&self.settings, offset.position);
        let mut waiting: Option<Waiting> = None;
        loop {
            let step = tokio::select! {
                biased;
                // 1. A step at hand ends by itself; what it read is read again.
                () = &mut stop => return Ok(()),
                // 2. Disks may block: on a thread of its own.
                step = blocking(move || { let step = reader.step(); (reader, step) }) => step,
            };
            let (back, step) = step.map_err(gone)?;
            reader = back;
            let sent = match step? {
                Step::Batch(rows, position) => {
                    if waiting.take().is_some() || position == 0 {
                        progress.phase("reading");
                    }
                    let resume = vec![(partition.clone(), Some(Offset { position }.to_position()))];
                    send(&mut *output, SourceBatch { rows, resume }, &mut stop).await?
                }
                Step::Idle(what) => {
                    if waiting.replace(what) != Some(what) {
                        progress.phase(what.phase());
                    }
                    idle(&mut stop).await
                }
            };
            if !sent {
                return Ok(());
            }
        }
    }
}

/// False: stopped before the batch was taken.
async fn send(
    output: &mut dyn Output,
    batch: SourceBatch,
    stop: &mut BoxFuture<'static, ()>,
) -> Result<bool, Error> {
    tokio::select! {
        biased;
        () = stop => Ok(false),
        sent = output.send(batch) => sent.map(|_| true),
    }
}

/// False: stopped.
async fn idle(stop: &mut BoxFuture<'static, ()>) -> bool {
    tokio::select! {
        biased;
        () = stop => false,
        () = tokio::time::sleep(LOOK_EVERY) => true,
    }
}

/// A thread that ended without an answer: it panicked, or the runtime shuts down.
fn gone(error: tokio::task::JoinError) -> Error {
    Error::disconnected("the thread that reads the file has ended").because(error)
}
