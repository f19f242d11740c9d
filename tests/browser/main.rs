//! The site as people see it: one with every kind of page, through a real apache with the configuration that is installed,
//! in a real Chromium; and all of its files, read by other programs' parsers.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

#[path = "../farm/apache.rs"]
#[allow(dead_code, reason = "it can do more")]
mod apache;
mod driver;
mod everything;
mod files;
mod html;
mod keyboard;
mod looks;
#[path = "../../src/lib/web/sample.rs"]
#[allow(dead_code, reason = "it can do more")]
mod sample;
mod screenshots;
mod script;
mod stage;
