//! The REST API of the real binary over real HTTP.

mod plugins;
