//! The sink: Kafka's FileStreamSink, exactly once.
//!
//! Owns which partitions a task moves and where; [`crate::target`] owns the writes. Without a file, lines go to the
//! standard output, which holds no positions: there the group's position counts, and lines may repeat after a crash.

use crate::{
    error,
    keys::{LINE_FORMAT, LineFormat, SINK_FILE, SINK_INFO},
    ledger::Entry,
    render,
    target::{Held, Move, Owner, Target, hex, is_of, positions_of},
    threads,
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tapline_sdk::{
    Assignment, Batch, Config, Connector, Error, Info, Issue, Position, Rejected, Scalar, Sink,
    SinkContext, TopicPartition,
};

/// How long a put waits for another task's: longer than any one write of a batch takes.
const HELD_WAIT_MAX: Duration = Duration::from_secs(10);
/// Between two tries; a put takes milliseconds.
const HELD_LOOK_EVERY: Duration = Duration::from_millis(5);

/// Names of KIP-875's maps for sinks.
const TOPIC: &str = "kafka_topic";
const PARTITION: &str = "kafka_partition";
const OFFSET: &str = "kafka_offset";

/// Appends a line per record to a file.
pub struct FileSink {
    target: Option<Target>,
    format: LineFormat,
    owner: Owner,
    assigned: BTreeMap<TopicPartition, Own>,
    /// The ledger's entry that this task wrote last.
    known: Option<Entry>,
}

/// A partition of this task.
#[derive(Debug, Clone, Copy)]
struct Own {
    topic_id: u128,
    next: Option<u64>,
}

impl Connector for FileSink {
    const INFO: Info = SINK_INFO;

    fn validate(_: &Config) -> Vec<Issue> {
        Vec::new()
    }

    fn files(config: &Config) -> Vec<(&'static str, PathBuf)> {
        let target = config.find(&SINK_FILE).ok().flatten();
        let target = target.map(|file| Target::new(&file, config.files()));
        let both = target.map(|target| [target.path().to_owned(), target.ledger().to_owned()]);
        let named = |file| (SINK_FILE.name(), file);
        both.into_iter().flatten().map(named).collect()
    }

    async fn probe(config: &Config) -> Vec<Issue> {
        let file = config.find(&SINK_FILE).ok().flatten();
        let problem = file.and_then(|file| match fs::metadata(&file) {
            Ok(metadata) if metadata.is_file() => config
                .files()
                .open(fs::File::options().append(true), Path::new(&file))
                .err()
                .map(|error| error.to_string()),
            Ok(_) => Some("it is not a regular file".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = Path::new(&file)
                    .parent()
                    .filter(|folder| *folder != Path::new(""));
                folder
                    .is_some_and(|folder| !folder.is_dir())
                    .then(|| "its folder does not exist".to_owned())
            }
            Err(error) => Some(error.to_string()),
        });
        let issue = |why| {
            let remedy = "name a file in a folder that the worker may write to";
            Issue::new(
                SINK_FILE.name(),
                format!("cannot be written: {why}"),
                remedy,
            )
        };
        problem.map(issue).into_iter().collect()
    }

    fn task_configs(config: &Config, tasks_max: u32) -> Vec<BTreeMap<String, String>> {
        // Tasks differ by their partitions alone, which the runtime assigns; they take turns at the file.
        (0..tasks_max.max(1))
            .map(|_| config.settings().clone())
            .collect()
    }

    async fn connect(config: Config) -> Result<Self, Error> {
        Ok(Self {
            target: config
                .find(&SINK_FILE)?
                .map(|file| Target::new(&file, config.files())),
            format: config.get(&LINE_FORMAT)?,
            owner: Owner {
                cluster: String::new(),
                connector: String::new(),
            },
            assigned: BTreeMap::new(),
            known: None,
        })
    }

    async fn alter_offsets(
        config: &Config,
        to: &[(Position, Option<Position>)],
    ) -> Result<bool, Error> {
        let Some(target) = config
            .find(&SINK_FILE)?
            .map(|file| Target::new(&file, config.files()))
        else {
            return Ok(true);
        };
        let owner = owner(config)?;
        let to = to.iter().map(requested).collect::<Result<Vec<_>, _>>()?;
        if target.peek()?.sequence == 0 {
            // It holds no position: the group's counts.
            return Ok(true);
        }
        let held = hold(&target, None).await?;
        blocking(move || alter(held, &owner, to)).await?;
        Ok(true)
    }

    async fn purge(config: &Config) -> Result<(), Error> {
        let Some(target) = config
            .find(&SINK_FILE)?
            .map(|file| Target::new(&file, config.files()))
        else {
            return Ok(());
        };
        let owner = owner(config)?;
        if target.peek()?.sequence == 0 {
            return Ok(());
        }
        let mut held = hold(&target, None).await?;
        blocking(move || {
            let mut positions = held.entry.state.positions.clone();
            positions.retain(|one| one.connector != owner.connector);
            if positions.is_empty() {
                let removed = fs::remove_file(target.ledger());
                return removed.map_err(|error| error::unwritable(target.ledger(), error));
            }
            held.alter(positions)
        })
        .await
    }
}

impl Sink for FileSink {
    async fn positions(
        config: &Config,
        context: &SinkContext,
    ) -> Result<Vec<(TopicPartition, u64)>, Error> {
        let Some(target) = config
            .find(&SINK_FILE)?
            .map(|file| Target::new(&file, config.files()))
        else {
            return Ok(Vec::new());
        };
        let owner = owner_of(context);
        let entry = blocking(move || target.peek()).await?;
        Ok(positions_of(&entry, &owner).into_iter().collect())
    }

    async fn open(
        &mut self,
        context: &SinkContext,
        assigned: &[Assignment],
        _: &[Option<u64>],
    ) -> Result<Vec<Option<u64>>, Error> {
        self.owner = owner_of(context);
        self.assigned.clear();
        let held = match &self.target {
            None => None,
            Some(target) => Some(hold(target, self.known.take()).await?),
        };
        let mut positions = Vec::with_capacity(assigned.len());
        for one in assigned {
            let next = match &held {
                Some(held) => self.position(held, one)?,
                None => None,
            };
            let topic_id = one.topic_id;
            self.assigned.insert(one.at.clone(), Own { topic_id, next });
            positions.push(next);
        }
        self.known = held.map(|held| held.entry);
        Ok(positions)
    }

    async fn put(&mut self, batch: Batch<'_>) -> Result<Vec<Rejected>, Error> {
        let lines = render::lines(batch.rows, self.format);
        let Some(target) = self.target.clone() else {
            blocking(move || print(&lines)).await?;
            self.moved(batch.next);
            return Ok(Vec::new());
        };
        let moves = self.moves(batch.next);
        let owner = self.owner.clone();
        let mut held = hold(&target, self.known.take()).await?;
        self.known = blocking(move || {
            held.put(&owner, &moves, lines)?;
            Ok(Some(held.entry))
        })
        .await?;
        self.moved(batch.next);
        Ok(Vec::new())
    }

    fn durable(&self) -> Vec<(TopicPartition, u64)> {
        // A put is durable in the ledger when it returns.
        let next = |(at, own): (&TopicPartition, &Own)| Some((at.clone(), own.next?));
        self.assigned.iter().filter_map(next).collect()
    }

    async fn close(self) -> Result<(), Error> {
        Ok(())
    }
}

impl FileSink {
    /// The position that the ledger holds for a partition of this very topic.
    fn position(&self, held: &Held, one: &Assignment) -> Result<Option<u64>, Error> {
        let Some(stored) = held.position(&self.owner, &one.at) else {
            return Ok(None);
        };
        let target = self
            .target
            .as_ref()
            .map(Target::ledger)
            .unwrap_or(Path::new(""));
        if stored.cluster != self.owner.cluster || stored.topic_id != hex(one.topic_id) {
            return Err(error::foreign(target, &one.at.topic, one.at.partition));
        }
        Ok(Some(stored.next))
    }

    fn moves(&self, next: &[(TopicPartition, u64)]) -> Vec<Move> {
        let moved = |(at, to): &(TopicPartition, u64)| {
            let own = self.assigned.get(at)?;
            Some(Move {
                at: at.clone(),
                topic_id: own.topic_id,
                from: own.next,
                to: *to,
            })
        };
        next.iter().filter_map(moved).collect()
    }

    fn moved(&mut self, next: &[(TopicPartition, u64)]) {
        for (at, to) in next {
            if let Some(own) = self.assigned.get_mut(at) {
                own.next = Some(*to);
            }
        }
    }
}

/// Takes the file, waiting for its turn.
async fn hold(target: &Target, known: Option<Entry>) -> Result<Held, Error> {
    let end = Instant::now() + HELD_WAIT_MAX;
    let mut known = known;
    loop {
        let (target_now, known_now) = (target.clone(), known.take());
        if let Some(held) = blocking(move || target_now.hold(known_now)).await? {
            return Ok(held);
        }
        if Instant::now() > end {
            return Err(error::busy(target.ledger()));
        }
        tokio::time::sleep(HELD_LOOK_EVERY).await;
    }
}

/// Runs what blocks. I5: dropped, it goes on to its end; the ledger tells what became of it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    threads::blocking(work).await.unwrap_or_else(|ended| {
        Err(Error::disconnected("the thread that writes the file has ended").because(ended))
    })
}

fn print(lines: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let printed = out.write_all(lines).and_then(|()| out.flush());
    printed.map_err(|error| error::unwritable(Path::new("the standard output"), error))
}

fn owner_of(context: &SinkContext) -> Owner {
    Owner {
        cluster: context.cluster_id.to_string(),
        connector: context.connector.to_string(),
    }
}

/// The owner as a question without a task names it.
fn owner(config: &Config) -> Result<Owner, Error> {
    let text = |key: &str| {
        let given = config.text(key).map(str::to_owned);
        given.ok_or_else(|| {
            Error::config(format!(
                "{key} is missing, so no position can be told to be this connector's"
            ))
        })
    };
    Ok(Owner {
        cluster: text("cluster.id")?,
        connector: text("name")?,
    })
}

fn alter(
    mut held: Held,
    owner: &Owner,
    to: Vec<(TopicPartition, Option<u64>)>,
) -> Result<(), Error> {
    let mut positions = held.entry.state.positions.clone();
    for (at, next) in to {
        match next {
            None => positions.retain(|one| !is_of(one, owner, &at)),
            // A partition without a position here follows the group's, which the runtime changes.
            Some(next) => {
                for one in positions.iter_mut().filter(|one| is_of(one, owner, &at)) {
                    one.next = next;
                }
            }
        }
    }
    held.alter(positions)
}

/// One entry of a request; the runtime has checked its form.
fn requested(
    (partition, offset): &(Position, Option<Position>),
) -> Result<(TopicPartition, Option<u64>), Error> {
    let malformed = || Error::config("an offset of a sink has the wrong form").code("TL0511");
    let Some(Scalar::Text(topic)) = partition.get(TOPIC) else {
        return Err(malformed());
    };
    let number = partition.get(PARTITION).and_then(whole);
    let at = TopicPartition {
        topic: topic.clone(),
        partition: number
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(malformed)?,
    };
    let next = match offset {
        None => None,
        Some(offset) => Some(offset.get(OFFSET).and_then(whole).ok_or_else(malformed)?),
    };
    Ok((at, next))
}

fn whole(scalar: &Scalar) -> Option<u64> {
    match scalar {
        Scalar::Int(number) => u64::try_from(*number).ok(),
        Scalar::Text(text) => text.parse().ok(),
        Scalar::Null | Scalar::Bool(_) => None,
    }
}
