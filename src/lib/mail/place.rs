//! Addresses a mail mentions.

use crate::config::Config;
use crate::names::Id;

/// Returns the address of the ticket's page.
pub(super) fn page(config: &Config, id: &Id) -> String {
    format!("{}ticket/{id}/", config.url)
}

/// Returns the address of the log of one try.
pub(super) fn log(config: &Config, id: &Id, epoch: u32) -> String {
    format!("{}log/{id}.{epoch}.txt", config.url)
}
