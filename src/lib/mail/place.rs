//! Addresses a mail mentions.

use crate::config::Config;
use crate::names::{Builder, Id};

/// Returns the address of the ticket's page.
pub(super) fn page(config: &Config, id: &Id) -> String {
    format!("{}ticket/{id}/{}", config.url, index(config))
}

/// Returns the address of the builder's page.
pub(super) fn builder(config: &Config, name: &Builder) -> String {
    format!("{}builder/{name}/{}", config.url, index(config))
}

/// Returns the address of the front page.
pub(super) fn front(config: &Config) -> String {
    format!("{}{}", config.url, index(config))
}

/// Returns the address of a page that has its own directory.
pub(super) fn at(config: &Config, page: &str) -> String {
    format!("{}{page}/{}", config.url, index(config))
}

/// A browser shows the directory, not the page in it, when no server stands between.
fn index(config: &Config) -> &'static str {
    if config.url.starts_with("file:") { "index.html" } else { "" }
}

/// Returns the address of the log of one try.
pub(super) fn log(config: &Config, id: &Id, epoch: u32) -> String {
    format!("{}log/{id}.{epoch}.txt", config.url)
}
