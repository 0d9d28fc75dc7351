//! What the log must hold: a naive model of everything that was promised, and the check of a log against it.
//!
//! Every record's value names the attempt, append and record it belongs to, so the check trusts no offset that the
//! log reports: it looks at what is served. A commit whose outcome is unknown (the process died in it) may be there
//! as a whole or not at all; what one look finds decides it for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// A topic's name and a partition of it.
pub(super) type At = (String, u32);

/// Group, topic id, partition.
pub(super) type Position = (String, u128, u32);

/// What is known of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// Acknowledged, or found after a crash: its base offsets, in the order of its appends.
    Durable(Vec<u64>),
    /// In flight when the log stopped.
    Unknown,
    /// Refused, or looked for after a crash and not there: must never be there.
    Gone,
}

/// A commit that was tried.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// Where to, the topic's id, and how many records.
    pub appends: Vec<(At, u128, u32)>,
    pub positions: Vec<(Position, u64)>,
    pub fate: Fate,
    /// Whether a reader has seen some of it.
    served: bool,
}

/// The topic whose records have keys, and of which only the last ones have to stay.
pub(super) const COMPACTED: &str = "ledger";

/// The same with retention beside it.
pub(super) const COMPACTED_AGED: &str = "ledger-aged";

/// Whether only the last records of a topic's keys have to stay.
pub(super) fn is_compacted(topic: &str) -> bool {
    topic == COMPACTED || topic == COMPACTED_AGED
}

/// A target's rows: per key and field, the record that it is from.
pub(super) type Rows = BTreeMap<u8, BTreeMap<&'static str, u64>>;

/// A record of a compacted topic: its offset and its name.
pub(super) type Record = (u64, (usize, usize, u32));

/// What a row is made of.
const FIELDS: [&str; 3] = ["after.a", "after.b", "after.c"];

/// What a record of the compacted topic is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Empties the target.
    Barrier,
    Tombstone(u8),
    /// A key, and the fields that are unavailable.
    Row(u8, Vec<&'static str>),
}

/// What this record is, by its name alone.
pub(super) fn kind(attempt: usize, append: usize, record: u32) -> Kind {
    let mut mixed = (attempt as u64) << 32 ^ (append as u64) << 24 ^ u64::from(record);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    let key = (mixed >> 8) as u8 % 7;
    match mixed % 16 {
        0 => Kind::Barrier,
        1 | 2 => Kind::Tombstone(key),
        3..=8 => {
            let lacks = |(bit, _): &(usize, &&str)| mixed >> (16 + bit) & 1 == 1;
            let lacks = FIELDS.iter().enumerate().filter(lacks);
            Kind::Row(key, lacks.map(|(_, field)| *field).collect())
        }
        _ => Kind::Row(key, Vec::new()),
    }
}

/// Applies records in order, as a target does.
pub(super) fn apply<'a>(rows: &mut Rows, records: impl IntoIterator<Item = &'a Record>) {
    for (offset, (attempt, append, record)) in records {
        match kind(*attempt, *append, *record) {
            Kind::Barrier => rows.clear(),
            Kind::Tombstone(key) => drop(rows.remove(&key)),
            Kind::Row(key, lacks) => {
                let row = rows.entry(key).or_default();
                let has = FIELDS.iter().filter(|field| !lacks.contains(field));
                row.extend(has.map(|field| (*field, *offset)));
            }
        }
    }
}

/// The rows that a target holds which applied these records and no others.
fn rows<'a>(records: impl IntoIterator<Item = &'a Record>) -> Rows {
    let mut rows = Rows::new();
    apply(&mut rows, records);
    rows
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Live,
    /// Creation or deletion was in flight when the log stopped.
    Unknown,
}

#[derive(Debug, Clone)]
struct Topic {
    id: Option<u128>,
    starts: Vec<u64>,
    /// Log starts that were in flight.
    maybe_starts: Vec<Option<u64>>,
    state: State,
    /// What a setting may be.
    settings: Vec<Option<String>>,
    /// Topics created together are there together.
    creation: usize,
}

/// What a log shows.
#[derive(Debug, Default)]
pub(super) struct View {
    pub topics: BTreeMap<String, TopicView>,
    pub positions: BTreeMap<Position, u64>,
}

#[derive(Debug, Default)]
pub(super) struct TopicView {
    pub id: u128,
    /// The one that operations change.
    pub setting: Option<String>,
    pub partitions: Vec<PartitionView>,
}

#[derive(Debug, Default)]
pub(super) struct PartitionView {
    pub log_start: u64,
    pub end: u64,
    pub records: Vec<(u64, Vec<u8>)>,
    /// Offsets that the log refuses to serve.
    pub damage: Vec<Range<u64>>,
    /// Why reading ended early.
    pub unreadable: Option<String>,
}

impl PartitionView {
    /// What it serves, by name; whether all of it has one was checked before.
    pub(super) fn shown(&self) -> Vec<Record> {
        let records = self.records.iter();
        records
            .filter_map(|(offset, name)| Some((*offset, named(name)?)))
            .collect()
    }
}

/// Everything that was promised.
#[derive(Debug, Default, Clone)]
pub(super) struct Model {
    pub attempts: Vec<Attempt>,
    topics: BTreeMap<String, Topic>,
    creations: usize,
    /// Ids of topics that were deleted.
    deleted: BTreeSet<u128>,
    pub checks: u64,
    pub records_checked: u64,
}

/// A record's value: its name, then filler that depends on it.
pub(super) fn value(attempt: usize, append: usize, record: u32) -> Vec<u8> {
    let mut value = format!("{attempt}/{append}/{record}/").into_bytes();
    let spread = attempt.wrapping_mul(31) ^ append.wrapping_mul(17) ^ record as usize;
    let filler = spread % 97;
    value.extend((0..filler).map(|n| b'a' + ((n ^ spread) % 26) as u8));
    value
}

pub(super) fn named(value: &[u8]) -> Option<(usize, usize, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let mut parts = text.split('/');
    let attempt = parts.next()?.parse().ok()?;
    let append = parts.next()?.parse().ok()?;
    Some((attempt, append, parts.next()?.parse().ok()?))
}

impl Model {
    pub(super) fn creating(&mut self, names: &[(String, u32)]) {
        self.creations += 1;
        for (name, partitions) in names {
            let count = *partitions as usize;
            let topic = Topic {
                id: None,
                starts: vec![0; count],
                maybe_starts: vec![None; count],
                state: State::Unknown,
                // Whatever it was created with.
                settings: Vec::new(),
                creation: self.creations,
            };
            self.topics.entry(name.clone()).or_insert(topic);
        }
    }

    pub(super) fn created(&mut self, name: &str, id: u128) {
        let topic = self.topics.get_mut(name).expect("it was being created");
        assert!(
            topic.id.is_none_or(|known| known == id),
            "{name} has another id"
        );
        assert!(
            !self.deleted.contains(&id),
            "{name} has the id of a deleted topic"
        );
        (topic.id, topic.state) = (Some(id), State::Live);
    }

    pub(super) fn deleting(&mut self, name: &str) {
        if let Some(topic) = self.topics.get_mut(name) {
            topic.state = State::Unknown;
        }
    }

    pub(super) fn deleted(&mut self, name: &str) {
        let topic = self.topics.remove(name);
        self.deleted.extend(topic.and_then(|topic| topic.id));
    }

    pub(super) fn altering(&mut self, name: &str, value: &Option<String>) {
        if let Some(topic) = self.topics.get_mut(name)
            && !topic.settings.is_empty()
        {
            topic.settings.push(value.clone());
        }
    }

    pub(super) fn altered(&mut self, name: &str, value: &Option<String>) {
        if let Some(topic) = self.topics.get_mut(name) {
            topic.settings = vec![value.clone()];
        }
    }

    pub(super) fn moving_start(&mut self, at: &At, offset: u64) {
        if let Some(topic) = self.topics.get_mut(&at.0) {
            topic.maybe_starts[at.1 as usize] = Some(offset);
        }
    }

    pub(super) fn moved_start(&mut self, at: &At, offset: u64) {
        if let Some(topic) = self.topics.get_mut(&at.0) {
            let start = &mut topic.starts[at.1 as usize];
            *start = offset.max(*start);
            topic.maybe_starts[at.1 as usize] = None;
        }
    }

    pub(super) fn kept_start(&mut self, at: &At) {
        if let Some(topic) = self.topics.get_mut(&at.0) {
            topic.maybe_starts[at.1 as usize] = None;
        }
    }

    /// Topics that are surely there, with id and partitions.
    pub(super) fn live(&self) -> Vec<(String, u128, u32)> {
        let live = self
            .topics
            .iter()
            .filter(|(_, topic)| topic.state == State::Live);
        live.filter_map(|(name, topic)| Some((name.clone(), topic.id?, topic.starts.len() as u32)))
            .collect()
    }

    pub(super) fn trying(
        &mut self,
        appends: Vec<(At, u128, u32)>,
        positions: Vec<(Position, u64)>,
    ) -> usize {
        self.attempts.push(Attempt {
            appends,
            positions,
            fate: Fate::Unknown,
            served: false,
        });
        self.attempts.len() - 1
    }

    pub(super) fn acknowledged(&mut self, attempt: usize, bases: Vec<u64>) {
        assert_eq!(
            bases.len(),
            self.attempts[attempt].appends.len(),
            "a base offset per append"
        );
        self.attempts[attempt].fate = Fate::Durable(bases);
    }

    pub(super) fn refused(&mut self, attempt: usize) {
        self.attempts[attempt].fate = Fate::Gone;
    }

    /// Commits that are surely there.
    pub(super) fn durable(&self) -> usize {
        let durable = |attempt: &&Attempt| matches!(attempt.fate, Fate::Durable(_));
        self.attempts.iter().filter(durable).count()
    }

    /// Compares, and settles what was unknown.
    pub(super) fn check(&mut self, view: &View) -> Result<(), String> {
        self.checks += 1;
        self.check_topics(view)?;
        let mut found: BTreeMap<(usize, usize), Vec<(u64, u32)>> = BTreeMap::new();
        for (name, topic) in &view.topics {
            for (number, partition) in (0_u32..).zip(&topic.partitions) {
                let at = (name.clone(), number);
                self.check_partition(&at, topic.id, partition, &mut found)
                    .map_err(|error| format!("{name}-{number}: {error}"))?;
                self.records_checked += partition.records.len() as u64;
            }
        }
        self.settle(view, &found)?;
        self.check_rows(view)?;
        self.check_settings(view)?;
        self.check_positions(view)
    }

    fn check_settings(&mut self, view: &View) -> Result<(), String> {
        for (name, topic) in &mut self.topics {
            let Some(seen) = view.topics.get(name) else {
                continue;
            };
            if !topic.settings.is_empty() && !topic.settings.contains(&seen.setting) {
                return Err(format!("{name} has the setting {:?}", seen.setting));
            }
            topic.settings = vec![seen.setting.clone()];
        }
        Ok(())
    }

    /// What a compacted topic shows must come to the same rows as everything that was written to it: the last value of
    /// each key, whole, and none that a newer record took back.
    pub(super) fn check_rows(&self, view: &View) -> Result<(), String> {
        let compacted = view.topics.iter().filter(|(name, _)| is_compacted(name));
        for (name, topic) in compacted {
            for (number, partition) in (0_u32..).zip(&topic.partitions) {
                if !partition.damage.is_empty() {
                    continue;
                }
                let written = self.written(topic.id, number, partition.log_start);
                let (wanted, seen) = (rows(&written), rows(&partition.shown()));
                if wanted != seen {
                    return Err(format!(
                        "{name}-{number}: the rows are {seen:?}, not {wanted:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The rows that a target holds which applied everything that was ever written to a partition.
    pub(super) fn rows_written(&self, topic_id: u128, number: u32) -> Rows {
        rows(&self.written(topic_id, number, 0))
    }

    /// What is surely there of a partition, compacted or not.
    fn written(&self, topic_id: u128, number: u32, from: u64) -> Vec<Record> {
        let mut written = Vec::new();
        for (attempt, tried) in self.attempts.iter().enumerate() {
            let Fate::Durable(bases) = &tried.fate else {
                continue;
            };
            for (append, ((at, id, count), base)) in tried.appends.iter().zip(bases).enumerate() {
                if *id == topic_id && at.1 == number {
                    let all = (0..*count).map(|n| (base + u64::from(n), (attempt, append, n)));
                    written.extend(all.filter(|(offset, _)| *offset >= from));
                }
            }
        }
        written.sort_unstable();
        written
    }

    /// Compares a log that has stopped or waits for space: commits that are not acknowledged may be seen in part, if
    /// they are durable, so what was seen must not go.
    pub(super) fn check_undecided(&mut self, view: &View) -> Result<(), String> {
        let mut found = BTreeMap::new();
        for (name, topic) in &view.topics {
            for (number, partition) in (0_u32..).zip(&topic.partitions) {
                self.check_partition(&(name.clone(), number), topic.id, partition, &mut found)?;
            }
        }
        for (attempt, _) in found.keys() {
            self.attempts[*attempt].served = true;
        }
        let durable =
            self.attempts
                .iter()
                .enumerate()
                .filter_map(|(number, attempt)| match &attempt.fate {
                    Fate::Durable(bases) => Some((number, attempt, bases)),
                    _ => None,
                });
        for (number, attempt, bases) in durable {
            for (append, ((at, id, count), base)) in attempt.appends.iter().zip(bases).enumerate() {
                let topic = view.topics.get(&at.0).filter(|topic| topic.id == *id);
                let start = topic.and_then(|topic| topic.partitions.get(at.1 as usize));
                let Some(start) = start.map(|partition| partition.log_start) else {
                    continue;
                };
                let wanted = (*base..base + u64::from(*count)).filter(|offset| *offset >= start);
                let seen = found.get(&(number, append)).map_or(0, Vec::len);
                if wanted.count() != seen && !is_compacted(&at.0) {
                    return Err(format!(
                        "attempt {number}, append {append}: {seen} records of {count}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn check_topics(&mut self, view: &View) -> Result<(), String> {
        let mut creations: BTreeMap<usize, BTreeSet<bool>> = BTreeMap::new();
        for (name, topic) in &mut self.topics {
            let seen = view.topics.get(name);
            if topic.id.is_none() {
                creations
                    .entry(topic.creation)
                    .or_default()
                    .insert(seen.is_some());
            }
            match (seen, &topic.state) {
                (None, State::Live) => return Err(format!("topic {name} is gone")),
                (Some(seen), _) if topic.id.is_some_and(|id| id != seen.id) => {
                    return Err(format!("topic {name} has another id"));
                }
                (Some(seen), _) if seen.partitions.len() != topic.starts.len() => {
                    return Err(format!("topic {name} has other partitions"));
                }
                _ => {}
            }
        }
        if creations.values().any(|seen| seen.len() > 1) {
            return Err("of topics created together some are there".into());
        }
        for (name, seen) in &view.topics {
            if !self.topics.contains_key(name) || self.deleted.contains(&seen.id) {
                return Err(format!("topic {name} came out of nowhere"));
            }
        }
        let unknown = self
            .topics
            .iter()
            .filter(|(_, topic)| topic.state == State::Unknown);
        let unknown: Vec<String> = unknown.map(|(name, _)| name.clone()).collect();
        for name in unknown {
            match view.topics.get(&name) {
                Some(seen) => self.created(&name, seen.id),
                None => self.deleted(&name),
            }
        }
        self.check_starts(view)
    }

    fn check_starts(&mut self, view: &View) -> Result<(), String> {
        for (name, topic) in &mut self.topics {
            let Some(seen) = view.topics.get(name) else {
                continue;
            };
            let starts = topic.starts.iter_mut().zip(&mut topic.maybe_starts);
            for ((start, maybe), partition) in starts.zip(&seen.partitions) {
                let seen = partition.log_start;
                if seen != *start && Some(seen) != *maybe {
                    return Err(format!(
                        "log start of {name} is {seen}, not {start} or {maybe:?}"
                    ));
                }
                (*start, *maybe) = (seen, None);
            }
        }
        Ok(())
    }

    /// What is served must follow on, be what was written, and not be what is gone.
    fn check_partition(
        &self,
        at: &At,
        id: u128,
        partition: &PartitionView,
        found: &mut BTreeMap<(usize, usize), Vec<(u64, u32)>>,
    ) -> Result<(), String> {
        if let Some(why) = &partition.unreadable {
            return Err(why.clone());
        }
        let damaged = |offset: u64| {
            partition
                .damage
                .iter()
                .find(|range| range.contains(&offset))
        };
        let mut next = partition.log_start;
        let mut records = partition.records.iter();
        while next < partition.end {
            if let Some(range) = damaged(next) {
                next = range.end;
                continue;
            }
            let Some((offset, bytes)) = records.next() else {
                if is_compacted(&at.0) {
                    break;
                }
                return Err(format!(
                    "nothing at {next}, below the end {}",
                    partition.end
                ));
            };
            if *offset != next && (!is_compacted(&at.0) || *offset < next) {
                return Err(format!("offset {offset} where {next} must be"));
            }
            next = offset + 1;
            let place = named(bytes)
                .filter(|(attempt, append, record)| value(*attempt, *append, *record) == *bytes);
            let Some((attempt, append, record)) = place else {
                return Err(format!("at {offset} stands what nobody wrote"));
            };
            let tried = self.attempts.get(attempt);
            let to = tried.and_then(|tried| tried.appends.get(append));
            if to.is_none_or(|(to, to_id, count)| to != at || *to_id != id || record >= *count) {
                return Err(format!("at {offset} stands a record of another partition"));
            }
            if tried.is_some_and(|tried| tried.fate == Fate::Gone) {
                return Err(format!(
                    "attempt {attempt}, which was not there, came back at {offset}"
                ));
            }
            found
                .entry((attempt, append))
                .or_default()
                .push((*offset, record));
        }
        match records.next() {
            Some((offset, _)) => Err(format!("{offset} is served, the end is {}", partition.end)),
            None => Ok(()),
        }
    }

    /// Every durable append must have been found where it was; every unknown commit whole or not at all.
    fn settle(
        &mut self,
        view: &View,
        found: &BTreeMap<(usize, usize), Vec<(u64, u32)>>,
    ) -> Result<(), String> {
        for number in 0..self.attempts.len() {
            let attempt = &self.attempts[number];
            let mut bases = Vec::new();
            let mut missing = 0;
            for (append, (at, id, count)) in attempt.appends.iter().enumerate() {
                let seen = found.get(&(number, append)).map_or(&[][..], Vec::as_slice);
                let partition = view.topics.get(&at.0).filter(|topic| topic.id == *id);
                let partition = partition.and_then(|topic| topic.partitions.get(at.1 as usize));
                let base = seen
                    .first()
                    .map(|(offset, record)| offset.wrapping_sub((*record).into()));
                let known = match &attempt.fate {
                    Fate::Durable(bases) => bases.get(append).copied(),
                    _ => None,
                };
                let Some(partition) = partition else {
                    bases.push(known.unwrap_or(0));
                    continue;
                };
                let Some(base) = known.or(base) else {
                    missing += 1;
                    bases.push(0);
                    continue;
                };
                let wanted = (0..*count).map(|record| (base + u64::from(record), record));
                let wanted = wanted.filter(|(offset, _)| {
                    *offset >= partition.log_start
                        && !partition.damage.iter().any(|range| range.contains(offset))
                });
                // Of what was compacted some is there.
                let compacted = is_compacted(&at.0) && known.is_some();
                let allowed = if compacted {
                    let wanted: Vec<_> = wanted.clone().collect();
                    seen.iter().all(|record| wanted.contains(record))
                } else {
                    wanted.clone().eq(seen.iter().copied())
                };
                if !allowed {
                    return Err(format!(
                        "attempt {number}, append {append} to {at:?}: {count} records from {base}, {:?}; found {seen:?}",
                        attempt.fate
                    ));
                }
                bases.push(base);
            }
            if attempt.fate != Fate::Unknown {
                continue;
            }
            let appends = attempt.appends.len();
            let gone = missing == appends && appends > 0;
            if gone && attempt.served {
                return Err(format!("attempt {number} was served and is gone"));
            }
            if !gone && missing > 0 {
                return Err(format!("of attempt {number} only a part is there"));
            }
            // A commit of positions alone is settled by the positions.
            if appends > 0 {
                self.attempts[number].fate = if gone {
                    Fate::Gone
                } else {
                    Fate::Durable(bases)
                };
            }
        }
        Ok(())
    }

    fn check_positions(&mut self, view: &View) -> Result<(), String> {
        let mut allowed: BTreeMap<Position, Vec<u64>> = BTreeMap::new();
        for attempt in &self.attempts {
            for (key, next) in &attempt.positions {
                let values = allowed.entry(key.clone()).or_default();
                match attempt.fate {
                    Fate::Durable(_) => *values = vec![*next],
                    Fate::Unknown => values.push(*next),
                    Fate::Gone => {}
                }
            }
        }
        for (key, values) in &allowed {
            let live = view.topics.values().any(|topic| topic.id == key.1);
            let seen = view.positions.get(key);
            // Unknown ones may all be undone, if nothing was certain before.
            let certain = self.is_certain(key);
            let fits = seen.map_or(!certain, |seen| values.contains(seen));
            if live && !fits {
                return Err(format!(
                    "position of {key:?} is {seen:?}, not one of {values:?}"
                ));
            }
        }
        self.settle_positions(view);
        Ok(())
    }

    fn is_certain(&self, key: &Position) -> bool {
        self.attempts.iter().any(|attempt| {
            matches!(attempt.fate, Fate::Durable(_))
                && attempt.positions.iter().any(|(named, _)| named == key)
        })
    }

    /// Commits of positions alone whose outcome was unknown: there if what they set is what is seen.
    fn settle_positions(&mut self, view: &View) {
        for attempt in &mut self.attempts {
            if attempt.fate == Fate::Unknown && attempt.appends.is_empty() {
                let seen = |(key, next): &(Position, u64)| view.positions.get(key) == Some(next);
                attempt.fate = if attempt.positions.iter().any(seen) {
                    Fate::Durable(Vec::new())
                } else {
                    Fate::Gone
                };
            }
        }
    }
}
