//! Whether what tries left behind agrees with how often the tickets say that they were claimed.

use std::collections::{BTreeSet, HashMap};

use crate::base::Result;
use crate::names::Id;
use crate::spool::census::Census;
use crate::spool::{Entry, Spool, list};

/// Returns the unfinished tickets of which there is something that only a later claim can have left, with its epoch.
pub(super) fn ahead(spool: &Spool, census: &Census) -> Result<Vec<(Entry, u32)>> {
    let mut last: HashMap<Id, u32> = HashMap::new();
    let mut note = |name: &str| {
        let Some((id, epoch)) = of_try(name).filter(|(id, _)| census.unfinished.contains(id)) else { return };
        let known = last.entry(id).or_default();
        *known = epoch.max(*known);
    };
    let days: BTreeSet<&str> = census.unfinished.iter().map(Id::day).collect();
    for day in days {
        for place in ["report", "log"] {
            list::each_name(&spool.at(place).join(day), &mut note)?;
        }
    }
    list::each_name(&spool.at("hold"), &mut note)?;
    last.retain(|_, epoch| *epoch > 0);
    if last.is_empty() {
        return Ok(Vec::new());
    }
    // Looked at only now: nothing that was seen above can be of a claim that came since.
    let mut entries = list::waiting(spool)?;
    entries.extend(list::building(spool)?);
    let later = |entry: Entry| {
        let epoch = *last.get(&entry.name.id)?;
        (epoch > entry.name.epoch).then_some((entry, epoch))
    };
    Ok(entries.into_iter().filter_map(later).collect())
}

/// The try that a file is about: `ID.EPOCH`, and whatever follows.
fn of_try(name: &str) -> Option<(Id, u32)> {
    let mut parts = name.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
