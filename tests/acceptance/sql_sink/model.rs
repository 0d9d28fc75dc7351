//! Any sequence of changes, split into any batches, leaves the table as the source has it.

use super::{feed::*, items};
use crate::support::postgres::Postgres;
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};
use std::collections::BTreeMap;

/// What a source row can hold.
type Rows = BTreeMap<i64, (String, String)>;

/// A step before it is known what it means for the rows at hand: kind, keys, a value.
type Step = (u8, i64, i64, u8);

/// Sequences tried; each has up to [`STEPS`] steps.
const CASES: u32 = 60;
const STEPS: usize = 120;

/// Few enough that most steps meet a row.
const KEYS: i64 = 12;

/// Applies a step to the model and writes it as the source would.
fn step(model: &mut Rows, feed: &mut Feed, (kind, key, other, value): Step) {
    let table = items();
    let (body, note) = (format!("b{value}"), format!("n{value}"));
    let cells = |key: i64, body: V, note: V| [V::Int(key), body, note];
    let exists = model.contains_key(&key);
    match kind {
        0..=3 if exists => {
            feed.update(&table, &cells(key, t(&body), t(&note)));
            model.insert(key, (body, note));
        }
        0..=3 => {
            feed.insert(&table, &cells(key, t(&body), t(&note)));
            model.insert(key, (body, note));
        }
        4 | 5 if exists => {
            feed.update(&table, &cells(key, V::Left, t(&note)));
            model.entry(key).and_modify(|row| row.1 = note);
        }
        6 if exists => {
            feed.delete(&table, &cells(key, V::Null, V::Null));
            model.remove(&key);
        }
        7 | 8 if exists && !model.contains_key(&other) => {
            let left_out = value % 2 == 0;
            let body = if left_out { V::Left } else { t(&body) };
            feed.change_key(
                &table,
                &cells(key, V::Null, V::Null),
                &cells(other, body.clone(), t(&note)),
            );
            let mut row = model.remove(&key).expect("it exists");
            if let V::Text(body) = body {
                row.0 = body;
            }
            row.1 = note;
            model.insert(other, row);
        }
        9 if value < 40 => {
            feed.truncate(&table);
            model.clear();
        }
        9 if value < 60 => {
            feed.snapshot_begins(&table);
            model.clear();
            for key in 0..20 {
                feed.insert(&table, &cells(key, t(&body), t(&note)));
                model.insert(key, (body.clone(), note.clone()));
            }
        }
        _ => {}
    }
}

#[test]
fn random_changes_in_random_batches_end_as_at_the_source() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let server = runtime.block_on(Postgres::start());
    let fed = std::cell::RefCell::new(runtime.block_on(Fed::start(&server)));
    let seed = 20_261_121;
    let config = Config {
        cases: CASES,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let steps = prop::collection::vec((0_u8..10, 0..KEYS, 0..KEYS, any::<u8>()), 1..STEPS);
    let batches = prop::collection::vec(1_usize..25, 1..20);
    let mut total = 0;
    let result = TestRunner::new(config).run(&(steps, batches), |(steps, batches)| {
        let mut fed = fed.borrow_mut();
        let mut model = Rows::new();
        let mut steps = steps.into_iter();
        runtime.block_on(fed.put(|feed| {
            feed.truncate(&items());
        }));
        for size in batches.into_iter().cycle() {
            let mut feed = Feed::default();
            let mut taken = 0;
            for next in steps.by_ref().take(size) {
                step(&mut model, &mut feed, next);
                taken += 1;
            }
            if taken == 0 {
                break;
            }
            let rejected = runtime.block_on(fed.try_put(&feed));
            let rejected = rejected.unwrap_or_else(|error| panic!("{}", error.chain()));
            prop_assert_eq!(rejected, []);
            let expected: Vec<String> = model
                .iter()
                .map(|(key, (body, note))| format!("{key}|{body}|{note}"))
                .collect();
            let sql = "select to_regclass('public.items') is not null";
            let found = match runtime.block_on(server.rows(sql))[0].as_str() {
                "true" => runtime.block_on(super::content(&server)),
                _ => Vec::new(),
            };
            prop_assert_eq!(found, expected);
        }
        Ok(())
    });
    total += CASES;
    eprintln!("seed {seed}, {total} sequences");
    result.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
}
