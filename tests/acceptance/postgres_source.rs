//! The Postgres source against real servers, driven by itself: what it sends, where it goes on, what it refuses.

mod filters;
mod login;
mod recorder;
mod restarts;
mod slots;
mod stream;
