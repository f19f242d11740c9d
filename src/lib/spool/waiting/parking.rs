//! Parking what waits for something, and waking it.

use std::collections::{BTreeSet, HashMap};

use super::{Queue, Standing, parked_for};
use crate::base::durable::{self, Shift};
use crate::base::error::readable;
use crate::base::{Result, lock};
use crate::names::{Arch, Name, Package, State, Tree, Word};
use crate::spool::index::Index;
use crate::spool::{Entry, History, Spool, Ticket, TicketName, batch, list, report, shelf};

/// How many tickets are woken under one lock: whoever waits for it waits for some milliseconds.
const STEP: usize = 1000;

/// How many circles one more parked ticket may close, one behind the other, before that is left to the next round.
const CIRCLES: usize = 100;

impl Queue<'_> {
    /// Brings the parked ticket of `package` back to where it may be claimed.
    pub(in crate::spool) fn unpark(&mut self, package: &Package) -> Result<()> {
        for entry in self.look.unfinished(package)? {
            if parked_for(self.spool, &entry).is_some() {
                self.shelve(&entry)?;
            }
        }
        self.known.remove(&(package.tree.clone(), package.name.clone()));
        Ok(())
    }

    fn break_circle(&mut self, tree: &Tree, name: &Name) -> Result<()> {
        for entry in self.look.named(Some(tree), name)? {
            if let Some(oldest) = self.circle(&entry.name.package())? {
                self.unpark(&oldest)?;
            }
        }
        Ok(())
    }

    /// Parks a waiting ticket for what it waits for; returns whether it did.
    fn set_aside(&mut self, entry: &Entry, ticket: &Ticket) -> Result<bool> {
        // Looked at once more: what was waited for may have ended, and woken what was parked, before the lock was ours.
        let Some(blocker) = self.blocker(&entry.name, ticket)? else { return Ok(false) };
        let path = self.spool.parking(&entry.name.tree, blocker.name()).join(entry.name.to_string());
        let moved = durable::relocate(&entry.path, &path)?;
        self.known.clear();
        Ok(moved == Shift::Moved)
    }

    fn shelve(&mut self, entry: &Entry) -> Result<Shift> {
        let path = self.look.shelves().place(&entry.name)?;
        let moved = durable::relocate(&entry.path, &path)?;
        shelf::ring(self.spool, &entry.name.item.arch).map(|()| moved)
    }

    /// Wakes at most `limit` of what is parked for a package nothing of which is unfinished any more.
    fn wake(&mut self, tree: &Tree, name: &Name, limit: usize) -> Result<usize> {
        let directory = self.spool.parking(tree, name);
        let mut stays: HashMap<Arch, Stays> = HashMap::new();
        let mut woken = 0;
        for text in list::names(&directory)? {
            let Some(arch) = arch_of(&text) else { continue };
            if !stays.contains_key(&arch) {
                let verdict = self.stays(tree, name, &arch)?;
                stays.insert(arch.clone(), verdict);
            }
            let Ok(parsed) = text.parse::<TicketName>() else { continue };
            let entry = Entry { name: parsed, builder: None, path: directory.join(&text) };
            let stays = match stays.get(&arch) {
                Some(Stays::All) => true,
                Some(Stays::Batch(failed)) => self.is_of(&entry, failed)?,
                Some(Stays::Others(batches)) => {
                    let mut staged = false;
                    for batch in batches {
                        staged |= self.is_of(&entry, batch)?;
                    }
                    !staged
                }
                Some(Stays::None) | None => false,
            };
            if !stays && self.shelve(&entry)? == Shift::Moved {
                woken += 1;
            }
            if woken == limit {
                return Ok(woken);
            }
        }
        durable::prune(&directory);
        Ok(woken)
    }

    fn is_of(&mut self, entry: &Entry, batch: &Word) -> Result<bool> {
        let Some(ticket) = readable(entry.ticket())? else { return Ok(false) };
        Ok(self.held_back()?.batch_of(&entry.name, ticket.batch.as_ref())?.as_ref() == Some(batch))
    }

    fn stays(&mut self, tree: &Tree, name: &Name, arch: &Arch) -> Result<Stays> {
        let standings = self.fitting(tree, name, arch)?;
        if !standings.is_empty() {
            return self.stays_with(&standings);
        }
        let failed = self.failed_of_batch(tree, name, arch)?;
        Ok(failed.map_or(Stays::None, Stays::Batch))
    }

    /// What is unfinished may be had by those of a batch all the same.
    fn stays_with(&mut self, standings: &[Standing]) -> Result<Stays> {
        let mut batches = Vec::new();
        for batch in batch::batches(self.spool)? {
            if self.first_awaited(standings, Some(&batch))?.is_none() {
                batches.push(batch);
            }
        }
        Ok(if batches.is_empty() { Stays::All } else { Stays::Others(batches) })
    }
}

/// Which of the tickets parked for a package stay there.
enum Stays {
    /// Something of it is unfinished.
    All,
    /// It failed: those of its batch do.
    Batch(Word),
    /// It is built, and these batches can have it though it is held back: all others do.
    Others(Vec<Word>),
    /// Others build against what is published.
    None,
}

/// The architecture in a ticket's name, without reading the rest of it.
fn arch_of(text: &str) -> Option<Arch> {
    text.split(',').nth(3)?.rsplit('-').next()?.parse().ok()
}

/// What became of a ticket that was to be parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spool) enum Parking {
    /// It was not: somebody else has the queue's lock just now, or it waits for nothing any more.
    Left,
    /// It was.
    Parked,
    /// It was, and closed a circle: the oldest ticket of that may be claimed now.
    Freed,
}

/// Parks a waiting ticket for what it waits for.
///
/// # Errors
/// A failing system call.
pub(in crate::spool) fn park(spool: &Spool, entry: &Entry, ticket: &Ticket) -> Result<Parking> {
    let Ok(_lock) = spool.lock_queue(std::time::Duration::ZERO) else { return Ok(Parking::Left) };
    let mut queue = Queue::locked(spool)?;
    if !queue.set_aside(entry, ticket)? {
        return Ok(Parking::Left);
    }
    let mut package = entry.name.package();
    // The oldest of a circle may need something else too, and close another circle with that.
    for _ in 0..CIRCLES {
        let Some(oldest) = queue.circle(&package)? else { break };
        queue.unpark(&oldest)?;
        let waits = |entry: &Entry| entry.state() == State::Waiting;
        let freed = queue.look.unfinished(&oldest)?.into_iter().find(waits);
        let Some(freed) = freed else { break };
        let Some(ticket) = readable(freed.ticket())? else { break };
        if !queue.set_aside(&freed, &ticket)? {
            return Ok(Parking::Freed);
        }
        package = oldest;
    }
    Ok(Parking::Parked)
}

/// Does what follows from the end of a ticket, or from its publication: what is parked for its package and no longer
/// waits for anything of it is woken. If somebody else has the queue's lock, the next round does it.
///
/// # Errors
/// A failing system call.
pub fn settle(spool: &Spool, ended: &Entry) -> Result<()> {
    match spool.lock_queue(std::time::Duration::ZERO) {
        Ok(_lock) => settle_locked(spool, ended),
        Err(_) => Ok(()),
    }
}

/// As [`settle`], with the queue's lock held.
pub(in crate::spool) fn settle_locked(spool: &Spool, ended: &Entry) -> Result<()> {
    let package = ended.name.package();
    if let Some(index) = Index::open(spool)
        && index.is_last(&package, &ended.path)
        && !is_held(spool, &package)?
        && !list::building(spool)?.iter().any(|entry| entry.name.package() == package)
    {
        index.remove(&package);
    }
    if durable::present(&spool.parking(&package.tree, &package.name))? {
        let mut queue = Queue::locked(spool)?;
        queue.wake(&package.tree, &package.name, STEP)?;
        queue.break_circle(&package.tree, &package.name)?;
    }
    Ok(())
}

/// Tells whether something of a package is built and not published, by whichever ticket.
fn is_held(spool: &Spool, package: &Package) -> Result<bool> {
    let held = report::held(spool)?;
    if held.is_empty() {
        return Ok(false);
    }
    let history = History::of(spool, &package.tree, &package.name)?.of_arch(&package.arch);
    let is_held =
        |entry: Entry| entry.state() == State::Built && held.contains(&(entry.name.id, entry.name.epoch));
    Ok(history.entries().rev().any(is_held))
}

/// Returns the packages, at most `most`, that are parked for a package, or for one of those.
///
/// # Errors
/// A directory that cannot be read.
pub fn behind(spool: &Spool, tree: &Tree, name: &Name, most: usize) -> Result<Vec<Name>> {
    let mut found = BTreeSet::new();
    let mut look = vec![name.clone()];
    while let Some(name) = look.pop() {
        for text in list::names(&spool.parking(tree, &name))? {
            let Ok(parked) = text.parse::<TicketName>() else { continue };
            if found.len() < most && found.insert(parked.item.name.clone()) {
                look.push(parked.item.name);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Wakes what need not be parked any more, at most `limit` tickets, and breaks cycles that an interrupted program
/// left; returns whether there may be more to wake.
///
/// # Errors
/// A failing system call.
pub fn wake_all(spool: &Spool, limit: usize) -> Result<bool> {
    let mut left = limit;
    for (tree, name, _) in list::parking(spool)? {
        loop {
            let _lock = spool.lock_queue(lock::PATIENCE)?;
            let mut queue = Queue::locked(spool)?;
            let woken = queue.wake(&tree, &name, left.min(STEP))?;
            left = left.saturating_sub(woken);
            if left == 0 {
                return Ok(true);
            }
            if woken < STEP {
                queue.break_circle(&tree, &name)?;
                break;
            }
        }
    }
    Ok(false)
}

/// Counts the parked tickets that [`wake_all`] would wake now; changes nothing.
///
/// # Errors
/// A directory that cannot be read.
pub fn free(spool: &Spool) -> Result<usize> {
    let (mut queue, mut free) = (Queue::new(spool), 0);
    for (_, _, directory) in list::parking(spool)? {
        for text in list::names(&directory)? {
            let Ok(name) = text.parse::<TicketName>() else { continue };
            let entry = Entry { name, builder: None, path: directory.join(&text) };
            let Some(ticket) = readable(entry.ticket())? else { continue };
            free += usize::from(queue.blocker(&entry.name, &ticket)?.is_none());
        }
    }
    Ok(free)
}
