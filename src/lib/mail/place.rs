//! Addresses a mail mentions.

use crate::config::Config;
use crate::names::Id;

/// Returns the address of the ticket's page.
pub(super) fn page(config: &Config, id: &Id) -> String {
    // A browser shows the directory, not the page in it, when no server stands between.
    let file = if config.url.starts_with("file:") { "index.html" } else { "" };
    format!("{}ticket/{id}/{file}", config.url)
}

/// Returns the address of the log of one try.
pub(super) fn log(config: &Config, id: &Id, epoch: u32) -> String {
    format!("{}log/{id}.{epoch}.txt", config.url)
}
