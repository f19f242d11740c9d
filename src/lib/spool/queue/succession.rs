//! Which of the waiting tickets of one package makes way for which.

use std::path::{Path, PathBuf};

use super::super::decide::Known;
use super::{Ask, Batch, Made};
use crate::base::durable::{self, Shift};
use crate::base::error::readable;
use crate::base::{Clock, Result};
use crate::names::{Id, Outcome, Package, State};
use crate::spool::report::{blank, file};
use crate::spool::{Entry, Look, Report, Spool, Stand, TicketName, shelf};

impl Batch<'_> {
    /// What this batch has asked for of a package, the last first: all but that one make way.
    pub(super) fn asked_before(&self, package: &Package) -> impl Iterator<Item = &Made> {
        let last = self.by_package.get(package).and_then(|at| self.made.get(*at));
        std::iter::successors(last, |made| self.made.get(made.before?))
    }

    /// The same as what is asked for, if this batch has asked for it and then for something else in its place: that was
    /// superseded after whatever else has ended.
    pub(super) fn made_way(&self, ask: &Ask, package: &Package) -> Option<Known> {
        let made = self.asked_before(package).skip(1).find(|made| made.is_same(ask))?;
        let name = made.name().standing(Stand::Done(Outcome::Superseded));
        let entry = Entry { name, builder: None, path: PathBuf::new() };
        Some(Known { entry, revision: Some(made.what.revision.clone()) })
    }

    /// The ticket may have been put by somebody who had no room, or no time, to end those before it.
    pub(super) fn finish_superseding(&mut self, entry: &Entry) -> Result<()> {
        let Some(ticket) = readable(entry.ticket())? else { return Ok(()) };
        for before in &ticket.replaces {
            let waits = |before: &Entry| before.state() == State::Waiting;
            if let Some(before) = self.queue.look().by_id(before)?.filter(waits) {
                self.supersede.push((before, ticket.id));
            }
        }
        Ok(())
    }
}

/// Ends a waiting ticket because a later one asks for the same package. One that was claimed meanwhile goes on.
///
/// # Errors
/// A failing system call.
pub(in crate::spool) fn supersede(spool: &Spool, entry: &Entry, by: &Id, clock: &Clock) -> Result<()> {
    let Some(ticket) = readable(entry.ticket())? else { return Ok(()) };
    let report = Report {
        reason: format!("{by} asks for a later revision"),
        ..blank(&ticket, entry.name.epoch, Outcome::Superseded, clock.now())
    };
    file(spool, &report, false)?;
    let ended = entry.name.standing(Stand::Done(Outcome::Superseded));
    durable::shift(&entry.path, &spool.done(&ended)).map(drop)
}

/// Brings a ticket back to wait. Of what waits of its package now only the one asked for last stays: it may make way for a
/// later one, or an earlier one that came back before for it. The queue's lock is held.
///
/// # Errors
/// A failing system call; the check finishes it then.
pub(in crate::spool) fn come_back(
    spool: &Spool,
    from: &Path,
    name: &TicketName,
    clock: &Clock,
) -> Result<Shift> {
    let mut look = Look::locked(spool)?;
    let package = name.package();
    let mut waiting = look.unfinished(&package)?;
    waiting.retain(|entry| entry.state() == State::Waiting);
    let path = look.shelves().place(name)?;
    if durable::shift(from, &path)? == Shift::Gone {
        return Ok(Shift::Gone);
    }
    waiting.push(Entry { name: name.clone(), builder: None, path: path.clone() });
    let newest = waiting.iter().map(|entry| entry.name.id).max().unwrap_or(name.id);
    if newest == name.id
        && let Some(index) = look.index()
    {
        index.add(&path, &package)?;
        shelf::ring(spool, &name.item.arch)?;
    }
    let mut earlier = waiting.iter().filter(|entry| entry.name.id != newest);
    earlier.try_for_each(|entry| supersede(spool, entry, &newest, clock))?;
    Ok(Shift::Moved)
}
