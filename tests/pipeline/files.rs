//! What needs no running worker: bad files, usage, a worker that is not there.

use super::tapline;
use crate::support::process::free_port;
use std::fs;

const BAD: &str = "version: 1
name: shop
source:
  connector: postgres
  database: {hostname: db, dbname: shop, user: tapline, password: hunter2}
  slot: {nane: x}
sinks:
  replica: {connector: sql, connection.url: \"postgres://replica/shop${HOME}\"}
";

#[test]
fn a_bad_file_is_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(folder.path().join("shop.yaml"), BAD).expect("the file can be written");
    for command in ["run", "validate"] {
        let said = tapline(folder.path(), &[command, "shop.yaml"]);
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(1), ""),
            "{}",
            said.err
        );
        assert_eq!(
            said.err,
            "error[TL0110]: slot.nane is not a key of this connector  --> shop.yaml:6:10  source.slot.nane
   |
 6 |   slot: {nane: x}
   |          ^^^^
  help: did you mean slot.name?

error[TL0111]: connection.url does not know `${HOME}`  --> shop.yaml:8:45  sinks.replica.connection.url
   |
 8 |   replica: {connector: sql, connection.url: \"postgres://replica/shop${HOME}\"}
   |                                             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: write `${env:HOME}` for an environment variable
"
        );
        assert!(
            !folder.path().join("tapline-data").exists(),
            "a data directory was made"
        );
    }
}

#[test]
fn every_example_in_config_compiles() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join("config/pipelines"))
        .expect("examples can be listed")
        .flatten()
    {
        let file = entry.path();
        let text = fs::read_to_string(&file).expect("an example is text");
        // The secrets that an example asks for: any value will do.
        let names = text
            .split("${env:")
            .skip(1)
            .filter_map(|rest| rest.split('}').next());
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tapline"))
            .arg("validate")
            .arg(&file)
            .envs(names.map(|name| (name.to_owned(), "secret")))
            .output()
            .expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn missing_files_and_wrong_usage_have_their_own_exit_codes() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let said = tapline(folder.path(), &["validate", "nowhere.yaml"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err
            .starts_with("error[TL0101]: cannot read nowhere.yaml"),
        "{}",
        said.err
    );
    for wrong in [
        &["run"][..],
        &["consume"],
        &["frobnicate"],
        &["consume", "t", "--from", "x"],
    ] {
        assert_eq!(tapline(folder.path(), wrong).code, Some(2), "{wrong:?}");
    }
    fs::write(folder.path().join("w.yaml"), "data.dri: x\n").expect("the file can be written");
    fs::write(folder.path().join("p.yaml"), "version: 1\nname: p\n").expect("it can be written");
    let said = tapline(folder.path(), &["run", "p.yaml", "--config", "w.yaml"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("--> w.yaml:1:1  data.dri"),
        "{}",
        said.err
    );
}

#[test]
fn a_worker_that_is_not_there_or_gone_is_explained() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let said = tapline(folder.path(), &["status"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err
            .starts_with("error[TL0140]: no worker runs on ./tapline-data"),
        "{}",
        said.err
    );

    fs::create_dir(folder.path().join("tapline-data")).expect("a folder can be made");
    let address = folder.path().join("tapline-data/rest.address");
    fs::write(&address, format!("127.0.0.1:{}\n", free_port())).expect("it can be written");
    for arguments in [
        &["status"][..],
        &["topics"],
        &["consume", "t"],
        &["offsets", "show", "c"],
    ] {
        let said = tapline(folder.path(), arguments);
        assert_eq!(said.code, Some(1), "{arguments:?}");
        assert!(
            said.err
                .starts_with("error[TL0141]: the worker at http://127.0.0.1:"),
            "{}",
            said.err
        );
        assert!(
            said.err.contains("what a worker left that was killed"),
            "{}",
            said.err
        );
    }
    let said = tapline(folder.path(), &["status", "--url", "ftp://x"]);
    assert!(
        said.err.contains("is not a worker's address"),
        "{}",
        said.err
    );
}

#[test]
fn addresses_beyond_this_machine_and_busy_ports_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(folder.path().join("p.yaml"), "version: 1\nname: p\n").expect("it can be written");
    let said = tapline(folder.path(), &["run", "p.yaml", "--rest", "0.0.0.0:0"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.starts_with("error[TL0130]"), "{}", said.err);
    assert!(
        said.err.contains("--insecure-rest-without-authentication"),
        "{}",
        said.err
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    let said = tapline(folder.path(), &["run", "p.yaml", "--rest", &address]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err
            .starts_with(&format!("error[TL0131]: cannot listen on {address}")),
        "{}",
        said.err
    );
}
