//! What a walk through all tickets of a spool keeps of them, and which of them need a second look.

use std::collections::HashSet;

use super::index::Index;
use super::{Entry, Spool, Stand, list};
use crate::base::Result;
use crate::names::{Id, Package, State};

/// What a walk through all tickets keeps of them: little, because there may be a million.
#[derive(Default)]
pub(super) struct Census {
    /// The tickets that have not ended.
    pub unfinished: HashSet<Id>,
    /// Tickets met in more than one place.
    pub twice: HashSet<Id>,
    /// What waits, by package (a hash of it, which is enough to be suspicious).
    waiting: HashSet<u64>,
    /// Packages of which more than one ticket waits.
    pub rivals: HashSet<u64>,
    /// Tickets that wait, but that nobody who looks for their package finds.
    pub unknown: Vec<Entry>,
}

impl Census {
    pub fn count(&mut self, index: Option<&Index>, entry: Entry) {
        let id = entry.name.id;
        match entry.name.stand {
            Stand::Done(_) if !self.unfinished.contains(&id) => return,
            Stand::Done(_) => drop(self.twice.insert(id)),
            Stand::Waiting(_) | Stand::Building(_) => {
                if !self.unfinished.insert(id) {
                    self.twice.insert(id);
                }
            }
        }
        let package = entry.name.package();
        let waits = entry.state() == State::Waiting;
        if waits && !self.waiting.insert(hash(&package)) {
            self.rivals.insert(hash(&package));
        }
        if waits && index.is_some_and(|index| !index.knows(&package, &entry)) {
            self.unknown.push(entry);
        }
    }
}

pub(super) fn hash(package: &Package) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    package.hash(&mut hasher);
    hasher.finish()
}

/// Returns the tickets the census was suspicious of, as they are now: what moved on meanwhile was met twice, or is
/// being superseded.
pub(super) fn suspects(spool: &Spool, census: &Census) -> Result<Vec<Entry>> {
    if census.twice.is_empty() && census.rivals.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = |entry: &Entry| {
        census.twice.contains(&entry.name.id) || census.rivals.contains(&hash(&entry.name.package()))
    };
    let mut entries = list::waiting(spool)?;
    entries.extend(list::building(spool)?);
    entries.retain(&wanted);
    entries.extend(list::done(spool, wanted)?);
    Ok(still(entries))
}

/// Those that are where they were met.
fn still(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.retain(|entry| entry.path.symlink_metadata().is_ok());
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_moved_on_since_it_was_met_is_no_suspect() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = place.path().join(name);
            Entry { name: name.parse().unwrap(), builder: None, path }
        };
        let [stays, moved] = [
            "5,20261120-144743-123-k3f7x2,current,a-1-1-x86_64,e0",
            "5,20261120-144744-123-k3f7x2,current,a-1-2-x86_64,e0",
        ]
        .map(at);
        std::fs::write(&stays.path, "").unwrap();
        assert_eq!(still(vec![moved, stays.clone()]), [stays]);
    }
}
