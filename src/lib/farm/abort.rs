//! Aborting, by the spool's owner or through the drop box.

use super::drop_box::{self, Request};
use crate::base::{Clock, Result};
use crate::spool::abort as mailbox;
use crate::spool::listed::Listed;
use crate::spool::{Entry, Spool};

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

/// Asks the spool's owner to abort what `text` means.
///
/// # Errors
/// Text that can mean nothing; a drop box this user may not use.
pub fn hand_in(spool: &Spool, text: &str, wish: &Wish, clock: &Clock) -> Result<()> {
    mailbox::Target::readings(text)?;
    let request = Request::Abort { what: text.to_owned(), reason: wish.reason.clone() };
    drop_box::hand_in(&spool.at("drop"), &request, clock)
}
