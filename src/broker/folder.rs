//! A partition's folder: whose it is, and what becomes of it when the topic is deleted.
//!
//! A topic that is created again has the folder of its namesake, so a note in it names the topic's id, as Kafka's does.

use super::{
    partition::Partition,
    storage::{Open, read_file, write_all_at},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::io;
use tapline_sdk::TopicPartition;

impl Partition {
    /// Makes the folder, with a note of whose it is; one of a deleted topic of the same name is moved away.
    pub(super) fn claim_folder(&self) -> io::Result<()> {
        if self.owns_folder()? {
            return Ok(());
        }
        match self.move_folder_away() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // The next start removes it.
            other => drop(other?),
        }
        self.storage.create_dir(&self.folder)?;
        let note = self.storage.open(&self.note_path(), Open::Create)?;
        write_all_at(&*note, &[self.note().as_bytes()], 0)
    }

    /// Whether the folder exists and is this topic's, not that of a topic of the same name.
    pub(super) fn owns_folder(&self) -> io::Result<bool> {
        match read_file(&*self.storage, &self.note_path()) {
            Ok(bytes) => Ok(bytes == self.note().as_bytes()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn note_path(&self) -> String {
        format!("{}/partition.metadata", self.folder)
    }

    /// As Kafka writes it.
    fn note(&self) -> String {
        let id = URL_SAFE_NO_PAD.encode(self.topic_id.to_be_bytes());
        format!("version: 0\ntopic_id: {id}")
    }

    /// The topic is deleted: its folder gets a name of its own, which is returned. Nothing happens to the folder of
    /// a later topic.
    pub(super) fn move_away(&self) -> io::Result<Option<String>> {
        if self.owns_folder()? {
            self.move_folder_away().map(Some)
        } else {
            Ok(None)
        }
    }

    fn move_folder_away(&self) -> io::Result<String> {
        let path = format!("{LOGS}/{:032x}{DELETED}", self.storage.random());
        self.files.forget(&format!("{}/", self.folder));
        self.storage.rename(&self.folder, &path)?;
        Ok(path)
    }
}

/// Where a partition's files are.
pub(super) fn folder(at: &TopicPartition) -> String {
    format!("{LOGS}/{}-{}", at.topic, at.partition)
}

/// Ends the name of a folder whose topic is deleted, as in Kafka.
pub(super) const DELETED: &str = "-delete";

/// The folder of all partitions.
pub(super) const LOGS: &str = "logs";
