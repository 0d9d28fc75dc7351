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
use allowed::Allowed;
use diff::Difference;
use drive::Played;
use original::Original;
use ours::Ours;
use scene::{Ask, Scene, Step};
use std::{env, fs, path::Path};

/// What the issue asks for at least.
const REQUESTS_MIN: usize = 150;

/// How often a scene with races is recorded, so that the original shows more than one of their lawful ends.
const RACES_RECORDED: usize = 5;

/// Scenes to play: all, or those whose name contains `TAPLINE_SCENE`.
fn wanted() -> Vec<Scene> {
    let wanted = env::var("TAPLINE_SCENE").unwrap_or_default();
    let mut scenes = scene::all();
    scenes.retain(|scene| scene.name.contains(&wanted));
    scenes
}

fn asks(scene: &Scene) -> impl Iterator<Item = &Ask> {
    scene.steps.iter().filter_map(|step| match step {
        Step::Ask(ask) => Some(ask),
        _ => None,
    })
}

/// Whether a scene drives clients that nobody here wrote.
fn has_clients(scene: &Scene) -> bool {
    asks(scene).any(|ask| ask.requests.iter().any(clients::is_command))
}

fn has_races(scene: &Scene) -> bool {
    asks(scene).any(|ask| !ask.lawful.is_empty())
}

/// What a played scene says otherwise than its record.
fn unlike(scene: &Scene, played: &Played) -> Vec<Difference> {
    let recorded = answers::read(&scene.name);
    let mut differences = Vec::new();
    for (title, expected) in &recorded {
        let step = format!("{} / {title}", scene.name);
        let ask = asks(scene).find(|ask| ask.title == *title);
        let lawful = ask.map(|ask| ask.lawful.as_slice()).unwrap_or_default();
        match played.answers.iter().find(|(given, _)| given == title) {
            Some((_, given)) if lawful.is_empty() => {
                differences.extend(diff::between(&step, expected, given));
            }
            Some((_, given)) => differences.extend(diff::among(&step, lawful, expected, given)),
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
        count += asks(&scene).map(|ask| ask.requests.len()).sum::<usize>();
        let titles: Vec<_> = asks(&scene).map(|ask| ask.title.clone()).collect();
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
    for scene in wanted() {
        let plays = if has_races(&scene) { RACES_RECORDED } else { 1 };
        let mut recorded = answers::earlier(&scene.name).unwrap_or_default();
        for _ in 0..plays {
            let played = drive::play(original.address(), &postgres, &scene, None).await;
            failed.extend(played.failed);
            recorded = kept(&scene, &recorded, played.answers);
        }
        answers::write(&scene.name, &recorded);
        eprintln!("{}: {} recorded", scene.name, recorded.len());
    }
    assert_eq!(
        failed,
        Vec::<String>::new(),
        "these scenes could not be played"
    );
}

/// What a scene gave, beside what its races gave in earlier plays, as far as that is lawful still.
fn kept(scene: &Scene, earlier: &drive::Answers, mut answers: drive::Answers) -> drive::Answers {
    for ask in asks(scene).filter(|ask| !ask.lawful.is_empty()) {
        let of = |answers: &drive::Answers| {
            let found = answers.iter().find(|(title, _)| *title == ask.title);
            found.map(|(_, given)| given.clone()).unwrap_or_default()
        };
        let earlier = of(earlier);
        if let Some((_, given)) = answers.iter_mut().find(|(title, _)| *title == ask.title) {
            let missing = earlier.into_iter().filter(|one| !given.contains(one));
            let missing: Vec<_> = missing.collect();
            given.extend(missing);
            given.sort_by_key(|answer| (answer.status, answer.body.to_string()));
        }
    }
    answers
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
    for scene in wanted() {
        let recorded = answers::read(&scene.name);
        let address = original.address();
        let played = drive::play(address, &postgres, &scene, Some(&recorded)).await;
        assert_eq!(played.failed, None);
        differences.extend(unlike(&scene, &played));
        eprintln!("{}: {} asked again", scene.name, played.answers.len());
    }
    assert!(differences.is_empty(), "{}", shown(&differences));
}

#[tokio::test(flavor = "multi_thread")]
async fn tapline_answers_as_the_original() {
    let mut scenes = wanted();
    scenes.retain(|scene| !has_clients(scene));
    let allowed = compared(&scenes).await;
    let theirs: Vec<_> = scene::all().into_iter().filter(has_clients).collect();
    let stale = allowed::unused(&allowed, |line| {
        let of = |scene: &Scene| line.starts_with(&format!("at: {} / ", scene.name));
        !theirs.iter().any(of)
    });
    let whole = env::var_os("TAPLINE_SCENE").is_none();
    assert!(
        !whole || stale.is_empty(),
        "these differences are no more: {stale:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_that_nobody_here_wrote_print_what_they_print_of_the_original() {
    if !proving() && !clients::are_installed() {
        eprintln!("skipped: scripts/setup installs the clients, where there is Python");
        return;
    }
    let mut scenes = scene::all();
    scenes.retain(has_clients);
    let allowed = compared(&scenes).await;
    let stale = allowed::unused(&allowed, |line| {
        let of = |scene: &Scene| line.starts_with(&format!("at: {} / ", scene.name));
        scenes.iter().any(of)
    });
    assert_eq!(stale, Vec::<String>::new(), "these differences are no more");
}

/// Plays scenes to Tapline; nothing but what is meant may differ from what the original answered.
async fn compared(scenes: &[Scene]) -> Vec<Allowed> {
    let postgres = Postgres::start().await;
    let ours = Ours::start().await;
    let (mut differences, mut failed, mut count) = (Vec::new(), Vec::new(), 0);
    for scene in scenes {
        let played = drive::play(ours.address(), &postgres, scene, None).await;
        let answers = played.answers.iter().map(|(_, given)| given.len());
        count += answers.sum::<usize>();
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
    allowed
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
