//! A fleet of connectors under SIGKILL: while clients pause, resume, stop, patch, restart, delete and create them, the
//! worker is killed. It comes back with exactly what was acknowledged, each connector at its stored offset, and in the
//! end every target holds what its source holds, once.

mod changes;
mod load;
mod member;
pub mod offsets;

use crate::support::{
    compare,
    postgres::Postgres,
    process,
    service::Service,
    wait::{Look, while_moving, within},
};
use changes::{Client, Tally};
use fastrand::Rng;
use load::Load;
use member::{Life, Member, Stored};
use reqwest::Method;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How many of each.
struct Size {
    postgres_sources: usize,
    file_sources: usize,
    sql_sinks: usize,
    /// Of these, the first ones cannot write to their target until it is repaired.
    broken: usize,
    file_sinks: usize,
    kills: u32,
}

const QUICK: Size = Size {
    postgres_sources: 1,
    file_sources: 2,
    sql_sinks: 5,
    broken: 1,
    file_sinks: 12,
    kills: 4,
};

/// 5 sources, 95 sinks.
const FULL: Size = Size {
    postgres_sources: 2,
    file_sources: 3,
    sql_sinks: 30,
    broken: 3,
    file_sinks: 65,
    kills: 20,
};

/// Who changes connectors at once; each has its own, so that it knows in which order its requests were answered.
const CLIENTS: usize = 4;

/// A hundred connectors start together on a machine that has other things to do.
const SETTLES_WITHIN: Duration = Duration::from_secs(240);

struct Fleet {
    size: Size,
    source: Postgres,
    target: Postgres,
    service: Service,
    members: Vec<Member>,
    random: Rng,
    starts: Vec<Start>,
    tally: Tally,
    peak_rss_kib: u64,
}

/// How long a start took until REST answered, and until every connector was in its state.
#[derive(Clone, Copy)]
struct Start {
    answers: Duration,
    settled: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn prove_a_killed_fleet_comes_back_as_it_was_acknowledged() {
    let seed = process::seed("fleet");
    let size = if process::proving() { FULL } else { QUICK };
    let mut fleet = Fleet::new(size, seed).await;
    fleet.populate().await;
    let load = fleet.load(seed);
    for _ in 0..fleet.size.kills {
        fleet.kill_in_the_midst().await;
    }
    let left = fleet.lives();
    let written = load.stop().await;
    fleet.let_everything_run().await;
    fleet.becomes_equal().await;
    fleet.stands_at_the_ends().await;
    let rss = fleet.service.rss_kib().unwrap_or_default();
    let code = fleet.service.terminate();
    assert_eq!(code, Some(0), "{}", fleet.service.log());
    fleet.tell(seed, &left, &written, rss);
}

impl Fleet {
    async fn new(size: Size, seed: u64) -> Self {
        let source = Postgres::start().await;
        // A sink has a connection for its data, and one more while its positions are asked for.
        let target = Postgres::start_with(&["max_connections=200"]).await;
        Self {
            size,
            source,
            target,
            service: Service::new(Path::new(env!("CARGO_BIN_EXE_tapline"))),
            members: Vec::new(),
            random: Rng::with_seed(seed),
            starts: Vec::new(),
            tally: Tally::default(),
            peak_rss_kib: 0,
        }
    }

    /// Makes tables, files and connectors, and waits until each of these is in its first state.
    async fn populate(&mut self) {
        for number in 0..self.size.postgres_sources {
            self.source.execute(&load::tables(number)).await;
        }
        for number in 0..self.size.file_sources {
            fs::write(self.lines_of(number), "first\n").expect("a file can be written");
        }
        let began = Instant::now();
        self.service.start().await;
        let answers = began.elapsed();
        self.members = self.describe().await;
        for member in &self.members {
            self.service
                .create(&member.name, member.config(member.stored.setting))
                .await;
        }
        self.settle(began, answers).await;
    }

    async fn describe(&self) -> Vec<Member> {
        let mut members = Vec::new();
        for number in 0..self.size.postgres_sources {
            members.push(Member::postgres_source(number, self.source.port()));
        }
        for number in 0..self.size.file_sources {
            members.push(Member::file_source(number, &self.lines_of(number)));
        }
        for number in 0..self.size.sql_sinks {
            let from = number % self.size.postgres_sources;
            let broken = number < self.size.broken;
            let table = load::target(number, from, broken);
            self.target.execute(&table).await;
            let url = self.target.url("postgres");
            members.push(Member::sql_sink(number, from, &url, broken));
        }
        for number in 0..self.size.file_sinks {
            let from = number % self.size.file_sources;
            members.push(Member::file_sink(number, from, &self.copy_of(number)));
        }
        members
    }

    fn load(&self, seed: u64) -> Load {
        let files = (0..self.size.file_sources).map(|number| self.lines_of(number));
        let url = self.source.url("postgres");
        Load::start(&url, self.size.postgres_sources, files.collect(), seed)
    }

    fn lines_of(&self, source: usize) -> PathBuf {
        self.service.folder().join(format!("lines-{source}.txt"))
    }

    fn copy_of(&self, sink: usize) -> PathBuf {
        self.service.folder().join(format!("copy-{sink}.txt"))
    }

    /// One round: half of the fleet is changed, the worker is killed meanwhile, and what comes back is held against
    /// what was acknowledged.
    async fn kill_in_the_midst(&mut self) {
        let before = offsets::read(&self.service, &self.members).await;
        let mut hands: Vec<Vec<Member>> = (0..CLIENTS).map(|_| Vec::new()).collect();
        let mut left_alone = Vec::new();
        for member in self.members.drain(..) {
            if self.random.bool() {
                hands[self.random.usize(..CLIENTS)].push(member);
            } else {
                left_alone.push(member);
            }
        }
        let stopped: Vec<String> = left_alone
            .iter()
            .filter(|member| member.stored.life == Life::Stopped)
            .map(|member| member.name.clone())
            .collect();
        let clients: Vec<_> = hands
            .into_iter()
            .map(|members| {
                let random = Rng::with_seed(self.random.u64(..));
                Client::start(self.service.rest().clone(), members, random)
            })
            .collect();
        // The schedule of faults: not a wait for something, but when the worker is killed.
        tokio::time::sleep(Duration::from_millis(self.random.u64(100..2_500))).await;
        self.peak_rss_kib = self.peak_rss_kib.max(self.peak());
        self.service.kill();
        self.members = left_alone;
        for client in clients {
            let (members, tally) = client.end().await;
            self.members.extend(members);
            self.tally.add(&tally);
        }
        let began = Instant::now();
        self.service.start().await;
        let answers = began.elapsed();
        self.settle(began, answers).await;
        let after = offsets::read(&self.service, &self.members).await;
        let wrong = offsets::compare(&before, &after, &stopped);
        assert!(wrong.is_empty(), "{wrong}\n{}", self.service.log());
        self.tally.unmoved += stopped.len();
    }

    fn peak(&self) -> u64 {
        self.service.rss_kib().map_or(0, |(_, peak)| peak)
    }

    /// Waits until every connector shows what was acknowledged of it; a request that was under way at the kill may
    /// count, and is known from here on.
    async fn settle(&mut self, began: Instant, answers: Duration) {
        let mut wrong = Vec::new();
        let found = within(SETTLES_WITHIN, async || {
            let path = "/connectors?expand=status&expand=info";
            let (_, shown) = self.service.ask(Method::GET, path, None).await?;
            let found: Vec<Option<Stored>> = self
                .members
                .iter()
                .map(|member| member.shown(&shown[&member.name]))
                .collect();
            let members = self.members.iter().zip(&found);
            wrong = members
                .filter(|(_, found)| found.is_none())
                .map(|(member, _)| format!("{member:?} is {}", shown[&member.name]["status"]))
                .collect();
            found.into_iter().collect::<Option<Vec<_>>>()
        })
        .await;
        let found = found.unwrap_or_else(|| {
            panic!("{}\n{}", wrong.join("\n"), self.service.log());
        });
        let settled = began.elapsed();
        for (member, found) in self.members.iter_mut().zip(found) {
            if let Some(asked) = member.in_flight.take() {
                self.tally.in_flight += 1;
                self.tally.counted += u32::from(asked == found);
            }
            member.stored = found;
        }
        self.starts.push(Start { answers, settled });
    }

    fn lives(&self) -> BTreeMap<&'static str, usize> {
        let mut lives = BTreeMap::new();
        for member in &self.members {
            *lives.entry(member.shows()).or_default() += 1;
        }
        lives
    }

    /// Repairs what was broken, and resumes, creates or restarts every connector.
    async fn let_everything_run(&mut self) {
        for number in 0..self.size.broken {
            let from = number % self.size.postgres_sources;
            self.target.execute(&load::repair(number, from)).await;
        }
        for member in &mut self.members {
            changes::run(self.service.rest(), member).await;
        }
    }

    /// Waits until every target holds what its source holds, as long as something is delivered.
    async fn becomes_equal(&self) {
        let mut wrong = String::new();
        let equal = while_moving(async || {
            wrong = self.difference().await;
            if wrong.is_empty() {
                return Look::Found(());
            }
            Look::At(self.arrived())
        })
        .await;
        let failed = self.states_but_running().await;
        assert!(equal.is_some(), "{wrong}{failed}\n{}", self.service.log());
        assert_eq!(failed, "");
    }

    /// The size of what the files hold: it changes as long as something is delivered to them.
    fn arrived(&self) -> u64 {
        let size = |number| fs::metadata(self.copy_of(number)).map_or(0, |file| file.len());
        (0..self.size.file_sinks).map(size).sum()
    }

    /// The first target that is not like its source.
    async fn difference(&self) -> String {
        for number in 0..self.size.file_sinks {
            let lines = self.lines_of(number % self.size.file_sources);
            let lines = fs::read(lines).expect("a source's file can be read");
            let copy = fs::read(self.copy_of(number)).unwrap_or_default();
            if lines != copy {
                let same = lines.iter().zip(&copy).take_while(|(a, b)| a == b).count();
                let (have, want) = (copy.len(), lines.len());
                return format!("copy {number} has {have} of {want} bytes, alike up to {same}\n");
            }
        }
        let from = self.source.url("postgres");
        for number in 0..self.size.sql_sinks {
            let source = number % self.size.postgres_sources;
            let url = self.target.url("postgres");
            let to = format!("{url}?options[search_path]=s{number}");
            let tables = [format!("a{source}"), format!("j{source}")];
            let tables = tables.each_ref().map(String::as_str);
            let found = compare::differences(&from, &to, &tables).await;
            if !found.is_empty() {
                return format!("sink sql{number}: {found}");
            }
        }
        String::new()
    }

    async fn states_but_running(&self) -> String {
        let path = "/connectors?expand=status";
        let shown = self.service.ask(Method::GET, path, None).await;
        let shown = shown.map(|(_, shown)| shown).unwrap_or_default();
        let members = self.members.iter();
        members
            .filter_map(|member| {
                let status = &shown[&member.name]["status"];
                let tasks = status["tasks"].as_array().map_or(&[][..], Vec::as_slice);
                let runs = status["connector"]["state"] == "RUNNING"
                    && !tasks.is_empty()
                    && tasks.iter().all(|task| task["state"] == "RUNNING");
                (!runs).then(|| format!("{}: {status}\n", member.name))
            })
            .collect()
    }

    /// Every sink's stored offset is its topics' end, and every file source's its file's.
    async fn stands_at_the_ends(&self) {
        let (_, topics) = self
            .service
            .ask(Method::GET, "/tapline/v1/topics", None)
            .await
            .expect("the worker answers");
        let ends = offsets::ends(&topics);
        let mut wrong = String::new();
        // A group's position may come a second after the target's.
        let stand = within(SETTLES_WITHIN, async || {
            let found = offsets::read(&self.service, &self.members).await;
            wrong = offsets::short_of(&found, &ends, |source| {
                fs::metadata(self.lines_of(source)).map_or(0, |file| file.len())
            });
            wrong.is_empty().then_some(())
        })
        .await;
        assert!(stand.is_some(), "{wrong}\n{}", self.service.log());
    }

    fn tell(
        &self,
        seed: u64,
        left: &BTreeMap<&'static str, usize>,
        written: &str,
        (rss, peak): (u64, u64),
    ) {
        let slowest = |of: fn(&Start) -> Duration| self.starts.iter().map(of).max();
        let median = |of: fn(&Start) -> Duration| {
            let mut all: Vec<Duration> = self.starts.iter().map(of).collect();
            all.sort();
            all.get(all.len() / 2).copied()
        };
        eprintln!(
            "fleet, seed {seed}: {} connectors, {} kills; {:?}; left as {left:?}; {written}; every target equal, every \
             connector at its stored offset",
            self.members.len(),
            self.size.kills,
            self.tally,
        );
        eprintln!(
            "fleet: REST answered after {:?} (median; slowest {:?}), every connector was in its state after {:?} \
             (slowest {:?}); resident at the end {} MiB, at most {} MiB",
            median(|start| start.answers).unwrap_or_default(),
            slowest(|start| start.answers).unwrap_or_default(),
            median(|start| start.settled).unwrap_or_default(),
            slowest(|start| start.settled).unwrap_or_default(),
            rss >> 10,
            peak.max(self.peak_rss_kib) >> 10,
        );
    }
}

/// What a REST answer must hold: a value, or a test that has failed.
fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[][..], Vec::as_slice)
}
