//! Aborting, by the spool's owner or through the drop box.

use super::drop_box::{self, Request};
use crate::base::error::readable;
use crate::base::{Clock, Error, Result};
use crate::names::Word;
use crate::spool::abort as mailbox;
use crate::spool::listed::Listed;
use crate::spool::{Entry, InOrder, Spool, list};

/// Who wants it and why.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Aborts what `text` means; returns what it ended.
///
/// # Errors
/// As the mailbox's abort.
pub fn abort(spool: &Spool, text: &str, wish: &Wish, clock: &Clock) -> Result<Vec<Listed>> {
    let ended = mailbox::abort(spool, text, &wish.by, &wish.reason, clock)?;
    ended.iter().map(|entry: &Entry| Listed::of(spool, entry, clock)).collect()
}

/// Returns the IDs of what of a batch waits or is being built; what was asked for last comes first, lest what it waits for
/// ends, and sets it free for a builder.
///
/// # Errors
/// `No` when there is nothing; a directory that cannot be read.
pub fn of_batch(spool: &Spool, batch: &Word) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for entry in InOrder::all(spool)?.chain(list::building(spool)?.into_iter().map(Ok)) {
        let entry = entry?;
        if readable(entry.ticket())?.is_some_and(|ticket| ticket.batch.as_ref() == Some(batch)) {
            ids.push(entry.name.id.to_string());
        }
    }
    ids.sort_unstable_by(|a, b| b.cmp(a));
    if ids.is_empty() {
        return Err(Error::no(format!("cannot abort batch {batch}: nothing of it waits or builds")));
    }
    Ok(ids)
}

/// Asks the spool's owner to abort what `text` means.
///
/// # Errors
/// Text that can mean nothing; a drop box this user may not use.
pub fn hand_in(spool: &Spool, text: &str, wish: &Wish, clock: &Clock) -> Result<()> {
    mailbox::Target::readings(text)?;
    let request = Request::Abort { what: text.to_owned(), reason: wish.reason.clone() };
    drop_box::hand_in(&spool.at("drop"), &request, clock)
}
