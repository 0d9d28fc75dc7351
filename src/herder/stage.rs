//! What a request waits for, so that one that is given up says so (as Kafka Connect's does).
//!
//! Owns the stage of a request: whoever does something that may take long names it with [`during`], and who gave the
//! request its time reads it after [`watched`]. Outside a request, naming a stage does nothing.

use jiff::Timestamp;
use parking_lot::Mutex;
use std::{future::Future, sync::Arc, time::Duration};

tokio::task_local! {
    static STAGE: Arc<Mutex<Option<Stage>>>;
}

/// What a request does or did last.
#[derive(Debug, Clone, Copy)]
struct Stage {
    what: &'static str,
    began: Timestamp,
    ended: Option<Timestamp>,
}

/// Does a request's work; if it takes longer than this it is dropped, and what it waited for is told.
pub(crate) async fn watched<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    let stage: Arc<Mutex<Option<Stage>>> = Arc::default();
    let work = STAGE.scope(Arc::clone(&stage), work);
    let done = tokio::time::timeout(time, work).await;
    let last = *stage.lock();
    done.map_err(|_| match last {
        Some(stage) => format!("Request timed out. {}", stage.told()),
        None => "Request timed out.".to_owned(),
    })
}

/// Does a part of a request's work that may take long. `what` follows «the worker is currently».
pub(crate) async fn during<T>(what: &'static str, work: impl Future<Output = T>) -> T {
    let Ok(current) = STAGE.try_with(Arc::clone) else {
        return work.await;
    };
    let began = Timestamp::now();
    let stage = |ended| Stage { what, began, ended };
    *current.lock() = Some(stage(None));
    let done = work.await;
    *current.lock() = Some(stage(Some(Timestamp::now())));
    done
}

impl Stage {
    /// In Kafka Connect's words.
    fn told(&self) -> String {
        let Self { what, began, ended } = self;
        match ended {
            None => format!("The worker is currently {what}, which began at {began}."),
            Some(ended) => format!(
                "The last operation the worker completed was {what}, which began at {began} and completed at {ended}."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_request_that_takes_too_long_names_its_stage() {
        let told = watched(SOON, during("starting the connector", pending::<()>())).await;
        let told = told.expect_err("it takes too long");
        let words =
            "Request timed out. The worker is currently starting the connector, which began at ";
        assert!(told.starts_with(words) && told.ends_with("Z."), "{told}");

        let work = async {
            during("writing its settings", ready(())).await;
            pending::<()>().await;
        };
        let told = watched(SOON, work).await.expect_err("it takes too long");
        let words =
            "Request timed out. The last operation the worker completed was writing its settings";
        assert!(
            told.starts_with(words) && told.contains(" and completed at "),
            "{told}"
        );
        let told = watched(SOON, pending::<()>()).await;
        assert_eq!(told, Err("Request timed out.".to_owned()));
    }

    #[tokio::test]
    async fn work_that_is_done_in_time_is_no_concern_of_anybodys() {
        assert_eq!(watched(Duration::MAX, during("x", ready(1))).await, Ok(1));
        assert_eq!(during("outside of a request", ready(2)).await, 2);
    }
}
