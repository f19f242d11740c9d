//! Which of the waiting tickets of one package makes way for which.

use std::path::Path;

use super::Batch;
use crate::base::durable::{self, Shift};
use crate::base::error::readable;
use crate::base::{Clock, Result};
use crate::names::{Id, Outcome, State};
use crate::spool::report::{blank, file};
use crate::spool::{Entry, Look, Report, Spool, Stand, TicketName, shelf};

impl Batch<'_> {
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
