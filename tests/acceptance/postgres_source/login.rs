//! Getting in: TLS in all its modes, passwords, and servers that are not set up.

use super::recorder::{Log, settings};
use crate::support::{postgres::Postgres, wait};
use std::{collections::BTreeMap, fs, path::Path, process::Command};
use tapline_postgres::PostgresSource;
use tapline_sdk::{Config, Connector, ErrorKind};

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A CA, and certificates of it for `localhost` and for the role `ada`.
fn certificates(folder: &Path) {
    openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca",
    );
    openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 2 -subj /CN=other",
    );
    for (name, subject) in [("server", "localhost"), ("client", "ada")] {
        fs::write(
            folder.join("names"),
            format!("subjectAltName=DNS:{subject}\n"),
        )
        .expect("writes");
        openssl(
            folder,
            &format!(
                "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={subject}"
            ),
        );
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile names"
            ),
        );
    }
}

/// A server with TLS whose `pg_hba.conf` is `hba`.
async fn server_with_tls(folder: &Path, hba: &str) -> Postgres {
    certificates(folder);
    let mut server = Postgres::start().await;
    server
        .execute(
            "set password_encryption = 'md5'; create role old login replication superuser password 'old-secret'; \
             set password_encryption = 'scram-sha-256'; \
             create role ada login replication superuser password 'ada-secret'; \
             create table t (id int primary key); insert into t values (1)",
        )
        .await;
    for (from, to) in [
        ("server.pem", "server.crt"),
        ("server.key", "server.key"),
        ("ca.pem", "root.crt"),
    ] {
        let to = server.data().join(to);
        fs::copy(folder.join(from), &to).expect("copies");
        fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("permits");
    }
    server.execute("alter system set ssl = on").await;
    server
        .execute("alter system set ssl_ca_file = 'root.crt'")
        .await;
    fs::write(
        server.data().join("pg_hba.conf"),
        format!("host all postgres all trust\n{hba}"),
    )
    .expect("writes");
    server.stop();
    server.restart().await;
    server
}

fn with(
    server: &Postgres,
    user: &str,
    password: &str,
    more: &[(&str, &str)],
) -> BTreeMap<String, String> {
    let mut all = vec![
        ("database.user", user),
        ("database.password", password),
        ("database.hostname", "localhost"),
    ];
    all.extend_from_slice(more);
    settings(server, &all)
}

async fn reaches(settings: &BTreeMap<String, String>) -> Result<(), tapline_sdk::Error> {
    PostgresSource::connect(Config::new(settings.clone()))
        .await
        .map(drop)
}

#[tokio::test]
async fn tls_modes_check_what_libpq_checks() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = server_with_tls(
        folder.path(),
        "hostssl all ada all scram-sha-256\nhost all old all md5\n",
    )
    .await;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ca, other, own) = (file("ca.pem"), file("other.pem"), file("server.pem"));
    let try_with = async |user: &str, password: &str, more: &[(&str, &str)]| {
        reaches(&with(&server, user, password, more)).await
    };
    let ada = async |more: &[(&str, &str)]| try_with("ada", "ada-secret", more).await;
    for mode in ["allow", "prefer", "require"] {
        ada(&[("database.sslmode", mode)])
            .await
            .unwrap_or_else(|error| panic!("{mode}: {}", error.chain()));
    }
    for root in [&ca, &own] {
        for mode in ["require", "verify-ca", "verify-full"] {
            let result = ada(&[("database.sslmode", mode), ("database.sslrootcert", root)]).await;
            result.unwrap_or_else(|error| panic!("{mode}: {}", error.chain()));
        }
    }
    let plain = ada(&[("database.sslmode", "disable")])
        .await
        .expect_err("only TLS is let in");
    assert_eq!(
        (plain.code, plain.kind),
        (Some("TL0302"), ErrorKind::Config),
        "{}",
        plain.chain()
    );
    for mode in ["require", "verify-ca", "verify-full"] {
        let wrong = ada(&[("database.sslmode", mode), ("database.sslrootcert", &other)]).await;
        let wrong = wrong.expect_err("another authority");
        assert_eq!(
            (wrong.code, wrong.kind),
            (Some("TL0319"), ErrorKind::Config),
            "{}",
            wrong.chain()
        );
    }
    let by_address = |mode| {
        [
            ("database.hostname", "127.0.0.1"),
            ("database.sslmode", mode),
            ("database.sslrootcert", ca.as_str()),
        ]
    };
    ada(&by_address("verify-ca"))
        .await
        .expect("the name does not matter");
    let wrong = ada(&by_address("verify-full"))
        .await
        .expect_err("the certificate is localhost's");
    assert_eq!(wrong.code, Some("TL0319"), "{}", wrong.chain());
    try_with("old", "old-secret", &[]).await.expect("md5");
    try_with("old", "old-secret", &[("database.sslmode", "disable")])
        .await
        .expect("md5 in plain");
}

#[tokio::test]
async fn a_client_certificate_logs_in_and_the_stream_runs_over_tls() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = server_with_tls(folder.path(), "hostssl all ada all cert\n").await;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ca, certificate, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let more = [
        ("database.sslmode", "verify-full"),
        ("database.sslrootcert", ca.as_str()),
        ("database.sslcert", certificate.as_str()),
        ("database.sslkey", key.as_str()),
    ];
    let log = Log::default();
    let run = log.start(&with(&server, "ada", "", &more));
    log.until("snapshot", |entries| entries.len() == 1).await;
    server
        .execute("insert into t select g from generate_series(2, 20000) g")
        .await;
    log.until("stream", |entries| entries.len() == 20_000).await;
    run.stop().await.expect("stops");
    let error = reaches(&with(&server, "ada", "", &more[..2]))
        .await
        .expect_err("no certificate");
    assert_eq!(error.kind, ErrorKind::Config, "{}", error.chain());
}

#[tokio::test]
async fn a_rejected_login_says_what_to_do_and_never_the_password() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = server_with_tls(
        folder.path(),
        "host all ada all scram-sha-256\nhost all old all password\n",
    )
    .await;
    for user in ["ada", "old"] {
        let error = reaches(&with(&server, user, "wrong-secret", &[]))
            .await
            .expect_err("wrong password");
        assert_eq!(
            (error.code, error.kind),
            (Some("TL0302"), ErrorKind::Config),
            "{}",
            error.chain()
        );
        assert!(
            error.chain().contains("password authentication failed"),
            "{}",
            error.chain()
        );
        assert_eq!(
            error.remedy.as_deref(),
            Some("check database.user and database.password")
        );
        assert!(!format!("{error:?}").contains("wrong-secret"));
    }
    reaches(&with(&server, "old", "old-secret", &[]))
        .await
        .expect("a plain password under TLS");
    let error = reaches(&with(&server, "ada", "", &[]))
        .await
        .expect_err("no password");
    assert_eq!(
        error.remedy.as_deref(),
        Some("set database.password"),
        "{}",
        error.chain()
    );
    let error = reaches(&with(
        &server,
        "ada",
        "ada-secret",
        &[("database.dbname", "none")],
    ))
    .await;
    let error = error.expect_err("no database");
    assert_eq!(
        (error.kind, error.remedy.as_deref()),
        (ErrorKind::Config, Some("check database.dbname"))
    );
}

#[tokio::test]
async fn a_server_without_logical_wal_is_refused_with_its_remedy() {
    let server = Postgres::start_with(&["wal_level=replica"]).await;
    let error = reaches(&settings(&server, &[]))
        .await
        .expect_err("wal_level");
    assert_eq!(
        (error.code, error.kind),
        (Some("TL0309"), ErrorKind::Config)
    );
    assert!(
        error.context.contains("wal_level is replica"),
        "{}",
        error.context
    );
    let issues = PostgresSource::probe(&Config::new(settings(&server, &[]))).await;
    assert!(
        issues
            .iter()
            .any(|issue| issue.remedy.contains("wal_level = logical")),
        "{issues:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again() {
    let mut server = Postgres::start().await;
    server.execute("create table t (id int primary key)").await;
    let settings = settings(&server, &[]);
    server.kill();
    let error = reaches(&settings).await.expect_err("nobody listens");
    assert_eq!(
        (error.code, error.kind),
        (Some("TL0301"), ErrorKind::Disconnected),
        "{}",
        error.chain()
    );
    server.restart().await;
    let log = Log::default();
    let run = log.start(&settings);
    wait::until("streaming", async || {
        log.phases().iter().any(|p| p == "streaming").then_some(())
    })
    .await;
    server.kill();
    let error = run.end().await.expect_err("the server crashed");
    assert_eq!(
        (error.code, error.kind),
        (Some("TL0301"), ErrorKind::Disconnected),
        "{}",
        error.chain()
    );
}
