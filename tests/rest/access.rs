//! What may be named and asked over HTTP, by whom, and how much: the real binary, asked as anybody might.

mod https;
mod limits;
mod lists;
pub mod users;
