//! A connector of the fleet: its settings, what was acknowledged of it, and how that shows.

use super::array;
use serde_json::{Value, json};
use std::path::Path;

/// A setting that clients change: harmless, and every connector has it.
pub const SETTING: &str = "errors.retry.delay.max.ms";

/// The first value of [`SETTING`], in milliseconds: short, so that nobody waits long for a server or slot.
pub const SETTING_FIRST: u32 = 500;

/// What a connector is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Running,
    Paused,
    Stopped,
    Absent,
}

/// What the worker holds of a connector; the setting is of no account while it is absent.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    pub life: Life,
    pub setting: u32,
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.life == other.life && (self.life == Life::Absent || self.setting == other.setting)
    }
}

/// One connector.
#[derive(Debug)]
pub struct Member {
    pub name: String,
    settings: Value,
    /// What was acknowledged last.
    pub stored: Stored,
    /// What was asked for and not answered when the worker was killed.
    pub in_flight: Option<Stored>,
    /// Its target refuses a row: its task can only be FAILED while it is to run.
    pub broken: bool,
}

impl Member {
    fn new(name: String, settings: Value, broken: bool) -> Self {
        let stored = Stored {
            life: Life::Running,
            setting: SETTING_FIRST,
        };
        Self {
            name,
            settings,
            stored,
            in_flight: None,
            broken,
        }
    }

    pub fn postgres_source(number: usize, port: u16) -> Self {
        let settings = json!({
            "connector.class": "io.tapline.postgres.PostgresSource", "database.hostname": "127.0.0.1",
            "database.port": port, "database.user": "postgres", "database.dbname": "postgres",
            "topic.prefix": format!("p{number}"), "slot.name": format!("p{number}"),
            "publication.name": format!("p{number}"),
            "table.include.list": format!("public.a{number},public.j{number}"),
        });
        Self::new(format!("pg{number}"), settings, false)
    }

    /// Every other one under Kafka's name.
    pub fn file_source(number: usize, file: &Path) -> Self {
        let class = ["io.tapline.file.FileSource", "FileStreamSource"][number % 2];
        let settings =
            json!({"connector.class": class, "file": file, "topic": format!("lines-{number}")});
        Self::new(format!("file{number}"), settings, false)
    }

    /// Every third one reads whatever its source writes, the others what they list.
    pub fn sql_sink(number: usize, from: usize, url: &str, broken: bool) -> Self {
        let mut settings = json!({
            "connector.class": "sql", "connection.url": url,
            "collection.name.format": format!("s{number}.${{source.table}}"),
        });
        if number % 3 == 2 {
            settings["topics.of"] = json!(format!("pg{from}"));
        } else {
            settings["topics"] = json!(format!("p{from}.public.a{from},p{from}.public.j{from}"));
        }
        Self::new(format!("sql{number}"), settings, broken)
    }

    pub fn file_sink(number: usize, from: usize, file: &Path) -> Self {
        let settings = json!({
            "connector.class": "io.tapline.file.FileSink", "file": file, "topics": format!("lines-{from}"),
        });
        Self::new(format!("copy{number}"), settings, false)
    }

    /// Its settings with this value of [`SETTING`].
    pub fn config(&self, setting: u32) -> Value {
        let mut config = self.settings.clone();
        config[SETTING] = json!(setting);
        config
    }

    /// Which of what may be is shown, once it is.
    pub fn shown(&self, shown: &Value) -> Option<Stored> {
        let mut may_be = std::iter::once(self.stored).chain(self.in_flight);
        may_be.find(|stored| self.is(*stored, shown))
    }

    fn is(&self, stored: Stored, shown: &Value) -> bool {
        if stored.life == Life::Absent || shown.is_null() {
            return stored.life == Life::Absent && shown.is_null();
        }
        let setting = &shown["info"]["config"][SETTING];
        let own = &shown["status"]["connector"]["state"];
        let tasks = array(&shown["status"]["tasks"]);
        let all_are = |states: &[&str]| {
            let state = |task: &Value| task["state"].as_str().map(str::to_owned);
            let mut tasks = tasks.iter().filter_map(state);
            tasks.all(|state| states.contains(&&*state))
        };
        let state = match (stored.life, self.broken) {
            (Life::Running, false) => {
                own == "RUNNING" && !tasks.is_empty() && all_are(&["RUNNING"])
            }
            (Life::Running, true) => own == "RUNNING" && !tasks.is_empty() && all_are(&["FAILED"]),
            (Life::Paused, false) => own == "PAUSED" && all_are(&["PAUSED"]),
            (Life::Paused, true) => own == "PAUSED" && all_are(&["PAUSED", "FAILED"]),
            (Life::Stopped, _) => own == "STOPPED" && tasks.is_empty(),
            (Life::Absent, _) => false,
        };
        state && *setting == json!(stored.setting.to_string())
    }

    /// How it shows in a figure.
    pub fn shows(&self) -> &'static str {
        match self.stored.life {
            Life::Running if self.broken => "FAILED",
            Life::Running => "RUNNING",
            Life::Paused => "PAUSED",
            Life::Stopped => "STOPPED",
            Life::Absent => "deleted",
        }
    }
}
