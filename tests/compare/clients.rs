//! Two REST clients that nobody here wrote, `kc` and `kafkaconnect`: what they print counts as the worker's answer.
//!
//! In a scene a client's name stands for the method, its arguments for the path, and the body is its last argument.
//! `python -c` runs the body with the clients' libraries at hand.

use super::client::{Reply, Request};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};
use tokio::process::Command;

/// The programs, as PyPI's packages `kafka-connect-py` and `kafkaconnect` install them, and the Python that runs them.
const PROGRAMS: [&str; 3] = ["kc", "kafkaconnect", "python"];

/// Whether they are there: `scripts/setup` installs them, and a machine without Python does without.
pub fn are_installed() -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/rest-clients/bin");
    PROGRAMS.iter().all(|program| folder.join(program).exists())
}

/// Whether this is a client's command rather than an HTTP request.
pub fn is_command(request: &Request) -> bool {
    PROGRAMS.contains(&request.method.as_str())
}

/// Runs the command against a worker: its exit code is the status, what it prints the body.
pub async fn run(worker: SocketAddr, request: &Request) -> Result<Reply, String> {
    let output = Command::new(programs().join(&request.method))
        .args(request.target.split(' '))
        .args(&request.body)
        .env("KAFKA_CONNECT_URL", format!("http://{worker}"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("{}: {error}", request.method))?;
    let code = output.status.code().and_then(|code| code.try_into().ok());
    Ok(Reply {
        status: code.ok_or_else(|| format!("{}: {}", request.method, output.status))?,
        headers: Vec::new(),
        body: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    })
}

/// The resource whose rules fit what a command prints.
pub fn resource(request: &Request) -> &'static str {
    let body = request.body.as_deref().unwrap_or_default();
    let target = format!("{} {body}", request.target);
    let known = [
        ("validate", "/connector-plugins/x/config/validate"),
        ("plugins", "/connector-plugins"),
        ("topics", "/connectors/x/topics"),
        ("config", "/connectors/x/config"),
        ("--dry-run", "/connector-plugins/x/config/validate"),
        ("list", "/connectors"),
    ];
    let found = known.iter().find(|(word, _)| target.contains(word));
    found.map_or("/connectors/x", |(_, resource)| resource)
}

fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/rest-clients");
        let output = std::process::Command::new(script)
            .stderr(Stdio::inherit())
            .output()
            .expect("the script that installs the clients runs");
        assert!(
            output.status.success(),
            "the clients were not installed: {}",
            output.status
        );
        PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
    })
}
