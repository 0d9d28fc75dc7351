//! What an operator sees: metrics through a real Prometheus, the dashboard's queries, log lines.

mod dashboard;
mod figures;
mod logs;
mod original;
mod prometheus;
mod spans;
