//! Pipeline files and commands through the real binary: what people see, and exit codes.

mod applying;
mod checking;
mod files;
mod running;
mod topics;

use crate::support::worker::Worker;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A running worker, and a folder for files.
struct Bench {
    folder: TempDir,
    worker: Worker,
}

impl Bench {
    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).expect("the file can be written");
    }

    /// Runs a command against the worker.
    fn ask(&self, arguments: &[&str]) -> Said {
        let data = self.worker.data().display().to_string();
        tapline(
            self.folder.path(),
            &[arguments, &["--data-dir", &data]].concat(),
        )
    }

    /// Runs a command, expects this exit code, and returns what it said on both outputs.
    fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let said = self.ask(arguments);
        let all = format!("{}{}", said.out, said.err);
        assert_eq!(said.code, Some(code), "{arguments:?}: {all}");
        all
    }
}

/// What a finished command said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the binary in this folder to its end.
fn tapline(folder: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_tapline"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("TAPLINE_URL")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
