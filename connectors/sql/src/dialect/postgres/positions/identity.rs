//! Whether a position that the target holds is this log's: of this cluster, this topic, and within its ends.

use super::{BY_OPERATOR, Stored};
use tapline_sdk::{Assignment, Error, SinkContext};
use uuid::Uuid;

/// The position to go on from, if the stored rows allow one; nothing is reset by itself.
pub(super) fn check(
    context: &SinkContext,
    assignment: &Assignment,
    group: Option<u64>,
    found: &[Stored],
) -> Result<Option<u64>, Error> {
    let (topic, partition) = (&*assignment.at.topic, assignment.at.partition);
    let here = || {
        found
            .iter()
            .filter(|row| row.topic == topic && row.partition == i64::from(partition))
    };
    let topic_id = Uuid::from_u128(assignment.topic_id).to_string();
    let is_mine =
        |row: &&Stored| *row.cluster_id == *context.cluster_id && row.topic_id == topic_id;
    let known = here()
        .find(|row| row.cluster_id == BY_OPERATOR)
        .or_else(|| here().find(is_mine));
    let remedy = format!(
        "`tapline offsets set` for connector {} states where to go on; or empty the target and delete the \
         connector's rows from the positions table to begin anew",
        context.connector
    );
    let refuse = |code, text: String| Err(Error::config(text).code(code).remedy(remedy.clone()));
    let Some(row) = known else {
        if let Some(other) = here().find(|row| *row.cluster_id != *context.cluster_id) {
            return refuse(
                "TL0405",
                format!(
                    "the target's position for {topic}/{partition} belongs to cluster {}, this is {}",
                    other.cluster_id, context.cluster_id
                ),
            );
        }
        if let Some(other) = here().next() {
            return refuse(
                "TL0406",
                format!(
                    "the target's position for {topic}/{partition} belongs to an earlier topic of that name ({}, this is {topic_id})",
                    other.topic_id
                ),
            );
        }
        return lost(topic, partition, group, &remedy).map(|()| None);
    };
    let Some(position) = row
        .position
        .and_then(|position| u64::try_from(position).ok())
    else {
        return lost(topic, partition, group, &remedy).map(|()| None);
    };
    if position > assignment.high_watermark || position < assignment.log_start {
        return refuse(
            "TL0407",
            format!(
                "the target stands at offset {position} of {topic}/{partition}, but the log holds {} to {}",
                assignment.log_start, assignment.high_watermark
            ),
        );
    }
    Ok(Some(position))
}

/// A group position without one in the target: the target was replaced, or lost its data.
fn lost(topic: &str, partition: u32, group: Option<u64>, remedy: &str) -> Result<(), Error> {
    match group {
        Some(offset @ 1..) => Err(Error::config(format!(
            "{topic}/{partition} was applied up to offset {offset}, but the target holds no position: it lost its data, or \
             is another database"
        ))
        .code("TL0408")
        .remedy(remedy)),
        _ => Ok(()),
    }
}
