//! What waits for what: which waiting tickets may not be claimed yet, and why.
//!
//! A ticket is parked under the first package it waits for, `park/TREE/NAME/TICKET`, and comes back when nothing of
//! that package is unfinished for its architecture; whoever wants to claim it looks at what else it needs. Parked or
//! not, it waits: no answer depends on it, and a move between the two places need not be durable.

mod parking;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::batch::{self, HeldBack};
use super::look::Look;
use super::{Entry, History, Spool, Stand, Ticket, TicketName};
use crate::base::Result;
use crate::base::durable;
use crate::base::error::readable;
use crate::names::{Arch, Id, Name, Outcome, Package, State, Tree, Word};

pub(super) use parking::{Parking, park, settle_locked};
pub use parking::{behind, free, settle, wake_all};

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

impl Blocker {
    /// Returns what is waited for.
    pub fn name(&self) -> &Name {
        match self {
            Blocker::Unfinished { name, .. } | Blocker::Failed { name } => name,
        }
    }
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

/// An unfinished ticket, as far as those that wait for it need it.
#[derive(Debug, Clone)]
struct Standing {
    id: Id,
    arch: Arch,
    state: State,
    /// What it is parked for itself.
    parked: Option<Name>,
}

/// Tickets that nothing but each other keeps from going on, oldest first, and what each of them is parked for.
type Stuck = BTreeMap<Id, (Package, Option<Name>)>;

/// What a ticket needs: its name and the two things only its content says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needy<'a> {
    pub name: &'a TicketName,
    pub depends: &'a [Name],
    pub batch: Option<&'a Word>,
}

impl<'a> Needy<'a> {
    pub fn of(name: &'a TicketName, ticket: &'a Ticket) -> Self {
        Self { name, depends: &ticket.depends, batch: ticket.batch.as_ref() }
    }
}

/// A look at who waits for whom; each package is looked up once.
#[derive(Debug)]
pub struct Queue<'a> {
    spool: &'a Spool,
    look: Look<'a>,
    known: HashMap<(Tree, Name), Vec<Standing>>,
    /// What is about to be put; it is not in the spool yet.
    planned: HashMap<(Tree, Name), Vec<Standing>>,
    /// For what of that something is to be parked.
    awaited: HashSet<(Tree, Name)>,
    /// Opened when first needed: the lists come before the tickets that they name.
    held_back: Option<HeldBack>,
}

impl<'a> Queue<'a> {
    /// Looks without changing anything.
    pub fn new(spool: &'a Spool) -> Self {
        Self::with(spool, Look::new(spool))
    }

    /// Looks with the queue's lock held.
    pub(super) fn locked(spool: &'a Spool) -> Result<Self> {
        Ok(Self::with(spool, Look::locked(spool)?))
    }

    fn with(spool: &'a Spool, look: Look<'a>) -> Self {
        let (known, planned, awaited, held_back) = Default::default();
        Self { spool, look, known, planned, awaited, held_back }
    }

    /// Returns what looks up the tickets.
    pub(super) fn look(&mut self) -> &mut Look<'a> {
        &mut self.look
    }

    /// Notes that a ticket was claimed meanwhile.
    pub(super) fn claimed(&mut self, entry: &Entry) {
        self.known.remove(&(entry.name.tree.clone(), entry.name.item.name.clone()));
        self.look.claimed(entry);
    }

    /// Notes that a ticket was parked meanwhile.
    pub(super) fn parked(&mut self, entry: &Entry) {
        self.known.remove(&(entry.name.tree.clone(), entry.name.item.name.clone()));
    }

    /// Notes that a ticket is about to be put, in place of whatever of its package waited.
    pub(super) fn plan(&mut self, name: &TicketName) {
        let key = (name.tree.clone(), name.item.name.clone());
        let standing =
            Standing { id: name.id, arch: name.item.arch.clone(), state: State::Waiting, parked: None };
        let planned = self.planned.entry(key).or_default();
        planned.retain(|other| other.arch != standing.arch);
        planned.push(standing);
    }

    /// Returns why a waiting ticket may not be claimed yet; none if it may.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn blocker(&mut self, name: &TicketName, ticket: &Ticket) -> Result<Option<Blocker>> {
        self.blocks(Needy::of(name, ticket))
    }

    pub(super) fn blocks(&mut self, needy: Needy) -> Result<Option<Blocker>> {
        let batch = self.held_back()?.batch_of(needy.name, needy.batch)?;
        for needed in needy.depends.iter().filter(|needed| **needed != needy.name.item.name) {
            let standings = self.fitting(&needy.name.tree, needed, &needy.name.item.arch)?;
            if let Some(first) = self.first_awaited(&standings, batch.as_ref())? {
                if !self.breaks_circle(needy.name, needed)? {
                    return Ok(Some(Blocker::Unfinished { name: needed.clone(), state: first.state }));
                }
            } else if batch.is_some()
                && self.failed_of_batch(&needy.name.tree, needed, &needy.name.item.arch)? == batch
            {
                return Ok(Some(Blocker::Failed { name: needed.clone() }));
            }
        }
        Ok(None)
    }

    fn held_back(&mut self) -> Result<&HeldBack> {
        let held_back = match self.held_back.take() {
            Some(known) => known,
            None => HeldBack::open(self.spool)?,
        };
        Ok(self.held_back.insert(held_back))
    }

    /// Returns the first of what is unfinished, but for what those of `batch` can have though it is held back.
    fn first_awaited<'s>(
        &self,
        standings: &'s [Standing],
        batch: Option<&Word>,
    ) -> Result<Option<&'s Standing>> {
        for standing in standings {
            let staged = match batch {
                Some(batch) if standing.state == State::Built => {
                    batch::is_staged(self.spool, batch, &standing.id)?
                }
                Some(_) | None => false,
            };
            if !staged {
                return Ok(Some(standing));
            }
        }
        Ok(None)
    }

    /// Others build against what is published; those of the same batch were meant to come after it. Returns the batch of
    /// the last ticket that ended, if it failed.
    fn failed_of_batch(&mut self, tree: &Tree, name: &Name, arch: &Arch) -> Result<Option<Word>> {
        let fits = |other: &Arch| other == arch || other.is_any();
        let newest =
            History::of(self.spool, tree, name)?.entries().rfind(|entry| fits(&entry.name.item.arch));
        let failed = newest.filter(|entry| entry.name.stand == Stand::Done(Outcome::Failed));
        let Some(entry) = failed else { return Ok(None) };
        let ticket = readable(entry.ticket())?.and_then(|ticket| ticket.batch);
        self.held_back()?.batch_of(&entry.name, ticket.as_ref())
    }

    /// What of a package is unfinished that somebody who builds for `arch` must wait for.
    fn fitting(&mut self, tree: &Tree, name: &Name, arch: &Arch) -> Result<Vec<Standing>> {
        let key = (tree.clone(), name.clone());
        let fits = |standing: &&Standing| standing.arch == *arch || standing.arch.is_any() || arch.is_any();
        let planned = self.planned.get(&key).cloned().unwrap_or_default();
        let mut fitting: Vec<Standing> = planned.iter().filter(fits).cloned().collect();
        if !self.known.contains_key(&key) {
            let entries = self.look.named(Some(tree), name)?;
            self.known.insert(key.clone(), entries.iter().map(|entry| standing(self.spool, entry)).collect());
        }
        let replaced = |known: &&Standing| {
            known.state == State::Waiting && planned.iter().any(|planned| planned.arch == known.arch)
        };
        let known = self.known.get(&key).into_iter().flatten();
        fitting.extend(known.filter(|known| fits(known) && !replaced(known)).cloned());
        Ok(fitting)
    }

    /// A circle is broken at its oldest ticket: all that this one waits for there waits, in turn, for it.
    fn breaks_circle(&mut self, name: &TicketName, needed: &Name) -> Result<bool> {
        if !self.is_awaited(&name.tree, &name.item.name)? {
            return Ok(false);
        }
        let stuck = self.stuck(&name.package(), needed, &name.id)?;
        Ok(stuck.is_some_and(|stuck| stuck.first_key_value().is_some_and(|(oldest, _)| *oldest == name.id)))
    }

    /// Tells whether something is, or is to be, parked for this package.
    pub(super) fn is_awaited(&self, tree: &Tree, name: &Name) -> Result<bool> {
        let planned = self.awaited.contains(&(tree.clone(), name.clone()));
        Ok(planned || durable::present(&self.spool.parking(tree, name))?)
    }

    /// Returns all that a ticket of `package` waits for because it needs `needed`, over whatever that is parked for in
    /// turn, up to the ticket `end`; none if any of it can go on by itself, or once somebody acts.
    fn stuck(&mut self, package: &Package, needed: &Name, end: &Id) -> Result<Option<Stuck>> {
        let mut stuck = Stuck::new();
        let mut to_visit = vec![Package { name: needed.clone(), ..package.clone() }];
        while let Some(at) = to_visit.pop() {
            let fitting = self.fitting(&at.tree, &at.name, &at.arch)?;
            if fitting.is_empty() {
                return Ok(None);
            }
            for Standing { id, arch, parked, .. } in fitting {
                if parked.is_none() && id != *end {
                    return Ok(None);
                }
                let package = Package { arch, ..at.clone() };
                if stuck.insert(id, (package.clone(), parked.clone())).is_none() && id != *end {
                    to_visit.extend(parked.map(|name| Package { name, ..package }));
                }
            }
        }
        Ok(Some(stuck))
    }

    /// Notes where a planned ticket is to lie; if it closes a cycle in which all are parked, the oldest is not. Returns
    /// that one if it is in the spool already.
    pub(super) fn plan_to_park(&mut self, name: &TicketName, needed: &Name) -> Result<Option<Package>> {
        self.set_planned(&name.package(), Some(needed.clone()));
        self.awaited.insert((name.tree.clone(), needed.clone()));
        if !self.is_awaited(&name.tree, &name.item.name)? {
            return Ok(None);
        }
        let Some(oldest) = self.circle(&name.package())? else { return Ok(None) };
        Ok(if self.set_planned(&oldest, None) { None } else { Some(oldest) })
    }

    fn set_planned(&mut self, package: &Package, parked: Option<Name>) -> bool {
        let key = (package.tree.clone(), package.name.clone());
        let planned = self.planned.get_mut(&key).into_iter().flatten();
        let mut ours = planned.filter(|standing| standing.arch == package.arch);
        ours.next().map(|standing| standing.parked = parked).is_some()
    }

    /// Returns for what, if for anything, a planned ticket is to be parked.
    pub(super) fn planned(&self, name: &TicketName) -> Option<Option<&Name>> {
        let planned = self.planned.get(&(name.tree.clone(), name.item.name.clone()))?;
        planned.iter().find(|standing| standing.id == name.id).map(|standing| standing.parked.as_ref())
    }

    /// Returns the oldest ticket of the circle, if any, that a parked ticket of `package` waits for: the one that is
    /// free once it is looked at.
    fn circle(&mut self, package: &Package) -> Result<Option<Package>> {
        let own = self.fitting(&package.tree, &package.name, &package.arch)?;
        let parked = own.into_iter().filter(|standing| standing.arch == package.arch);
        for Standing { id, parked, .. } in parked {
            let Some(needed) = parked else { continue };
            for (id, (package, parked)) in self.stuck(package, &needed, &id)?.unwrap_or_default() {
                let Some(needed) = parked else { continue };
                let behind = self.stuck(&package, &needed, &id)?.unwrap_or_default();
                if behind.first_key_value().is_some_and(|(oldest, _)| *oldest == id) {
                    return Ok(Some(package));
                }
            }
        }
        Ok(None)
    }
}

fn standing(spool: &Spool, entry: &Entry) -> Standing {
    Standing {
        id: entry.name.id,
        arch: entry.name.item.arch.clone(),
        state: entry.state(),
        parked: parked_for(spool, entry),
    }
}

/// Returns the package a ticket is parked for; none if it is not parked.
pub fn parked_for(spool: &Spool, entry: &Entry) -> Option<Name> {
    let place = entry.path.parent()?.strip_prefix(spool.at("park")).ok()?;
    place.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
pub(super) mod tests;
