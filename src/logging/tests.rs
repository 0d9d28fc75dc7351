use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

fn started() -> Loggers {
    Loggers::new("info,tapline::broker=debug,[request]=trace", |_| Ok(()))
}

fn level(loggers: &Loggers, name: &str) -> Option<Level> {
    loggers.get(name).map(|logger| logger.level)
}

#[test]
fn loggers_begin_with_the_filters_levels() {
    let loggers = started();
    assert_eq!(level(&loggers, ROOT), Some(Level::Info));
    assert_eq!(level(&loggers, "tapline::broker"), Some(Level::Debug));
    assert_eq!(level(&loggers, "tapline.broker"), Some(Level::Debug));
    assert_eq!(level(&loggers, "tapline::rest"), Some(Level::Info));
    assert_eq!(
        level(&loggers, "tapline::broker::log"),
        None,
        "nobody set it"
    );
    assert!(
        loggers
            .all()
            .values()
            .all(|logger| logger.last_modified.is_none())
    );
    let state = loggers.state.lock();
    assert_eq!(state.others, ["[request]=trace"]);
    let text = filter(&state.others, &state.loggers)
        .expect("valid")
        .to_string();
    assert!(
        text.contains("tapline::broker=debug") && text.contains("[request]=trace"),
        "{text}"
    );
}

#[test]
fn a_level_reaches_all_below_and_the_same_level_again_reaches_none() {
    let loggers = started();
    let set = |name, level, now| loggers.set(name, level, now).expect("set");
    assert_eq!(
        set("tapline::broker::log", Level::Debug, 1),
        [""; 0],
        "it is so already"
    );
    let below = set("tapline::broker", Level::Trace, 2);
    assert_eq!(below, ["tapline::broker", "tapline::broker::log"]);
    assert_eq!(set("tapline::broker", Level::Trace, 3), [""; 0]);
    let broker = loggers.get("tapline::broker").expect("known");
    assert_eq!(
        (broker.level, broker.last_modified),
        (Level::Trace, Some(2))
    );
    let all = set(ROOT, Level::Warn, 4);
    assert_eq!(all.len(), loggers.all().len());
    assert_eq!(
        set("tapline_sqlx", Level::Error, 5),
        ["tapline_sqlx"],
        "no child of tapline_sql"
    );
    assert_eq!(level(&loggers, "tapline_sql"), Some(Level::Warn));
}

#[test]
fn java_names_stand_for_the_modules_that_do_their_work() {
    let loggers = started();
    let set = |name, level| loggers.set(name, level, 1).expect("set");
    assert_eq!(
        set("io.debezium", Level::Debug),
        ["io.debezium", "tapline_postgres", "tapline_sql"]
    );
    let class = "io.debezium.connector.postgresql.PostgresConnector";
    assert_eq!(set(class, Level::Error), [class, "tapline_postgres"]);
    assert_eq!(set("a.b", Level::Info), [""; 0]);
    assert_eq!(loggers.get("a.b").expect("known").last_modified, None);
    assert_eq!(level(&loggers, "a"), None);
}

#[test]
fn a_filter_that_is_not_taken_leaves_levels_as_they_were() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let loggers = Loggers::new("info", move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Err("gone".to_owned())
    });
    assert!(matches!(
        loggers.set(ROOT, Level::Debug, 1),
        Err(Refused::Filter(_))
    ));
    assert_eq!(level(&loggers, ROOT), Some(Level::Info));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn loggers_are_bounded() {
    let loggers = started();
    let refused =
        (0..2 * LOGGERS_MAX).find_map(|at| loggers.set(&format!("x{at}"), Level::Info, 1).err());
    assert!(matches!(refused, Some(Refused::TooMany)));
    assert_eq!(loggers.all().len(), LOGGERS_MAX);
}
