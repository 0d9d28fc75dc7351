//! Tapline's REST API held against the real Kafka Connect worker: the same requests, the same answers.
//!
//! Scenes (`scenes/`) are played to both. What the original answered is kept under `answers/`, so that the comparison
//! also runs where Java is absent; `make record` asks the original anew, `make prove` checks that it still answers so.

mod answers;
mod client;
mod drive;
mod json;
mod original;
mod rules;
mod scene;

use crate::support::postgres::Postgres;
use original::Original;
use std::env;

/// Plays every scene, or those whose name contains `TAPLINE_SCENE`, to the original and stores what it answers.
#[tokio::test(flavor = "multi_thread")]
async fn record() {
    if env::var_os("TAPLINE_RECORD").is_none() {
        eprintln!("skipped: `make record` asks the original anew");
        return;
    }
    let wanted = env::var("TAPLINE_SCENE").unwrap_or_default();
    let postgres = Postgres::start().await;
    let original = Original::start().await;
    let mut failed = Vec::new();
    let mut count = 0;
    for scene in scene::all()
        .iter()
        .filter(|scene| scene.name.contains(&wanted))
    {
        match drive::play(original.address(), &postgres, scene).await {
            Ok(given) => {
                count += given
                    .iter()
                    .map(|(_, answers)| answers.len())
                    .sum::<usize>();
                answers::write(&scene.name, &given);
                eprintln!("{}: {} recorded", scene.name, given.len());
            }
            Err(error) => failed.push(error),
        }
    }
    assert_eq!(
        failed,
        Vec::<String>::new(),
        "these scenes could not be played"
    );
    eprintln!("{count} answers recorded");
}
