//! Recorded answers as text files under `answers/`, one per scene, made to be read and to be reviewed as a diff.
//!
//! ```text
//! == title
//! 409
//! content-type: application/json
//!
//! {"error_code": 409, "message": "Connector a already exists"}
//! ```
//!
//! Answers to requests that were sent at once are separated by a line `&`; those of a race with several lawful ends are
//! kept when it is recorded anew, for one recording does not show them all.

use super::{drive::Answers, json::Json, rules::Answer};
use std::{fmt::Write as _, fs, path::PathBuf};

/// Where a scene's answers stand.
fn file(scene: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/compare/answers/{scene}.txt"))
}

/// Stores what the original answered.
pub fn write(scene: &str, answers: &Answers) {
    let mut text = String::new();
    for (title, given) in answers {
        let given: Vec<_> = given.iter().map(printed).collect();
        let _infallible = write!(text, "== {title}\n{}\n", given.join("&\n"));
    }
    fs::write(file(scene), text).expect("a file of answers is written");
}

/// What the original answered.
pub fn read(scene: &str) -> Answers {
    earlier(scene).unwrap_or_else(|| panic!("{scene} was never recorded"))
}

/// What the original answered, if the scene was ever recorded.
pub fn earlier(scene: &str) -> Option<Answers> {
    let text = fs::read_to_string(file(scene)).ok()?;
    let mut answers = Answers::new();
    for block in format!("\n{text}").split("\n== ").skip(1) {
        let (title, rest) = block.split_once('\n').unwrap_or((block, ""));
        let given = rest.split("\n&\n").map(|part| {
            parsed(part).unwrap_or_else(|| panic!("{scene}: {title}: not a recorded answer"))
        });
        answers.push((title.to_owned(), given.collect()));
    }
    Some(answers)
}

fn printed(answer: &Answer) -> String {
    let mut text = format!("{}\n", answer.status);
    for (name, value) in &answer.headers {
        let _infallible = writeln!(text, "{name}: {value}");
    }
    match &answer.body {
        Json::Text(body) if body.is_empty() => {}
        body => {
            let _infallible = writeln!(text, "\n{}", body.pretty());
        }
    }
    text
}

fn parsed(text: &str) -> Option<Answer> {
    let text = text.trim_end();
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut head = head.lines();
    let status = head.next()?.parse().ok()?;
    let headers = head.map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.to_owned()))
    });
    let body = if body.is_empty() {
        Json::Text(String::new())
    } else {
        Json::read(body)?
    };
    Some(Answer {
        status,
        headers: headers.collect::<Option<_>>()?,
        body,
    })
}

#[test]
fn a_printed_answer_is_read_back() {
    let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
    let body = Json::read(r#"{"a": ["\n== x\n&\n"]}"#).expect("it is JSON");
    let full = Answer {
        status: 200,
        headers,
        body,
    };
    let bare = Answer {
        status: 204,
        headers: [].into(),
        body: Json::Text(String::new()),
    };
    for answer in [full, bare] {
        assert_eq!(parsed(&printed(&answer)), Some(answer));
    }
}
