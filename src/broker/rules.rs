//! The settings of a topic: which there are, what they may say, and what they mean to the log that keeps itself.
//!
//! Names, meanings and defaults are Kafka's, where [`Settings`] does not say otherwise. [`check`] is the only way in,
//! so reading a stored setting never fails: what an older version let through counts as not said.

use super::{error, settings::Settings};
use std::collections::BTreeMap;
use tapline_sdk::{Error, Issue};

/// A setting is stored with a length of 16 bits; none is ever that long.
const SETTING_MAX: usize = 4_096;

/// Kafka's default of `delete.retention.ms`: a reader that is away for less sees every deletion.
const DELETE_RETENTION_MS: i64 = 24 * 60 * 60 * 1_000;

/// Kafka's default of `segment.ms`.
const SEGMENT_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

/// Kafka's default of `min.cleanable.dirty.ratio`: at most half of a compacted log is superseded.
const DIRTY_RATIO: f64 = 0.5;

/// A setting that a topic may have, for whoever shows or completes it.
pub struct TopicSetting {
    /// Kafka's name.
    pub name: &'static str,
    /// What it does, in one line.
    pub documentation: &'static str,
    form: Form,
}

impl TopicSetting {
    /// The values that there are, if they can be counted.
    #[must_use]
    pub fn values(&self) -> &'static [&'static str] {
        match self.form {
            Form::OneOf(known) => known,
            _ => &[],
        }
    }

    /// Whether its values are numbers.
    #[must_use]
    pub fn is_number(&self) -> bool {
        matches!(self.form, Form::AtLeast(_) | Form::Bytes | Form::Ratio)
    }
}

/// Every setting, with what its value must be.
pub const TOPIC_SETTINGS: [TopicSetting; 12] = [
    TopicSetting {
        name: "cleanup.policy",
        documentation: "what becomes of old records: delete, compact (the last of each key stays) or compact,delete",
        form: Form::Policy,
    },
    TopicSetting {
        name: "compression.type",
        documentation: "accepted as in Kafka; tasks compress, by their own compression.type",
        form: Form::OneOf(&[
            "producer",
            "uncompressed",
            "lz4",
            "zstd",
            "gzip",
            "snappy",
            "none",
        ]),
    },
    TopicSetting {
        name: "delete.retention.ms",
        documentation: "how long a deletion stays in a compacted topic",
        form: Form::AtLeast(0),
    },
    TopicSetting {
        name: "max.compaction.lag.ms",
        documentation: "how old a superseded record becomes at most before compaction takes it",
        form: Form::AtLeast(1),
    },
    TopicSetting {
        name: "max.message.bytes",
        documentation: "the largest record batch",
        form: Form::Bytes,
    },
    TopicSetting {
        name: "message.timestamp.type",
        documentation: "accepted as in Kafka; records keep the time of their creation",
        form: Form::OneOf(&["CreateTime", "LogAppendTime"]),
    },
    TopicSetting {
        name: "min.cleanable.dirty.ratio",
        documentation: "the part of a log, 0 to 1, that may be superseded before it is compacted",
        form: Form::Ratio,
    },
    TopicSetting {
        name: "min.compaction.lag.ms",
        documentation: "how long compaction leaves a record alone",
        form: Form::AtLeast(0),
    },
    TopicSetting {
        name: "retention.bytes",
        documentation: "what a partition keeps while old records are deleted; -1 is any size",
        form: Form::AtLeast(-1),
    },
    TopicSetting {
        name: "retention.ms",
        documentation: "how old records become before they are deleted; -1 is any age",
        form: Form::AtLeast(-1),
    },
    TopicSetting {
        name: "segment.bytes",
        documentation: "how large a segment of the log becomes",
        form: Form::Bytes,
    },
    TopicSetting {
        name: "segment.ms",
        documentation: "the longest time that one segment spans",
        form: Form::AtLeast(1),
    },
];

/// What a value must be.
#[derive(Clone, Copy)]
enum Form {
    Policy,
    OneOf(&'static [&'static str]),
    /// A whole number, this one at least.
    AtLeast(i64),
    /// Of a segment or batch.
    Bytes,
    /// 0 to 1.
    Ratio,
}

/// What a topic's settings mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rules {
    /// Only the last record of a key has to stay.
    pub compact: bool,
    /// Old records go.
    pub delete: bool,
    /// How old, by their largest timestamp, whole segments are when they go; `None`: any age stays.
    pub retention_ms: Option<i64>,
    /// What a partition keeps at least while segments go by size; `None`: any size stays.
    pub retention_bytes: Option<u64>,
    /// A segment is closed when a record is this much younger than its first.
    pub segment_ms: i64,
    /// A segment is closed before it grows over this.
    pub segment_bytes: u64,
    /// The largest batch.
    pub batch_bytes_max: usize,
    /// Younger records are not compacted.
    pub min_lag_ms: i64,
    /// Older records are compacted whatever the ratio.
    pub max_lag_ms: i64,
    /// How long a compacted tombstone stays.
    pub delete_retention_ms: i64,
    /// The part of a log that may be superseded.
    pub dirty_ratio: f64,
}

impl Rules {
    /// What settings that were checked mean.
    pub(super) fn of(config: &BTreeMap<String, String>, settings: &Settings) -> Self {
        let number = |key: &str| config.get(key)?.trim().parse::<i64>().ok();
        let limit = |key: &str| number(key).map(|value| u64::try_from(value).ok());
        let policy = config
            .get("cleanup.policy")
            .map_or("delete", String::as_str);
        let has = |wanted: &str| policy.split(',').any(|part| part.trim() == wanted);
        let max_lag_ms = number("max.compaction.lag.ms").unwrap_or(i64::MAX);
        let segment_ms = number("segment.ms").unwrap_or(SEGMENT_MS);
        Self {
            compact: has("compact"),
            delete: has("delete"),
            retention_ms: match number("retention.ms") {
                Some(value) => (value >= 0).then_some(value),
                None => settings.retention_ms,
            },
            retention_bytes: limit("retention.bytes").flatten(),
            // What is compacted is closed first, so the largest lag closes it, too.
            segment_ms: if has("compact") {
                segment_ms.min(max_lag_ms)
            } else {
                segment_ms
            },
            segment_bytes: limit("segment.bytes")
                .flatten()
                .unwrap_or(settings.segment_bytes),
            batch_bytes_max: limit("max.message.bytes")
                .flatten()
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(settings.batch_bytes_max),
            min_lag_ms: number("min.compaction.lag.ms").unwrap_or(0),
            max_lag_ms,
            delete_retention_ms: number("delete.retention.ms").unwrap_or(DELETE_RETENTION_MS),
            dirty_ratio: config
                .get("min.cleanable.dirty.ratio")
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or(DIRTY_RATIO),
        }
    }
}

/// Checks all settings of a topic, each alone and together.
pub(super) fn check(topic: &str, config: &BTreeMap<String, String>) -> Result<(), Error> {
    match problems(config).into_iter().next() {
        None => Ok(()),
        Some(Issue {
            key,
            problem,
            remedy,
        }) => Err(error::bad_setting(topic, &format!("`{key}` {problem}")).remedy(remedy)),
    }
}

/// Everything that is wrong with the settings of a topic, each alone and together.
pub(super) fn problems(config: &BTreeMap<String, String>) -> Vec<Issue> {
    let alone = config.iter();
    let mut found: Vec<Issue> = alone
        .filter_map(|(key, value)| {
            let (problem, remedy) = wrong(key, value)?;
            Some(Issue::new(key, problem, remedy))
        })
        .collect();
    let number = |key: &str| config.get(key)?.trim().parse::<i64>().ok();
    if let (Some(min), Some(max)) = (
        number("min.compaction.lag.ms"),
        number("max.compaction.lag.ms"),
    ) && min > max
    {
        found.push(Issue::new(
            "min.compaction.lag.ms",
            format!("is {min}, above max.compaction.lag.ms, {max}"),
            "lower the first or raise the second",
        ));
    }
    found
}

/// What is wrong with one setting, in words that follow its name, and what to do.
fn wrong(key: &str, value: &str) -> Option<(String, String)> {
    let Some(setting) = TOPIC_SETTINGS.iter().find(|known| known.name == key) else {
        let near = nearest(key);
        let problem = "is no setting of a topic".to_owned();
        return Some((problem, format!("did you mean `{near}`?")));
    };
    if value.len() > SETTING_MAX {
        return Some(("is too long".to_owned(), "shorten it".to_owned()));
    }
    let wrong = |why: &str, remedy: &str| Some((format!("is `{value}`, {why}"), remedy.to_owned()));
    match setting.form {
        Form::Policy => {
            let known = |part: &str| matches!(part.trim(), "compact" | "delete");
            if !value.split(',').all(known) {
                let remedy = "use `compact`, `delete` or `compact,delete`";
                return wrong("no known policy", remedy);
            }
        }
        Form::OneOf(known) => {
            if !known.contains(&value) {
                let remedy = format!("use one of {}", known.join(", "));
                return wrong("which is not known", &remedy);
            }
        }
        Form::Bytes => {
            let fits = |bytes: u64| (1_024..=1 << 30).contains(&bytes);
            if !value.parse().is_ok_and(fits) {
                let remedy = "give bytes as a plain number";
                return wrong("not a number of 1024 to 1073741824", remedy);
            }
        }
        Form::AtLeast(least) => {
            if !value.parse::<i64>().is_ok_and(|value| value >= least) {
                let why = format!("not a whole number of {least} or more");
                let remedy = if least < 0 {
                    "give a plain number; -1 is no limit"
                } else {
                    "give a plain number"
                };
                return wrong(&why, remedy);
            }
        }
        Form::Ratio => {
            let fits = |ratio: f64| (0.0..=1.0).contains(&ratio);
            if !value.parse().is_ok_and(fits) {
                return wrong("not a number of 0 to 1", "give a part of one, such as 0.5");
            }
        }
    }
    None
}

/// The setting that differs in the fewest letters.
fn nearest(key: &str) -> &'static str {
    TOPIC_SETTINGS
        .iter()
        .map(|setting| setting.name)
        .min_by_key(|known| distance(key, known))
        .unwrap_or("cleanup.policy")
}

fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let above = *cell;
            let cost = (above + 1)
                .min(left + 1)
                .min(diagonal + usize::from(x != y));
            diagonal = above;
            left = cost;
            *cell = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn every_setting_says_what_is_wrong_with_it_and_what_to_do() {
        let good = config(&[
            ("cleanup.policy", "compact, delete"),
            ("retention.ms", "-1"),
            ("retention.bytes", "0"),
            ("segment.ms", "1"),
            ("segment.bytes", "1024"),
            ("min.cleanable.dirty.ratio", "0.25"),
            ("min.compaction.lag.ms", "0"),
            ("max.compaction.lag.ms", "9"),
            ("delete.retention.ms", "0"),
            ("compression.type", "producer"),
            ("message.timestamp.type", "CreateTime"),
        ]);
        check("orders", &good).expect("all are right");
        let bad = [
            ("cleanup.policy", "compcat", "use `compact`"),
            ("retention.ms", "-2", "-1 is no limit"),
            ("retention.bytes", "1GiB", "-1 is no limit"),
            ("segment.ms", "0", "plain number"),
            ("segment.bytes", "10", "plain number"),
            ("min.cleanable.dirty.ratio", "1.5", "a part of one"),
            ("delete.retention.ms", "-1", "plain number"),
            ("compression.type", "brotli", "use one of"),
            ("retention.minutes", "5", "did you mean `retention.bytes`?"),
        ];
        for (key, value, remedy) in bad {
            let error = check("orders", &config(&[(key, value)])).expect_err(key);
            assert_eq!(error.code, Some("TL0209"), "{key}");
            let given = error.remedy.clone().unwrap_or_default();
            assert!(given.contains(remedy), "{key}: {given}");
        }
        let crossed = config(&[
            ("min.compaction.lag.ms", "10"),
            ("max.compaction.lag.ms", "9"),
        ]);
        check("orders", &crossed).expect_err("no lag is both");
    }

    #[test]
    fn what_is_not_said_is_as_in_kafka() {
        let rules = Rules::of(&config(&[]), &Settings::default());
        assert!(rules.delete && !rules.compact);
        assert_eq!(rules.retention_ms, Some(7 * 24 * 60 * 60 * 1_000));
        assert_eq!(rules.retention_bytes, None);
        let forever = Rules::of(&config(&[("retention.ms", "-1")]), &Settings::default());
        assert_eq!(forever.retention_ms, None);
        let compacted = config(&[
            ("cleanup.policy", "compact"),
            ("max.compaction.lag.ms", "60000"),
        ]);
        let rules = Rules::of(&compacted, &Settings::default());
        assert!(rules.compact && !rules.delete);
        assert_eq!(rules.segment_ms, 60_000);
    }
}
