//! The list form of `transforms`: `- RegexRouter: {regex: …, replacement: …}` becomes Kafka Connect's keys.
//!
//! Connect's own form (`transforms: route` with `transforms.route.type`) passes through untouched.

use crate::config::document::{
    Diagnostic, Place,
    flatten::{Setting, flatten},
    yaml::{Content, Entry, Node},
};

/// A chain longer than this is a mistake; it also bounds the keys that a short file can make.
const TRANSFORMS_MAX: usize = 64;

const REMEDY: &str = "write a list: `transforms: [RegexRouter: {regex: …, replacement: …}]`";

/// Adds the settings of a part's `transforms`, `others` being the part's other settings.
pub(super) fn compile(
    entry: &Entry,
    others: &[Setting],
    path: &str,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Setting> {
    let path = format!("{path}.transforms");
    match &entry.value.content {
        // Connect's own form: names here, `transforms.NAME.type` beside it.
        Content::Scalar(text) => vec![setting("transforms", text.clone(), entry.place)],
        Content::List(items) if items.len() <= TRANSFORMS_MAX => {
            let mut chain = Chain {
                path: &path,
                names: Vec::new(),
                settings: Vec::new(),
            };
            for item in items {
                chain.add(item, others, problems);
            }
            chain.finish(entry.place)
        }
        Content::Refused => Vec::new(),
        _ => {
            let message = format!("transforms is {}, not a list", entry.value.shape());
            let problem = Diagnostic::new("TL0112", entry.value.place, message);
            problems.push(problem.at(path).help(REMEDY));
            Vec::new()
        }
    }
}

struct Chain<'a> {
    path: &'a str,
    names: Vec<String>,
    settings: Vec<Setting>,
}

impl Chain<'_> {
    fn add(&mut self, item: &Node, others: &[Setting], problems: &mut Vec<Diagnostic>) {
        let nothing = Vec::new();
        let (class, place, options) = match &item.content {
            Content::Scalar(class) => (class, item.place, &nothing),
            Content::Map(entries) => match entries.as_slice() {
                [Entry { key, place, value }] => match &value.content {
                    Content::Map(options) => (key, *place, options),
                    Content::Null => (key, *place, &nothing),
                    _ => return self.refuse(*place, key, problems),
                },
                _ => return self.refuse(item.place, "an item with several names", problems),
            },
            Content::Refused => return,
            _ => return self.refuse(item.place, item.shape(), problems),
        };
        let typed = format!("transforms.{class}.type");
        if options.is_empty() && others.iter().any(|setting| setting.key == typed) {
            self.names.push(class.clone());
            return;
        }
        let name = self.name_for(class);
        self.settings.push(setting(
            &format!("transforms.{name}.type"),
            class.clone(),
            place,
        ));
        for option in flatten(options, &[], &format!("{}.{class}", self.path), problems) {
            let key = format!("transforms.{name}.{}", option.key);
            self.settings.push(Setting { key, ..option });
        }
        self.names.push(name);
    }

    /// The simple class name without the characters that Connect's names cannot hold; numbered from the second on.
    fn name_for(&self, class: &str) -> String {
        let simple = class.rsplit('.').next().unwrap_or(class);
        let base = simple.replace(['$', ',', ' '], "_");
        let taken = |name: &String| self.names.contains(name);
        (2..)
            .map(|number| format!("{base}{number}"))
            .find(|name| !taken(&base) || !taken(name))
            .filter(|_| taken(&base))
            .unwrap_or(base)
    }

    fn refuse(&self, place: Place, what: &str, problems: &mut Vec<Diagnostic>) {
        let message = format!("transforms cannot hold `{what}` as written");
        let problem = Diagnostic::new("TL0112", place, message);
        problems.push(problem.at(self.path).help(REMEDY));
    }

    fn finish(mut self, place: Place) -> Vec<Setting> {
        if !self.names.is_empty() {
            self.settings
                .push(setting("transforms", self.names.join(","), place));
        }
        self.settings
    }
}

fn setting(key: &str, text: String, place: Place) -> Setting {
    Setting {
        key: key.to_owned(),
        text,
        place,
        value_place: place,
    }
}
