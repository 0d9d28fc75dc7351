//! Which placeholders a key may hold: secrets anywhere, `${field}` in templates only, none in topics.

use crate::config::{
    document::{Diagnostic, flatten::Setting, secrets::is_secret_key},
    placeholder::{self, Part as Text},
};
use tapline_sdk::{Info, Kind};

/// Reports what is no placeholder of ours, and what stands in the wrong key.
pub(super) fn check(path: &str, info: &Info, settings: &[Setting], problems: &mut Vec<Diagnostic>) {
    for setting in settings {
        let template = info
            .keys
            .iter()
            .any(|definition| definition.covers(&setting.key) && definition.kind == Kind::Template);
        // Java's named groups look the same, and are a transform's own business.
        let replacement =
            setting.key.starts_with("transforms.") && setting.key.ends_with(".replacement");
        for text in placeholder::parts(&setting.text) {
            let (problem, help) = match text {
                // A password may hold `${` by chance, and what follows is then part of it.
                Text::Other(_) if is_secret_key(&setting.key) => unknown_placeholder(None),
                Text::Other(name) if !(template || replacement) => unknown_placeholder(Some(name)),
                Text::Unclosed => (
                    "has `${` without `}`".to_owned(),
                    "close it; a text that really holds `${` goes into a variable: `${env:NAME}`"
                        .to_owned(),
                ),
                _ => continue,
            };
            let message = format!("{} {problem}", setting.key);
            let problem = Diagnostic::new("TL0111", setting.value_place, message);
            problems.push(problem.at(format!("{path}.{}", setting.key)).help(help));
        }
    }
}

/// Reports every placeholder: a topic's settings are no secrets, and are the same wherever the file is read.
pub(super) fn refuse(path: &str, settings: &[Setting], problems: &mut Vec<Diagnostic>) {
    for setting in settings {
        let placeholder = |text: &Text<'_>| !matches!(text, Text::Literal(_));
        if placeholder::parts(&setting.text).iter().any(placeholder) {
            let message = format!("{} holds a placeholder", setting.key);
            let problem = Diagnostic::new("TL0111", setting.value_place, message);
            let help = "write the value out: settings of topics take no placeholders";
            problems.push(problem.at(format!("{path}.{}", setting.key)).help(help));
        }
    }
}

fn unknown_placeholder(name: Option<&str>) -> (String, String) {
    let known = "use `${env:NAME}`, `${file:PATH:KEY}` or `${directory:PATH:FILE}`; `${field}` works in template keys \
                 only; a text that really holds `${` goes into a variable";
    let Some(name) = name else {
        return ("holds an unknown placeholder".to_owned(), known.to_owned());
    };
    let shouted = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let help = if shouted {
        format!("write `${{env:{name}}}` for an environment variable")
    } else {
        known.to_owned()
    };
    (format!("does not know `${{{name}}}`"), help)
}
