//! Names of loggers: modules of ours, and the Java loggers that people know for the same work.

/// Modules whose levels people change one by one; any other module can be named, too.
pub(super) const MODULES: [&str; 14] = [
    "tapline",
    "tapline::broker",
    "tapline::cli",
    "tapline::converter",
    "tapline::herder",
    "tapline::registry",
    "tapline::rest",
    "tapline::sink",
    "tapline::source",
    "tapline::task",
    "tapline::worker",
    "tapline_file",
    "tapline_postgres",
    "tapline_sql",
];

/// Java packages and the modules that do their work here.
const JAVA: [(&str, &[&str]); 10] = [
    (
        "org.apache.kafka.connect.runtime",
        &[
            "tapline::herder",
            "tapline::sink",
            "tapline::source",
            "tapline::task",
            "tapline::worker",
        ],
    ),
    (
        "org.apache.kafka.connect.runtime.distributed",
        &["tapline::herder"],
    ),
    ("org.apache.kafka.connect.runtime.rest", &["tapline::rest"]),
    ("org.apache.kafka.connect.json", &["tapline::converter"]),
    ("org.apache.kafka.connect.storage", &["tapline::converter"]),
    ("org.apache.kafka.connect.file", &["tapline_file"]),
    ("org.apache.kafka.storage", &["tapline::broker"]),
    ("io.debezium.connector.postgresql", &["tapline_postgres"]),
    ("io.debezium.connector.jdbc", &["tapline_sql"]),
    ("io.confluent", &["tapline::registry", "tapline::converter"]),
];

/// A name as it is kept: modules may be written with dots.
pub(super) fn ours(name: &str) -> String {
    let path = name.replace('.', "::");
    if MODULES.iter().any(|module| is_below(&path, module)) {
        path
    } else {
        name.to_owned()
    }
}

/// Whether it can stand in a filter's directive.
pub(super) fn is_module(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !name.is_empty() && name.chars().all(word)
}

/// Whether a logger is another one or below it.
pub(super) fn is_below(name: &str, above: &str) -> bool {
    match name.strip_prefix(above) {
        Some(rest) => rest.is_empty() || rest.starts_with("::") || rest.starts_with('.'),
        None => false,
    }
}

/// The modules that a Java logger stands for: those of the packages at and below it, or of the nearest package above a
/// class.
pub(super) fn modules_of(name: &str) -> Vec<&'static str> {
    let below = JAVA.iter().filter(|(package, _)| is_below(package, name));
    let below: Vec<&str> = below.flat_map(|(_, modules)| *modules).copied().collect();
    if !below.is_empty() {
        return below;
    }
    let above = JAVA.iter().filter(|(package, _)| is_below(name, package));
    let nearest = above.max_by_key(|(package, _)| package.len());
    nearest
        .map(|(_, modules)| modules.to_vec())
        .unwrap_or_default()
}
