//! The notes for programs of one's own: who runs those is another room.

use super::note::{self, Audience, Note};
use crate::base::error::readable;
use crate::base::{Result, durable};
use crate::spool::{Report, Spool, Stand, Ticket, report};

/// Returns the notes that programs have not heard of, oldest first.
///
/// # Errors
/// A directory that cannot be read.
pub fn owed(spool: &Spool) -> Result<Vec<Note>> {
    Ok(note::all(spool)?.into_iter().filter(|note| note.to == Some(Audience::Hook)).collect())
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
