//! What waits for what: which of the waiting tickets may not be claimed yet, and why.

use std::collections::HashMap;

use super::{Entry, Spool, Ticket, list};
use crate::base::Result;
use crate::names::{Arch, Id, Name, Outcome, State, Tree};

/// Why a waiting ticket may not be claimed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// A package it needs waits, is being built, or is built and not published.
    Unfinished {
        /// The package.
        name: Name,
        /// Where its ticket is.
        state: State,
    },
    /// A package of the same batch that it needs has failed.
    Failed {
        /// The package.
        name: Name,
    },
}

impl std::fmt::Display for Blocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Blocker::Unfinished { name, state: State::Built } => {
                write!(f, "{name}, which is not published yet")
            }
            Blocker::Unfinished { name, state } => write!(f, "{name}, which is {state}"),
            Blocker::Failed { name } => write!(f, "{name}, which failed"),
        }
    }
}

/// Unfinished tickets of one package: for which architecture, which, and where.
type Stands = Vec<(Arch, Id, State)>;

/// What is unfinished in the spool, looked at once for one decision.
#[derive(Debug)]
pub struct Queue {
    waiting: Vec<Entry>,
    unfinished: HashMap<(Tree, Name), Stands>,
    tickets: std::cell::RefCell<HashMap<Id, Option<Vec<Name>>>>,
}

impl Queue {
    /// Looks at what waits, is being built, and is built but not published.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn load(spool: &Spool) -> Result<Self> {
        let waiting = list::waiting(spool)?;
        let mut unfinished: HashMap<_, Stands> = HashMap::new();
        for entry in waiting.iter().chain(&list::building(spool)?).chain(&unpublished(spool)?) {
            let key = (entry.name.tree.clone(), entry.name.item.name.clone());
            let stand = (entry.name.item.arch.clone(), entry.name.id.clone(), entry.state());
            unfinished.entry(key).or_default().push(stand);
        }
        Ok(Self { waiting, unfinished, tickets: std::cell::RefCell::default() })
    }

    /// Returns the waiting tickets in claim order.
    pub fn waiting(&self) -> &[Entry] {
        &self.waiting
    }

    /// Notes that a waiting ticket was claimed meanwhile.
    pub fn claimed(&mut self, entry: &Entry) {
        let stands = self.unfinished.values_mut().flatten();
        stands.filter(|(_, id, _)| *id == entry.name.id).for_each(|stand| stand.2 = State::Building);
    }

    /// Returns why the waiting ticket `entry` may not be claimed yet; none if it may.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn blocker(&self, spool: &Spool, entry: &Entry, ticket: &Ticket) -> Result<Option<Blocker>> {
        if ticket.depends.is_empty() {
            return Ok(None);
        }
        for name in ticket.depends.iter().filter(|name| **name != ticket.name) {
            if let Some((id, state)) = self.unfinished(&ticket.tree, name, &ticket.arch) {
                if state == State::Waiting && self.reaches(&id, &entry.name.id) && self.breaks_cycle(entry) {
                    continue;
                }
                return Ok(Some(Blocker::Unfinished { name: name.clone(), state }));
            }
            if ticket.batch.is_some() && failed_in_batch(spool, ticket, name)? {
                return Ok(Some(Blocker::Failed { name: name.clone() }));
            }
        }
        Ok(None)
    }

    fn unfinished(&self, tree: &Tree, name: &Name, arch: &Arch) -> Option<(Id, State)> {
        let stands = self.unfinished.get(&(tree.clone(), name.clone()))?;
        let fits = |other: &Arch| other == arch || other.is_any() || arch.is_any();
        stands.iter().find(|(other, ..)| fits(other)).map(|(_, id, state)| (id.clone(), *state))
    }

    /// A cycle is broken at its oldest ticket: it is in one, and nothing in it is older.
    fn breaks_cycle(&self, entry: &Entry) -> bool {
        let id = &entry.name.id;
        let mut cycle = self.waiting.iter().filter(|other| {
            other.name.id != *id && self.reaches(&other.name.id, id) && self.reaches(id, &other.name.id)
        });
        let first = cycle.next();
        first.is_some_and(|first| id < &first.name.id) && cycle.all(|other| id < &other.name.id)
    }

    /// Tells whether the waiting ticket `from` waits, directly or not, for the waiting ticket `to`.
    fn reaches(&self, from: &Id, to: &Id) -> bool {
        let mut seen = vec![from.clone()];
        let mut at = 0;
        while let Some(id) = seen.get(at).cloned() {
            for next in self.needs(&id) {
                if next == *to {
                    return true;
                }
                if !seen.contains(&next) {
                    seen.push(next);
                }
            }
            at += 1;
        }
        false
    }

    fn needs(&self, id: &Id) -> Vec<Id> {
        let Some(entry) = self.waiting.iter().find(|entry| entry.name.id == *id) else { return Vec::new() };
        let depends = self
            .tickets
            .borrow_mut()
            .entry(id.clone())
            .or_insert_with(|| entry.ticket().ok().map(|ticket| ticket.depends))
            .clone()
            .unwrap_or_default();
        let waits = |name: &Name| match self.unfinished(&entry.name.tree, name, &entry.name.item.arch) {
            Some((id, State::Waiting)) => Some(id),
            Some(_) | None => None,
        };
        depends.iter().filter(|name| **name != entry.name.item.name).filter_map(waits).collect()
    }
}

/// Returns the built tickets whose packages are still held.
fn unpublished(spool: &Spool) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (id, epoch) in super::report::held(spool)? {
        if let Some(entry) = super::report::ended(spool, &id, epoch)?
            && entry.state() == State::Built
        {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// Others build against what is published; those of the same batch were meant to come after it.
fn failed_in_batch(spool: &Spool, ticket: &Ticket, needed: &Name) -> Result<bool> {
    let newest = list::done_of(spool, &ticket.tree, needed)?
        .into_iter()
        .rfind(|entry| entry.name.item.arch == ticket.arch || entry.name.item.arch.is_any());
    Ok(newest.is_some_and(|entry| {
        matches!(entry.name.stand, super::Stand::Done(Outcome::Failed))
            && entry.ticket().is_ok_and(|other| other.batch == ticket.batch)
    }))
}
