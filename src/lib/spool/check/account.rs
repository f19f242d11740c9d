//! Whether the account adds up: whatever was asked for waits, is being built, has ended, is in quarantine, or has expired.
//!
//! How many tickets there are is no proof that none is missing. But a ticket that was ever tried has left reports and logs in
//! other directories; those are counted by themselves, and each must be of a ticket that is somewhere. (Of one that nobody has
//! claimed nothing else speaks: it may be removed by hand, as if nobody had asked.)

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::places::places;
use crate::base::Result;
use crate::names::Id;
use crate::spool::{Spool, expire, list};

/// Returns what speaks of tickets that are nowhere.
pub(super) fn lost(spool: &Spool) -> Result<Vec<PathBuf>> {
    // The witnesses first: of a ticket that somebody asks for and ends meanwhile there is none yet.
    let mut witnesses = witnesses(spool)?;
    if witnesses.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = |text: &str| {
        if let Some(id) = text.split(',').nth(1).and_then(|id| id.parse::<Id>().ok()) {
            witnesses.remove(&id);
        }
    };
    for (directory, _) in places(spool)? {
        list::each_name(&directory, &mut found)?;
    }
    list::each_name(&spool.at("bad"), &mut found)?;
    if !witnesses.is_empty() {
        let gone = expire::gone(spool)?;
        witnesses.retain(|id, _| !gone.contains_key(id));
    }
    let mut lost = Vec::new();
    for (id, paths) in witnesses {
        // It may have come back to a place that was looked at before.
        if list::find(spool, &id)?.is_none() {
            lost.extend(paths.into_iter().map(|path| spool.root().join(path)));
        }
    }
    Ok(lost)
}

/// The reports and logs, by ticket.
fn witnesses(spool: &Spool) -> Result<BTreeMap<Id, Vec<PathBuf>>> {
    let mut found: BTreeMap<Id, Vec<PathBuf>> = BTreeMap::new();
    for place in ["report", "log"] {
        for day in list::names(&spool.at(place))? {
            let day = Path::new(place).join(day);
            list::each_name(&spool.root().join(&day), |name| {
                if let Some(id) = name.split('.').next().and_then(|id| id.parse().ok()) {
                    found.entry(id).or_default().push(day.join(name));
                }
            })?;
        }
    }
    Ok(found)
}
