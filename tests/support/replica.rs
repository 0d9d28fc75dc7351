//! When a replica has caught up with its source.

use super::{
    compare,
    wait::{self, Look},
    worker::Worker,
};

/// Waits until these tables are equal, however long that takes as long as something is delivered; what differs, if
/// nothing is any more.
pub async fn becomes_equal(
    worker: &Worker,
    from: &str,
    to: &str,
    tables: &[&str],
) -> Result<(), String> {
    let mut last = String::new();
    let equal = wait::while_moving(async || {
        let lag = worker.metric("tapline_lag_records").await;
        let delivered = worker.metric("tapline_records_delivered_total").await;
        let at = delivered.map_or(0, f64::to_bits);
        if lag != Some(0.0) {
            last = format!("lag {lag:?}, delivered {delivered:?}");
            return Look::At(at);
        }
        last = compare::differences(from, to, tables).await;
        if last.is_empty() {
            Look::Found(())
        } else {
            Look::At(at)
        }
    })
    .await;
    equal.ok_or(last)
}
