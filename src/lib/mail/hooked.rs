//! The notes for programs of one's own: who runs those is another room.

use super::note::{self, Audience, Note};
use crate::base::error::readable;
use crate::base::{Result, durable};
use crate::names::Outcome;
use crate::spool::{Entry, Report, Spool, Stand, Ticket, report};

/// Returns the notes that programs have not heard of, oldest first.
///
/// # Errors
/// A directory that cannot be read.
pub fn owed(spool: &Spool) -> Result<Vec<Note>> {
    Ok(note::all(spool)?.into_iter().filter(|note| note.to.is_some_and(|to| !to.is_person())).collect())
}

/// Notes that programs are to hear that what `entry` built is published. Before that is done: nobody is told of it too
/// early, since who tells comes after who publishes.
///
/// # Errors
/// A failing system call.
pub fn owe_published(spool: &Spool, entry: &Entry) -> Result<()> {
    let (id, epoch) = (entry.name.id, entry.name.epoch);
    let note = Note { id, epoch, outcome: Outcome::Built, to: Some(Audience::Published) };
    durable::put(&spool.tmp(), &note.path(spool), b"").map(drop)
}

/// Returns what a note is about; none if it is not there any more.
///
/// # Errors
/// It cannot be told just now.
pub fn about(spool: &Spool, note: &Note) -> Result<Option<(Ticket, Report)>> {
    let ended = report::ended(spool, &note.id, note.epoch)?;
    let Some(entry) = ended.filter(|entry| entry.name.stand == Stand::Done(note.outcome)) else {
        return Ok(None);
    };
    Ok(readable(entry.ticket())?.zip(entry.report(spool)?))
}

/// Notes that the programs have heard of it.
///
/// # Errors
/// A failing system call.
pub fn told(spool: &Spool, note: &Note) -> Result<()> {
    durable::remove(&note.path(spool))
}
