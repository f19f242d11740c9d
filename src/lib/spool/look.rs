//! Looking up the unfinished tickets of a package by its name, at a cost that does not grow with the queue.

use std::collections::HashSet;
use std::path::PathBuf;

use super::index::Index;
use super::shelf::{InOrder, Shelves};
use super::{Entry, History, Spool, Stand, Ticket, TicketName, list, report};
use crate::base::{Result, durable};
use crate::names::{Arch, Id, Name, Package, Priority, State, Tree};

/// How many epochs a waiting ticket is expected to have at the most; one that has more is searched for.
const EPOCHS: u32 = 5;

/// A look into the spool for one decision, or for a batch of them: what builders hold is listed once.
#[derive(Debug)]
pub struct Look<'a> {
    spool: &'a Spool,
    index: Option<Index>,
    shelves: Shelves<'a>,
    building: Option<Vec<Entry>>,
    /// The IDs of what is held.
    held: Option<HashSet<String>>,
    locked: bool,
}

impl<'a> Look<'a> {
    /// Looks without changing anything.
    pub fn new(spool: &'a Spool) -> Self {
        Self::with(spool, Index::open(spool), false)
    }

    /// Looks with the queue's lock held: the index is made when needed and corrected when it misled.
    pub(super) fn locked(spool: &'a Spool) -> Result<Self> {
        Ok(Self::with(spool, Some(Index::ready(spool)?), true))
    }

    fn with(spool: &'a Spool, index: Option<Index>, locked: bool) -> Self {
        Self { spool, index, shelves: Shelves::new(spool), building: None, held: None, locked }
    }

    /// Returns the index; there is one when the queue's lock is held.
    pub(super) fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// Returns the shelves, to place tickets on.
    pub(super) fn shelves(&mut self) -> &mut Shelves<'a> {
        &mut self.shelves
    }

    /// Notes that a ticket was claimed meanwhile.
    pub(super) fn claimed(&mut self, entry: &Entry) {
        if let Some(building) = &mut self.building {
            building.push(entry.clone());
        }
    }

    /// Returns what is unfinished of a package for all architectures.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn named(&mut self, tree: Option<&Tree>, name: &Name) -> Result<Vec<Entry>> {
        let Some(index) = &self.index else {
            let wanted = |entry: &Entry| {
                entry.name.item.name == *name && tree.is_none_or(|tree| *tree == entry.name.tree)
            };
            return self.everything(wanted);
        };
        let packages = index.packages_called(tree, name)?;
        let mut entries = Vec::new();
        for package in &packages {
            entries.extend(self.unfinished(package)?);
        }
        Ok(entries)
    }

    /// Returns what is unfinished of a package: what waits (one ticket, if nobody was interrupted), what is being
    /// built, what is built and held.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn unfinished(&mut self, package: &Package) -> Result<Vec<Entry>> {
        let Some(index) = &self.index else { return self.search(package) };
        let found = match index.get(package) {
            Ok(None) => return Ok(Vec::new()),
            Ok(Some(asked)) => self.verify(package, &asked)?,
            Err(_) => self.search(package)?,
        };
        if let (true, true, Some(index)) = (self.locked, found.is_empty(), &self.index) {
            index.remove(package);
        }
        Ok(found)
    }

    /// The index says what was asked for last; that is looked for in the order in which a ticket moves on.
    fn verify(&mut self, package: &Package, asked: &Ticket) -> Result<Vec<Entry>> {
        let mut found: Vec<Entry> = self.expected(asked)?.into_iter().collect();
        let moved_on = self.moved_on(package, asked, found.is_empty())?;
        if found.is_empty() && !moved_on.iter().any(|entry| entry.name.id == asked.id) {
            found.extend(self.near(asked)?);
            if found.is_empty() {
                return self.search(package);
            }
        }
        for entry in moved_on {
            if self.is_unfinished(&entry)? {
                found.push(entry);
            }
        }
        Ok(found)
    }

    fn is_unfinished(&self, entry: &Entry) -> Result<bool> {
        match entry.state() {
            State::Waiting | State::Building => Ok(true),
            State::Built => durable::present(&self.spool.hold(&entry.name.id, entry.name.epoch)),
            State::Failed | State::Trouble | State::Aborted | State::Superseded => Ok(false),
        }
    }

    /// What is in the hands of a builder, or was and is held; also `asked` itself if it may have ended.
    fn moved_on(&mut self, package: &Package, asked: &Ticket, ended: bool) -> Result<Vec<Entry>> {
        let ours = |entry: &&Entry| entry.name.package() == *package;
        let mut entries: Vec<Entry> = self.building()?.iter().filter(ours).cloned().collect();
        let (spool, held) = (self.spool, self.held()?);
        let wanted = |id: &str| held.contains(id) || ended && id == asked.id.as_str();
        if ended || !held.is_empty() {
            let history = History::of(spool, &package.tree, &package.name)?;
            entries.extend(history.of_arch(&package.arch).of_ids(wanted).entries());
        }
        Ok(entries)
    }

    /// Returns what builders held when this look first asked.
    pub(super) fn building(&mut self) -> Result<&[Entry]> {
        if self.building.is_none() {
            self.building = Some(list::building(self.spool)?);
        }
        Ok(self.building.as_deref().unwrap_or_default())
    }

    /// Returns the tickets whose packages were held when this look first asked: after it had asked for what builders
    /// held, lest what ends in between is in neither.
    fn held(&mut self) -> Result<&HashSet<String>> {
        let held = match self.held.take() {
            Some(held) => held,
            None => report::held(self.spool)?.iter().map(|(id, _)| id.to_string()).collect(),
        };
        Ok(self.held.insert(held))
    }

    /// A ticket that nobody has touched yet lies where it was put.
    fn expected(&mut self, asked: &Ticket) -> Result<Option<Entry>> {
        let name = TicketName {
            priority: asked.priority,
            id: asked.id,
            tree: asked.tree.clone(),
            item: asked.item(),
            epoch: 0,
            stand: Stand::Waiting(None),
        };
        let mut directories = self.shelves.likely(&name.item.arch, name.priority, &name.id)?;
        directories.extend(asked.depends.iter().map(|needed| self.spool.parking(&asked.tree, needed)));
        first(name, directories.into_iter())
    }

    /// A ticket that came back, rests, or was made more urgent still lies near where it was put.
    fn near(&mut self, asked: &Ticket) -> Result<Option<Entry>> {
        for priority in Priority::ALL {
            for epoch in 0..=EPOCHS {
                let name = TicketName {
                    priority: *priority,
                    id: asked.id,
                    tree: asked.tree.clone(),
                    item: asked.item(),
                    epoch,
                    stand: Stand::Waiting(None),
                };
                let parked = asked.depends.iter().map(|needed| self.spool.parking(&asked.tree, needed));
                if let Some(entry) = first(name.clone(), parked)? {
                    return Ok(Some(entry));
                }
                if epoch > 0 {
                    continue;
                }
                for directory in self.shelves.likely(&name.item.arch, name.priority, &name.id)? {
                    if let Some(entry) = list::with_id(&directory, &asked.id)? {
                        return Ok(Some(entry));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Looks at everything: somebody moved a ticket by hand, or died between two steps.
    fn search(&mut self, package: &Package) -> Result<Vec<Entry>> {
        let found = self.everything(|entry| entry.name.package() == *package)?;
        let waiting = found.iter().filter(|entry| entry.state() == State::Waiting);
        let last =
            waiting.max_by_key(|entry| entry.name.id).or(found.iter().max_by_key(|entry| entry.name.id));
        if let (true, Some(index), Some(last)) = (self.locked, &self.index, last) {
            index.add(&last.path, package)?;
        }
        Ok(found)
    }

    fn everything(&mut self, wanted: impl Fn(&Entry) -> bool) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        for entry in InOrder::all(self.spool)? {
            let entry = entry?;
            if wanted(&entry) {
                found.push(entry);
            }
        }
        self.building = None;
        found.extend(self.building()?.iter().filter(|entry| wanted(entry)).cloned());
        found.extend(report::unpublished(self.spool)?.into_iter().filter(|entry| wanted(entry)));
        Ok(found)
    }

    /// Returns the ticket with this ID if it waits where it should, or is being built.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub(super) fn by_id(&mut self, id: &Id) -> Result<Option<Entry>> {
        for arch in list::directories::<Arch>(&self.spool.at("new"))? {
            for priority in Priority::ALL {
                for directory in self.shelves.likely(&arch, *priority, id)? {
                    if let Some(entry) = list::with_id(&directory, id)? {
                        return Ok(Some(entry));
                    }
                }
            }
        }
        Ok(self.building()?.iter().find(|entry| entry.name.id == *id).cloned())
    }
}

/// Returns the ticket of this name in the first of the directories that has it.
fn first(name: TicketName, directories: impl Iterator<Item = PathBuf>) -> Result<Option<Entry>> {
    let text = name.to_string();
    for path in directories.map(|directory| directory.join(&text)) {
        if durable::present(&path)? {
            return Ok(Some(Entry { name, builder: None, path }));
        }
    }
    Ok(None)
}
