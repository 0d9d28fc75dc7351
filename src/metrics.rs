//! Prometheus metrics of the worker: every name is a constant of this file, every series is a held handle.
//!
//! Never touched per record: tasks add a batch's figures at once.

/// All series of one worker.
#[derive(Debug, Default)]
pub struct Metrics {}

impl Metrics {
    /// The series in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        String::new()
    }
}
