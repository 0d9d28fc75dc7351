//! What may be named and asked over HTTP, by whom, and how much: the real binary, asked as anybody might.

mod lists;
