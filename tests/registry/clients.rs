//! Confluent's own client for Python, unmodified. `scripts/setup` installs it for the long proofs; where it is not
//! there, the short ones go without.

use super::{NOTHING, Running};
use crate::support::process::proving;
use std::path::Path;

#[tokio::test]
async fn prove_confluents_python_client_cannot_tell_the_difference() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".cache/clients/bin/python");
    if !python.exists() {
        assert!(
            !proving(),
            "scripts/setup with TAPLINE_PROVE installs the client"
        );
        eprintln!("registry clients: skipped, because .cache/clients is not there");
        return;
    }
    let running = Running::start(NOTHING).await;
    let output = tokio::process::Command::new(python)
        .arg(root.join("tests/registry/client.py"))
        .arg(format!("http://{}", running.address))
        .output()
        .await
        .expect("python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("all steps passed"), "{said}");
    eprintln!("registry clients: {said}");
}
