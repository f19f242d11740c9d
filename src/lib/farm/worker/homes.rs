//! The places of the builders of this host, and what waits there for the master.

use std::path::PathBuf;

use super::outbox::Outbox;
use crate::base::{Clock, Result, lock};
use crate::config::Config;
use crate::farm::master::Master;
use crate::names::Builder;
use crate::spool::list;

/// Brings the master what waits for it here: the reports of every builder of this host, at work or not. Returns what
/// people should know.
///
/// # Errors
/// The master cannot take it now: it stays.
pub fn deliver_all(config: &Config, master: &Master, host: &str, clock: &Clock) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for home in homes(config)? {
        let outbox = Outbox::new(&home.join("outbox"), host);
        // A builder that is at work knows best what it is at.
        if let Some(_idle) = lock::if_free(&home.join("lock"))? {
            outbox.give_back_interrupted()?;
        }
        lines.extend(outbox.deliver(master, config, clock, &|| {})?.unwrap_or_default());
    }
    Ok(lines)
}

/// Tells whether a builder of this host has left anything to deliver.
///
/// # Errors
/// A directory that cannot be read.
pub fn has_reports(config: &Config) -> Result<bool> {
    let mut left = homes(config)?.into_iter().map(|home| list::names(&home.join("outbox")));
    left.try_fold(false, |any, names| Ok(any || !names?.is_empty()))
}

/// The places of the builders of this host.
fn homes(config: &Config) -> Result<Vec<PathBuf>> {
    let names = list::names(&config.builder.work)?;
    let builders = names.iter().filter(|name| name.parse::<Builder>().is_ok());
    let homes = builders.map(|name| config.builder.work.join(name));
    Ok(homes.filter(|home| home.join("outbox").is_dir()).collect())
}
