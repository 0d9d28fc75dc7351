//! Who may ask: users of a file, on every listener, and commands of the worker's own user.

use crate::rest::daemon::{Daemon, client, said, written};
use crate::support::{process::free_port, wait::until};
use reqwest::{Method, header};
use std::{fs, io::Write, os::unix::fs::PermissionsExt, process::Stdio, time::Instant};

/// A line of the file of users, made by the command for it.
pub fn user(daemon: &Daemon, name: &str, password: &str) -> String {
    user_who_may(daemon, name, password, &[])
}

fn user_who_may(daemon: &Daemon, name: &str, password: &str, roles: &[&str]) -> String {
    let roles = roles.iter().flat_map(|role| ["--role", role]);
    let arguments: Vec<&str> = ["passwd", name].into_iter().chain(roles).collect();
    let mut command = daemon.command(&arguments);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("it has an input");
    stdin
        .write_all(format!("{password}\n").as_bytes())
        .expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let line = String::from_utf8(output.stdout).expect("text");
    assert!(
        line.starts_with(&format!("{name}:$argon2id$v=19$m=19456,t=2,p=1$")),
        "{line}"
    );
    assert!(!line.contains(password), "{line}");
    line
}

const SETTINGS: &str = "auth.users.file: FOLDER/users\n";

/// A worker that knows alice.
async fn started() -> Daemon {
    let mut daemon = Daemon::new(SETTINGS);
    let users = user(&daemon, "alice", "s3:cret ü");
    written(&daemon.path("users"), &format!("# users\n\n{users}"));
    daemon.start(&["worker"]).await;
    daemon
}

async fn status(url: &str, login: Option<(&str, &str)>) -> u16 {
    asked(&client(), url, login).await
}

async fn asked(client: &reqwest::Client, url: &str, login: Option<(&str, &str)>) -> u16 {
    let mut request = client.get(url);
    if let Some((name, password)) = login {
        request = request.basic_auth(name, Some(password));
    }
    request.send().await.expect("it answers").status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_anything_on_any_listener_without_a_password() {
    let mut daemon = started().await;
    for path in [
        "/",
        "/connectors",
        "/connectors/a/config",
        "/health",
        "/metrics",
        "/tapline/v1/status",
        "/admin/loggers",
        "/nothing/here",
    ] {
        let url = format!("{}{path}", daemon.url());
        let refused = client().get(&url).send().await.expect("it answers");
        assert_eq!(refused.status(), 401, "{path}");
        let challenge = refused.headers()[header::WWW_AUTHENTICATE].to_str();
        assert!(
            challenge.is_ok_and(|text| text.starts_with("Basic realm=")),
            "{path}"
        );
        let text = refused.text().await.expect("a body");
        assert_eq!(text, "User cannot access the resource.", "{path}");
        for login in [
            ("alice", "s3:cret"),
            ("alice", ""),
            ("bob", "s3:cret ü"),
            ("", ""),
        ] {
            assert_eq!(status(&url, Some(login)).await, 401, "{path} {login:?}");
        }
    }
    for header in [
        "Basic",
        "Basic !!!",
        "Basic YWxpY2U=",
        "Bearer ",
        "Bearer 00",
        "Digest x",
        "",
    ] {
        let url = format!("{}/connectors", daemon.url());
        let asked = client().get(&url).header(header::AUTHORIZATION, header);
        assert_eq!(
            asked.send().await.expect("it answers").status(),
            401,
            "{header}"
        );
    }
    let registry = format!("{}/subjects", daemon.registry_url());
    let refused = client().get(&registry).send().await.expect("it answers");
    assert_eq!(refused.status(), 401);
    assert!(refused.headers().contains_key(header::WWW_AUTHENTICATE));
    let text = refused.text().await.expect("a body");
    assert_eq!(text, r#"{"error_code":401,"message":"Unauthorized"}"#);

    let alice = Some(("alice", "s3:cret ü"));
    assert_eq!(
        status(&format!("{}/connectors", daemon.url()), alice).await,
        200
    );
    assert_eq!(status(&registry, alice).await, 200);
    daemon.stop();
    assert!(!daemon.path("data/rest.token").exists());
    assert!(!daemon.log().contains("s3:cret"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_do_what_the_roles_of_the_line_say() {
    let mut daemon = Daemon::new(SETTINGS);
    let of = |name, roles: &[&str]| user_who_may(&daemon, name, "s3cret", roles);
    let users = of("connectors", &["connect"])
        + &of("schemas", &["registry"])
        + &of("prometheus", &["monitor"])
        + &of("two", &["registry", "monitor"])
        + &of("all", &[]);
    assert!(users.contains(":registry,monitor\n"), "{users}");
    written(&daemon.path("users"), &users);
    daemon.start(&["worker"]).await;
    let (rest, registry) = (daemon.url(), daemon.registry_url());
    let asked = async |name, url: &str| status(url, Some((name, "s3cret"))).await;
    for (name, connectors, health, metrics, subjects) in [
        ("connectors", 200, 200, 200, 403),
        ("schemas", 403, 403, 403, 200),
        ("prometheus", 403, 200, 200, 403),
        ("two", 403, 200, 200, 200),
        ("all", 200, 200, 200, 200),
    ] {
        let url = |path| format!("{rest}{path}");
        assert_eq!(asked(name, &url("/connectors")).await, connectors, "{name}");
        assert_eq!(asked(name, &url("/health")).await, health, "{name}");
        assert_eq!(asked(name, &url("/metrics/")).await, metrics, "{name}");
        let url = format!("{registry}/subjects");
        assert_eq!(asked(name, &url).await, subjects, "{name}");
    }
    let told = async |method, url: String| {
        let asked = client().request(method, url);
        let asked = asked.basic_auth("prometheus", Some("s3cret"));
        let answer = asked.send().await.expect("it answers");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        (status.as_u16(), text)
    };
    let needs = "the user may not do this (the line of auth.users.file needs the role";
    let (code, text) = told(Method::POST, format!("{rest}/health")).await;
    let message = format!(r#"{{"error_code":403,"message":"{needs} connect)"}}"#);
    assert_eq!((code, text), (403, message));
    let (code, text) = told(Method::GET, format!("{registry}/config")).await;
    let message = format!(r#"{{"error_code":40301,"message":"{needs} registry)"}}"#);
    assert_eq!((code, text), (403, message));
    // Who does not know the password learns nothing of the roles.
    let stranger = Some(("prometheus", "wrong"));
    assert_eq!(status(&format!("{rest}/connectors"), stranger).await, 401);
    let mut command = daemon.command(&["connectors", "--url", &rest]);
    command.env("TAPLINE_USER", "schemas");
    command.env("TAPLINE_PASSWORD", "s3cret");
    let (code, text) = said(&command.output().expect("the binary starts"));
    assert!(
        code == Some(1) && text.contains("the role connect"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_show_a_user_or_are_the_workers_own() {
    let daemon = started().await;
    let token = fs::metadata(daemon.path("data/rest.token")).expect("a token");
    assert_eq!(token.permissions().mode() & 0o777, 0o600);
    // Whoever can read the data directory is the worker's user.
    let (code, text) = said(&daemon.tapline(&["connectors"]));
    assert_eq!(code, Some(0), "{text}");
    let url = daemon.url();
    let by_url = |url: &str, user: Option<(&str, &str)>| {
        let mut command = daemon.command(&["connectors", "--url", url]);
        if let Some((name, password)) = user {
            command
                .env("TAPLINE_USER", name)
                .env("TAPLINE_PASSWORD", password);
        }
        said(&command.output().expect("the binary starts"))
    };
    let (code, text) = by_url(&url, None);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("error[TL0144]"), "{text}");
    assert_eq!(by_url(&url, Some(("alice", "s3:cret ü"))).0, Some(0));
    let (code, text) = by_url(&url, Some(("alice", "wrong-canary")));
    assert!(code == Some(1) && !text.contains("canary"), "{text}");
    let good = url.replace("://", "://alice:s3%3Acret%20%C3%BC@");
    let (code, text) = by_url(&good, None);
    assert_eq!(code, Some(0), "{text}");
    for bad in [
        "http://u:pass-canary@127.0.0.1:1",
        "ftp://u:pass-canary@h",
        "u:pass-canary@h",
    ] {
        let (code, text) = by_url(bad, None);
        assert!(code == Some(1) && !text.contains("canary"), "{text}");
    }
    let help = daemon
        .command(&["connectors", "--help"])
        .env("TAPLINE_URL", &good)
        .output();
    let (_, text) = said(&help.expect("the binary starts"));
    assert!(
        text.contains("TAPLINE_URL") && !text.contains("cret"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_file_counts_at_once_and_a_broken_one_lets_nobody_in() {
    let daemon = started().await;
    let url = format!("{}/connectors", daemon.url());
    let alice = Some(("alice", "s3:cret ü"));
    assert_eq!(status(&url, alice).await, 200);
    let reaches = async |login, code| {
        until(&format!("{login:?} gets {code}"), async || {
            (status(&url, login).await == code).then_some(())
        })
        .await;
    };
    let bob = user(&daemon, "bob", "other");
    written(&daemon.path("users"), &bob);
    reaches(alice, 401).await;
    reaches(Some(("bob", "other")), 200).await;
    written(&daemon.path("users"), "bob:plain-canary\n");
    reaches(Some(("bob", "other")), 401).await;
    until("the log says why", async || {
        daemon.log().contains("nobody is let in").then_some(())
    })
    .await;
    assert!(!daemon.log().contains("plain-canary"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_hashed_once_and_wrong_ones_hold_up_nobody() {
    let daemon = started().await;
    let url = format!("{}/connectors", daemon.url());
    let client = client();
    let alice = Some(("alice", "s3:cret ü"));
    let began = Instant::now();
    assert_eq!(asked(&client, &url, alice).await, 200);
    let first = began.elapsed();
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(asked(&client, &url, alice).await, 200);
    }
    let known = began.elapsed() / 20;
    eprintln!("first {first:?}, then {known:?} each");
    assert!(known < first);
    // A flood of guesses: some are judged, some told to come later; who is known waits for none of them.
    let mut guesses = tokio::task::JoinSet::new();
    for guess in 0..200 {
        let (client, url) = (client.clone(), url.clone());
        guesses.spawn(async move {
            asked(&client, &url, Some(("alice", &format!("guess-{guess}")))).await
        });
    }
    let began = Instant::now();
    assert_eq!(asked(&client, &url, alice).await, 200);
    let during = began.elapsed();
    let all: Vec<u16> = guesses.join_all().await;
    let flood = began.elapsed();
    let judged = all.iter().filter(|code| **code == 401).count();
    let later = all.iter().filter(|code| **code == 503).count();
    eprintln!("{judged} judged, {later} told to come later, in {flood:?}; alice waited {during:?}");
    assert_eq!(judged + later, 200, "{all:?}");
    assert!(judged > 0 && later > 0);
    assert!(during < flood / 2, "{during:?} of {flood:?}");
}

#[test]
fn beyond_this_machine_users_and_tls_are_needed_or_the_risk_is_taken_by_name() {
    let daemon = Daemon::new(SETTINGS);
    let line = user(&daemon, "alice", "of-nobody");
    written(&daemon.path("users"), &line);
    for option in ["--rest", "--registry"] {
        let address = format!("0.0.0.0:{}", free_port());
        let mut command = daemon.command(&["worker", "--config", "worker.yaml", option, &address]);
        let (code, text) = said(&command.output().expect("the binary starts"));
        assert_eq!(code, Some(1), "{text}");
        assert!(text.starts_with("error[TL0130]"), "{text}");
        assert!(
            text.contains("auth.users.file") && text.contains("tls.certificate.file"),
            "{text}"
        );
    }
    for (users, why) in [
        ("alice:plain-canary\n", "line 1"),
        (&format!("{line}{line}"), "second time"),
        (
            &line.replace('\n', ":connect,root-canary\n"),
            "line 1 has a role that is none of connect, registry, monitor",
        ),
        (
            "alice:$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA\n",
            "line 1",
        ),
    ] {
        written(&daemon.path("users"), users);
        let mut command =
            daemon.command(&["worker", "--config", "worker.yaml", "--data-dir", "data"]);
        let (code, text) = said(&command.output().expect("the binary starts"));
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.starts_with("error[TL0133]") && text.contains(why),
            "{text}"
        );
        assert!(!text.contains("canary"), "{text}");
    }
}
