//! Tapline as a service: `tapline worker` with a data folder of its own, gone with its test.

use crate::support::{
    process::{Process, free_port},
    wait,
};
use std::{
    fs::{self, File},
    net::SocketAddr,
    process::Command,
};
use tempfile::TempDir;

/// A running `tapline worker`.
pub struct Ours {
    _process: Process,
    folder: TempDir,
    address: SocketAddr,
}

impl Ours {
    /// Starts it, empty.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let log = File::create(folder.path().join("log")).expect("a log opens");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapline"));
        command
            // The original lets whoever reaches it name every file.
            .args(["worker", "--allow-files", "/"])
            .args(["--rest", &address.to_string(), "--data-dir"])
            .arg(folder.path().join("data"))
            .stdout(log.try_clone().expect("a log clones"))
            .stderr(log);
        let process = Process::spawn(&mut command);
        let ours = Self {
            _process: process,
            folder,
            address,
        };
        let healthy = wait::within(wait::DEADLINE, async || {
            let answer = reqwest::get(format!("http://{address}/health"))
                .await
                .ok()?;
            answer.status().is_success().then_some(())
        });
        assert!(
            healthy.await.is_some(),
            "tapline worker did not start: {}",
            ours.log()
        );
        ours
    }

    /// Where its REST API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}
