//! HTTPS: a certificate from files, another one when they change, and clients that must show theirs.

use super::users::user;
use crate::rest::daemon::{Daemon, said, written};
use crate::support::wait::{DEADLINE, until, within};
use reqwest::{Certificate, Identity};
use std::{fs, process::Command};

/// Runs openssl in the daemon's folder.
fn openssl(daemon: &Daemon, arguments: &str) {
    let mut command = Command::new("openssl");
    command
        .args(arguments.split(' '))
        .current_dir(daemon.path(""));
    let output = command.output().expect("openssl runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";

fn authority(daemon: &Daemon, name: &str) {
    openssl(
        daemon,
        &format!("req -x509 {NEW_KEY} -keyout {name}.key -out {name}.pem -subj /CN={name}"),
    );
}

/// A certificate of this authority, for this machine.
fn signed(daemon: &Daemon, name: &str, by: &str) {
    let names = "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    openssl(
        daemon,
        &format!(
            "req -x509 {NEW_KEY} -keyout {name}.key -out {name}.pem -subj /CN={name} -CA {by}.pem -CAkey {by}.key {names}"
        ),
    );
}

fn trusting(daemon: &Daemon, authority: &str, identity: Option<&str>) -> reqwest::Client {
    let read = |name: &str| fs::read(daemon.path(name)).expect("a file");
    let authority = Certificate::from_pem(&read(&format!("{authority}.pem"))).expect("PEM");
    let mut client = reqwest::Client::builder()
        .no_proxy()
        .tls_built_in_root_certs(false)
        .pool_max_idle_per_host(0)
        .add_root_certificate(authority);
    if let Some(name) = identity {
        let both = [read(&format!("{name}.pem")), read(&format!("{name}.key"))].concat();
        client = client.identity(Identity::from_pem(&both).expect("PEM"));
    }
    client.build().expect("a client")
}

const SETTINGS: &str = "tls: {certificate.file: FOLDER/server.pem, key.file: FOLDER/server.key}\n";

#[tokio::test(flavor = "multi_thread")]
async fn both_listeners_speak_tls_and_take_a_new_certificate_without_a_restart() {
    let mut daemon = Daemon::new(SETTINGS).https();
    authority(&daemon, "old");
    authority(&daemon, "new");
    signed(&daemon, "server", "old");
    daemon.start(&["worker"]).await;
    let (rest, registry) = (daemon.url(), format!("{}/subjects", daemon.registry_url()));
    let old = trusting(&daemon, "old", None);
    for url in [&rest, &registry] {
        let answer = old.get(url).send().await.expect("it answers");
        assert_eq!(answer.status(), 200, "{url}");
        let stranger = trusting(&daemon, "new", None).get(url).send().await;
        assert!(stranger.is_err(), "{url}");
        let plain = old.get(url.replace("https", "http")).send().await;
        assert!(plain.is_err(), "{url}");
    }
    let (code, text) = said(&daemon.tapline(&["connectors", "--cacert", "old.pem"]));
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = said(&daemon.tapline(&["connectors", "--cacert", "new.pem"]));
    assert!(code == Some(1) && text.contains("TL0141"), "{text}");

    // What cannot be used changes nothing; what can, does.
    let good = fs::read(daemon.path("server.key")).expect("a key");
    written(&daemon.path("server.key"), "no key");
    until("the log says so", async || {
        let answer = old.get(&rest).send().await.ok()?;
        assert_eq!(answer.status(), 200);
        daemon.log().contains("the old one stays").then_some(())
    })
    .await;
    fs::write(daemon.path("server.key"), good).expect("a key");
    signed(&daemon, "server", "new");
    let changed = within(DEADLINE, async || {
        let new = trusting(&daemon, "new", None);
        new.get(&rest).send().await.ok().map(drop)
    });
    assert!(changed.await.is_some(), "{}", daemon.log());
    assert!(old.get(&rest).send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_a_certificate_are_not_let_in_where_one_is_asked_for() {
    let settings = format!("{SETTINGS}tls.client.ca.file: FOLDER/clients.pem\n");
    let mut daemon = Daemon::new(&settings).https();
    for name in ["ours", "clients", "others"] {
        authority(&daemon, name);
    }
    signed(&daemon, "server", "ours");
    signed(&daemon, "friend", "clients");
    signed(&daemon, "foe", "others");
    daemon.start(&["worker"]).await;
    for (identity, welcome) in [(None, false), (Some("foe"), false), (Some("friend"), true)] {
        for url in [daemon.url(), format!("{}/subjects", daemon.registry_url())] {
            let answer = trusting(&daemon, "ours", identity).get(&url).send().await;
            assert_eq!(answer.is_ok(), welcome, "{identity:?} {url}");
        }
    }
    let key = fs::read_to_string(daemon.path("friend.key")).expect("a key");
    let chain = fs::read_to_string(daemon.path("friend.pem")).expect("a certificate");
    written(&daemon.path("both.pem"), &(chain + &key));
    let arguments = ["connectors", "--cacert", "ours.pem", "--cert", "both.pem"];
    let (code, text) = said(&daemon.tapline(&arguments));
    assert_eq!(code, Some(0), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_users_and_tls_a_worker_listens_beyond_this_machine() {
    let mut daemon = Daemon::new(&format!("{SETTINGS}auth.users.file: FOLDER/users\n"));
    daemon = daemon.https().everywhere();
    authority(&daemon, "ours");
    signed(&daemon, "server", "ours");
    written(&daemon.path("users"), &user(&daemon, "alice", "secret"));
    daemon.spawn(&["worker"], |_| {});
    daemon.listens().await;
    let client = trusting(&daemon, "ours", None);
    let ask = client.get(daemon.url()).send().await.expect("it answers");
    assert_eq!(ask.status(), 401);
    let ask = client.get(daemon.url()).basic_auth("alice", Some("secret"));
    assert_eq!(ask.send().await.expect("it answers").status(), 200);
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let daemon = Daemon::new(SETTINGS);
    authority(&daemon, "server");
    openssl(
        &daemon,
        "pkey -in server.key -aes256 -passout pass:phrase-canary -out sealed.key",
    );
    for (settings, code, words) in [
        (
            SETTINGS.replace("server.key", "sealed.key"),
            "TL0132",
            "unencrypted",
        ),
        (
            SETTINGS.replace("server.pem", "none.pem"),
            "TL0132",
            "none.pem",
        ),
        (
            "tls.key.file: FOLDER/server.key\n".to_owned(),
            "TL0120",
            "need each other",
        ),
    ] {
        daemon.set(&settings);
        let mut command =
            daemon.command(&["worker", "--config", "worker.yaml", "--data-dir", "data"]);
        let (status, text) = said(&command.output().expect("the binary starts"));
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains(code) && text.contains(words), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}
