//! Tapline's REST API held against the real Kafka Connect worker: the same requests, the same answers.
//!
//! Scenes (`scenes/`) are played to both. What the original answered is kept under `answers/`, so that the comparison
//! also runs where Java is absent; `make record` asks the original anew, `make prove` checks that it still answers so.
//! `differences.txt` lists what is meant to differ and why; the page `docs/connect-differences.md` says the same.

mod allowed;
mod answers;
pub mod client;
mod clients;
mod diff;
mod drive;
mod json;
mod original;
mod ours;
mod rules;
mod scene;

use crate::support::{postgres::Postgres, process::proving};
use client::Request;
use diff::Difference;
use drive::Played;
use original::Original;
use ours::Ours;
use scene::{Scene, Step};
use std::{env, fs, path::Path};

/// What the issue asks for at least.
const REQUESTS_MIN: usize = 150;

/// How often a scene with requests sent at once is played to the original, whose locks do not settle who is first.
const PLAYS_MAX: usize = 5;

/// Scenes to play: all, or those whose name contains `TAPLINE_SCENE`. Those that need clients from PyPI are long proofs.
fn wanted(with_clients: bool) -> Vec<Scene> {
    let wanted = env::var("TAPLINE_SCENE").unwrap_or_default();
    let mut scenes = scene::all();
    scenes.retain(|scene| {
        let commands = requests(scene).any(clients::is_command);
        scene.name.contains(&wanted) && (with_clients || !commands)
    });
    scenes
}

fn requests(scene: &Scene) -> impl Iterator<Item = &Request> {
    scene.steps.iter().flat_map(|step| match step {
        Step::Ask(_, requests) => requests.as_slice(),
        _ => &[],
    })
}

fn is_a_race(scene: &Scene) -> bool {
    let mut steps = scene.steps.iter();
    steps.any(|step| matches!(step, Step::Ask(_, requests) if requests.len() > 1))
}

/// What a played scene says otherwise than its record.
fn unlike(scene: &Scene, played: &Played) -> Vec<Difference> {
    let recorded = answers::read(&scene.name);
    let mut differences = Vec::new();
    for (title, expected) in &recorded {
        let step = format!("{} / {title}", scene.name);
        match played.answers.iter().find(|(given, _)| given == title) {
            Some((_, given)) => differences.extend(diff::between(&step, expected, given)),
            None => differences.push(Difference {
                step,
                place: "answer".to_owned(),
                original: "recorded".to_owned(),
                ours: diff::MISSING.to_owned(),
            }),
        }
    }
    differences
}

fn shown(differences: &[Difference]) -> String {
    let lines: Vec<_> = differences.iter().map(ToString::to_string).collect();
    format!("{} differences:\n{}", lines.len(), lines.join("\n"))
}

#[test]
fn every_request_has_a_record_and_there_are_enough() {
    let mut count = 0;
    for scene in scene::all() {
        let titles = scene.steps.iter().filter_map(|step| match step {
            Step::Ask(title, requests) => {
                count += requests.len();
                Some(title.clone())
            }
            _ => None,
        });
        let titles: Vec<_> = titles.collect();
        let recorded = answers::read(&scene.name);
        let recorded: Vec<_> = recorded.into_iter().map(|(title, _)| title).collect();
        assert_eq!(
            titles, recorded,
            "{} and its record; see `make record`",
            scene.name
        );
    }
    assert!(count >= REQUESTS_MIN, "only {count} requests");
    eprintln!("{count} requests in scenes");
}

/// Asks the original anew and stores what it answers; run by `make record`.
#[tokio::test(flavor = "multi_thread")]
async fn record() {
    if env::var_os("TAPLINE_RECORD").is_none() {
        eprintln!("skipped: `make record` asks the original anew");
        return;
    }
    let postgres = Postgres::start().await;
    let original = Original::start().await;
    let mut failed = Vec::new();
    for scene in wanted(true) {
        let played = drive::play(original.address(), &postgres, &scene).await;
        answers::write(&scene.name, &played.answers);
        eprintln!("{}: {} recorded", scene.name, played.answers.len());
        failed.extend(played.failed);
    }
    assert_eq!(
        failed,
        Vec::<String>::new(),
        "these scenes could not be played"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prove_that_the_original_still_answers_as_recorded() {
    if !proving() {
        eprintln!("skipped: set TAPLINE_PROVE=1 to start the original, fetched through Maven");
        return;
    }
    let postgres = Postgres::start().await;
    let original = Original::start().await;
    let mut differences = Vec::new();
    for scene in wanted(true) {
        let plays = if is_a_race(&scene) { PLAYS_MAX } else { 1 };
        let mut found = Vec::new();
        for _ in 0..plays {
            let played = drive::play(original.address(), &postgres, &scene).await;
            assert_eq!(played.failed, None);
            found = unlike(&scene, &played);
            if found.is_empty() {
                break;
            }
        }
        differences.extend(found);
    }
    assert!(differences.is_empty(), "{}", shown(&differences));
}

#[tokio::test(flavor = "multi_thread")]
async fn tapline_answers_as_the_original() {
    let postgres = Postgres::start().await;
    let ours = Ours::start().await;
    let (mut differences, mut failed, mut count) = (Vec::new(), Vec::new(), 0);
    let scenes = wanted(proving());
    for scene in &scenes {
        let played = drive::play(ours.address(), &postgres, scene).await;
        count += played
            .answers
            .iter()
            .map(|(_, given)| given.len())
            .sum::<usize>();
        differences.extend(unlike(scene, &played));
        failed.extend(played.failed);
    }
    let all = differences.len();
    let mut allowed = allowed::all();
    let left = allowed::without(&mut allowed, differences);
    eprintln!(
        "{count} answers compared, {all} places differ, {} of them unmeant",
        left.len()
    );
    assert!(
        left.is_empty() && failed.is_empty(),
        "{}\n{failed:#?}",
        shown(&left)
    );
    let mut skipped = scene::all();
    skipped.retain(|scene| !scenes.iter().any(|played| played.name == scene.name));
    let skipped: Vec<_> = skipped.into_iter().map(|scene| scene.name).collect();
    let stale = allowed::unused(&allowed, &skipped);
    let whole = env::var_os("TAPLINE_SCENE").is_none();
    assert!(
        !whole || stale.is_empty(),
        "these differences are no more: {stale:#?}"
    );
}

#[test]
fn every_meant_difference_is_documented_with_its_reason() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/connect-differences.md");
    let page = fs::read_to_string(page).expect("the page of differences is there");
    let rows = allowed::all()
        .into_iter()
        .map(|one| format!("| `{}` | {} |", one.name, one.reason));
    let missing: Vec<_> = rows.filter(|row| !page.contains(row)).collect();
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "rows that docs/connect-differences.md lacks"
    );
}
