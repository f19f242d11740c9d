//! The history of a package: its ended tickets, oldest first, by their file names. A name is taken apart only when
//! somebody asks for it, so that what concerns the last of them costs much the same after a thousand as after one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Entry, Spool, Stand, TicketName, list};
use crate::base::Result;
use crate::names::{Arch, Item, Name, Tree};

/// The ended tickets of one package, or some of them.
#[derive(Debug, Clone)]
pub struct History {
    directory: PathBuf,
    tree: Tree,
    name: Name,
    /// File names, by age.
    names: Vec<String>,
}

impl History {
    /// Lists what has ended of the package `name`, for all architectures.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn of(spool: &Spool, tree: &Tree, name: &Name) -> Result<Self> {
        let directory = spool.at("done").join(tree).join(name);
        let mut names = list::names(&directory)?;
        // Behind the digit of the priority and its comma stands the ID, as long in each.
        names.sort_unstable_by(|a, b| a.get(2..).cmp(&b.get(2..)));
        Ok(Self { directory, tree: tree.clone(), name: name.clone(), names })
    }

    /// Keeps what is for `arch`.
    pub fn of_arch(mut self, arch: &Arch) -> Self {
        self.names.retain(|text| arch_in(text) == Some(arch.as_str()));
        self
    }

    /// Keeps what is this version for this architecture.
    pub fn of_item(mut self, item: &Item) -> Self {
        let item = item.to_string();
        self.names.retain(|text| item_in(text) == Some(item.as_str()));
        self
    }

    /// Keeps the tickets whose ID is `wanted`.
    pub fn of_ids(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.names.retain(|text| id_in(text).is_some_and(&wanted));
        self
    }

    /// Returns the tickets, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry> {
        self.names.iter().filter_map(|text| self.entry(text))
    }

    /// Returns all of them, oldest first.
    pub fn all(&self) -> Vec<Entry> {
        self.entries().collect()
    }

    /// Returns the last ticket of each architecture, oldest first; a superseded one only when all of them were.
    pub fn last(&self) -> Vec<Entry> {
        let mut last: BTreeMap<&str, Entry> = BTreeMap::new();
        for text in self.names.iter().rev() {
            let Some(arch) = arch_in(text) else { continue };
            let better = match last.get(arch) {
                None => true,
                Some(entry) => is_superseded(entry) && !text.ends_with(",superseded"),
            };
            if let Some(entry) = better.then(|| self.entry(text)).flatten() {
                last.insert(arch, entry);
            }
        }
        let mut last: Vec<Entry> = last.into_values().collect();
        last.sort_unstable_by_key(|entry| entry.name.id);
        last
    }

    fn entry(&self, text: &str) -> Option<Entry> {
        let name: TicketName = text.parse().ok()?;
        let ours =
            matches!(name.stand, Stand::Done(_)) && name.tree == self.tree && name.item.name == self.name;
        ours.then(|| Entry { path: self.directory.join(text), builder: None, name })
    }
}

fn is_superseded(entry: &Entry) -> bool {
    entry.name.stand == Stand::Done(crate::names::Outcome::Superseded)
}

/// The names are `PRIORITY,ID,TREE,ITEM,EPOCH,OUTCOME`.
fn id_in(text: &str) -> Option<&str> {
    text.split(',').nth(1)
}

fn item_in(text: &str) -> Option<&str> {
    text.rsplit(',').nth(2)
}

fn arch_in(text: &str) -> Option<&str> {
    item_in(text)?.rsplit('-').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 7] = [
        "5,20261122-100000-000-aaaaaa,current,gcc-1-1-x86_64,e1,built",
        "2,20261123-100000-000-aaaaaa,current,gcc-2-1-x86_64,e1,failed",
        "5,20261124-100000-000-aaaaaa,current,gcc-3-1-x86_64,e0,superseded",
        "5,20261122-100000-000-bbbbbb,current,gcc-1-1-i686,e0,superseded",
        "5,20261125-100000-000-aaaaaa,current,make-3-1-x86_64,e0,aborted",
        "5,20261126-100000-000-aaaaaa,current,gcc-3-1-x86_64,e01,built",
        "somebody's notes on gcc-1-1-x86_64,e1,built",
    ];

    fn history(place: &tempfile::TempDir) -> History {
        let spool = Spool::create(&place.path().join("spool")).unwrap();
        let directory = spool.at("done/current/gcc");
        std::fs::create_dir_all(&directory).unwrap();
        TEXTS.iter().for_each(|text| std::fs::write(directory.join(text), "").unwrap());
        History::of(&spool, &"current".parse().unwrap(), &"gcc".parse().unwrap()).unwrap()
    }

    fn texts(entries: impl IntoIterator<Item = Entry>) -> Vec<String> {
        entries.into_iter().map(|entry| entry.name.to_string()).collect()
    }

    #[test]
    fn what_has_ended_is_listed_by_age_and_foreign_names_are_not() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(texts(history(&place).entries()), [TEXTS[0], TEXTS[3], TEXTS[1], TEXTS[2]]);
    }

    #[test]
    fn it_can_be_asked_for_one_architecture_version_or_ticket() {
        let place = tempfile::tempdir().unwrap();
        let history = history(&place);
        let item = "gcc-2-1-x86_64".parse().unwrap();
        assert_eq!(texts(history.clone().of_arch(&"i686".parse().unwrap()).entries()), [TEXTS[3]]);
        assert_eq!(texts(history.clone().of_item(&item).entries()), [TEXTS[1]]);
        assert_eq!(texts(history.of_ids(|id| id.ends_with("-bbbbbb")).entries()), [TEXTS[3]]);
    }

    #[test]
    fn the_last_that_was_not_superseded_stands_for_its_architecture() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(texts(history(&place).last()), [TEXTS[3], TEXTS[1]]);
    }
}
