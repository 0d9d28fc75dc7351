//! Pipeline files and commands through the real binary: what people see, and exit codes.

mod applying;
mod checking;
mod files;
mod running;
mod topics;

use std::{
    path::Path,
    process::{Command, Stdio},
};

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
