//! Clients that change connectors until the worker dies under them.

use super::member::{Life, Member, SETTING, SETTING_FIRST, Stored};
use crate::support::service::Rest;
use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Milliseconds between two requests of a client: several at once, and yet more than a few each round.
const PAUSE_MS: std::ops::Range<u64> = 1..60;

/// What was asked, over all clients and kills.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were answered, and so must hold.
    pub acknowledged: u32,
    /// Requests that were under way when the worker was killed.
    pub in_flight: u32,
    /// Of these, those that were carried out.
    pub counted: u32,
    /// Times that a stopped connector was found at the very offset where it was before.
    pub unmoved: usize,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
    }
}

/// A request: what is asked for, and what is to be stored after it.
struct Ask {
    method: Method,
    path: String,
    body: Option<Value>,
    code: u16,
    then: Stored,
}

/// A client with the connectors that are its own.
pub struct Client(JoinHandle<(Vec<Member>, Tally)>);

impl Client {
    pub fn start(rest: Rest, members: Vec<Member>, random: Rng) -> Self {
        Self(tokio::spawn(change(rest, members, random)))
    }

    /// Its connectors, once the worker is gone.
    pub async fn end(self) -> (Vec<Member>, Tally) {
        self.0.await.expect("a client ends by itself")
    }
}

async fn change(rest: Rest, mut members: Vec<Member>, mut random: Rng) -> (Vec<Member>, Tally) {
    let mut tally = Tally::default();
    while !members.is_empty() {
        let at = random.usize(..members.len());
        let member = &mut members[at];
        let ask = Ask::random(member, &mut random);
        let then = ask.then;
        match ask.send(&rest, &member.name).await {
            Some(()) => {
                member.stored = then;
                tally.acknowledged += 1;
            }
            None => {
                member.in_flight = Some(then);
                break;
            }
        }
        // The schedule of requests: not a wait for something.
        tokio::time::sleep(Duration::from_millis(random.u64(PAUSE_MS))).await;
    }
    (members, tally)
}

/// Has a connector run, whatever it is.
pub async fn run(rest: &Rest, member: &mut Member) {
    let asks = match member.stored.life {
        Life::Absent => vec![Ask::create(member, Life::Running, SETTING_FIRST)],
        _ => vec![Ask::to(member, Life::Running), Ask::restart(member)],
    };
    for ask in asks {
        let then = ask.then;
        let answered = ask.send(rest, &member.name).await;
        assert!(answered.is_some(), "the worker runs");
        member.stored = then;
    }
}

impl Ask {
    fn random(member: &Member, random: &mut Rng) -> Self {
        let setting = SETTING_FIRST + random.u32(..500);
        if member.stored.life == Life::Absent {
            let lives = [Life::Running, Life::Running, Life::Paused, Life::Stopped];
            return Self::create(member, lives[random.usize(..lives.len())], setting);
        }
        match random.u8(0..16) {
            0..=2 => Self::to(member, Life::Paused),
            3..=7 => Self::to(member, Life::Running),
            8..=10 => Self::to(member, Life::Stopped),
            11 | 12 => Self::set(member, setting),
            13 | 14 => Self::restart(member),
            _ => Self::delete(member),
        }
    }

    fn of(member: &Member, method: Method, resource: &str, code: u16) -> Self {
        Self {
            method,
            path: format!("/connectors/{}{resource}", member.name),
            body: None,
            code,
            then: member.stored,
        }
    }

    fn to(member: &Member, life: Life) -> Self {
        let (resource, code) = match life {
            Life::Running => ("/resume", 202),
            Life::Paused => ("/pause", 202),
            Life::Stopped => ("/stop", 204),
            Life::Absent => return Self::delete(member),
        };
        let mut ask = Self::of(member, Method::PUT, resource, code);
        ask.then.life = life;
        ask
    }

    fn set(member: &Member, setting: u32) -> Self {
        let mut ask = Self::of(member, Method::PATCH, "/config", 200);
        ask.body = Some(json!({SETTING: setting}));
        ask.then.setting = setting;
        ask
    }

    fn restart(member: &Member) -> Self {
        Self::of(member, Method::POST, "/restart?includeTasks=true", 202)
    }

    fn delete(member: &Member) -> Self {
        let mut ask = Self::of(member, Method::DELETE, "", 204);
        ask.then.life = Life::Absent;
        ask
    }

    fn create(member: &Member, life: Life, setting: u32) -> Self {
        let state = match life {
            Life::Paused => "PAUSED",
            Life::Stopped => "STOPPED",
            Life::Running | Life::Absent => "RUNNING",
        };
        let config = member.config(setting);
        let body = json!({"name": member.name, "config": config, "initial_state": state});
        Self {
            method: Method::POST,
            path: "/connectors".to_owned(),
            body: Some(body),
            code: 201,
            then: Stored { life, setting },
        }
    }

    /// Done, or nobody answered. Any other answer than the one that is due is a failure of the test.
    async fn send(self, rest: &Rest, name: &str) -> Option<()> {
        let what = format!("{} {} of {name}", self.method, self.path);
        let (code, body) = rest.ask(self.method, &self.path, self.body).await?;
        assert_eq!(code, self.code, "{what}: {body}");
        Some(())
    }
}
