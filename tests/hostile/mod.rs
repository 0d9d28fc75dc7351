//! Bad input by the thousand: requests to a running worker, bytes on its sockets, and pipeline files.
//!
//! Each request is a good one in which one thing is broken, so that the generator knows what the refusal has to name; what
//! was damaged at random is judged by an oracle written from the documentation. `answers` has the rules.

mod answers;
mod bodies;
mod case;
mod connect;
mod files;
mod oracle;
mod registry;
mod sockets;
mod world;

use crate::support::process::{proving, seed};
use case::{Case, Expect, Server};
use fastrand::Rng;
use std::collections::BTreeMap;
use world::World;

/// Requests in the full profile and in the quick one.
const REQUESTS: [usize; 2] = [10_000, 1_500];

/// As many faults are shown; a rule that is broken is broken often.
const FAULTS_SHOWN: usize = 200;

/// Answers by family and status.
#[derive(Default)]
struct Figures(BTreeMap<String, BTreeMap<u16, usize>>);

impl Figures {
    fn count(&mut self, family: &str, status: u16) {
        *self
            .0
            .entry(family.to_owned())
            .or_default()
            .entry(status)
            .or_default() += 1;
    }

    fn of(&self, statuses: std::ops::RangeInclusive<u16>) -> usize {
        let all = self.0.values().flatten();
        all.filter(|(status, _)| statuses.contains(status))
            .map(|(_, count)| count)
            .sum()
    }

    fn show(&self) {
        for (family, statuses) in &self.0 {
            eprintln!("  {family:28} {statuses:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_prove_to_be_refused_with_place_and_remedy() {
    let [full, quick] = REQUESTS;
    let count = if proving() { full } else { quick };
    let mut random = Rng::with_seed(seed("bad requests"));
    let mut world = World::start().await;
    let (mut figures, mut faults, mut good) = (Figures::default(), Vec::new(), 0);
    for number in 0..count {
        if random.u8(0..12) == 0 {
            match sockets::send(&world, &mut random).await {
                Ok((family, status)) => figures.count(&family, status),
                Err(fault) => faults.push(fault),
            }
            continue;
        }
        let case = match random.u8(0..4) {
            0 => registry::next(&mut random, &world),
            _ => connect::next(&mut random, &world),
        };
        good += usize::from(matches!(case.expect, Expect::Taken));
        if let Some(fault) = one(&world, &case, &mut figures).await {
            faults.push(format!("request {number}: {fault}"));
        }
        assert!(
            world.is_running(),
            "the worker is gone after {case:?}:\n{}",
            world.log()
        );
    }
    world.restore().await;
    world.moves_a_line().await;
    let log = world.log();
    eprintln!(
        "{count} requests: {} taken, of them {good} good by design; {} refused; {} without an answer; {} faults",
        figures.of(200..=299),
        figures.of(400..=499),
        figures.of(0..=0),
        faults.len()
    );
    figures.show();
    assert!(faults.is_empty(), "{}", shown(&faults));
    assert!(!log.contains("panic"), "{log}");
}

/// Sends one request; what is wrong with the answer.
async fn one(world: &World, case: &Case, figures: &mut Figures) -> Option<String> {
    let request = &case.request;
    let what = || {
        let body = request.body.as_deref().unwrap_or_default();
        let body = String::from_utf8_lossy(body.get(..400).unwrap_or(body)).into_owned();
        let target = request.target.get(..200).unwrap_or(&request.target);
        format!(
            "{}: {} {target} {:?} {body:?}",
            case.family, request.method, request.headers
        )
    };
    let reply = match world.send(request).await {
        Ok(reply) => reply,
        Err(error) => return Some(format!("{}\n    {error}", what())),
    };
    figures.count(case.family, reply.status);
    let taken = reply.status < 300 && !["GET", "HEAD"].contains(&&*request.method);
    if taken && request.server == Server::Connect {
        world.restore().await;
    }
    let fault = answers::judge(case, &reply).err()?;
    let body = reply.body.get(..600).unwrap_or(&reply.body);
    Some(format!("{}\n    {fault}: {} {body}", what(), reply.status))
}

fn shown(faults: &[String]) -> String {
    let first: Vec<_> = faults
        .iter()
        .take(FAULTS_SHOWN)
        .map(String::as_str)
        .collect();
    format!("{} faults:\n{}", faults.len(), first.join("\n"))
}
