//! A picture: what has not ended at one moment, under other names (hard links), so that it can be copied at leisure while
//! the tickets themselves move on.

use std::path::Path;

use super::{Spool, list};
use crate::base::{Result, durable, lock};

/// Takes the picture of `spool`, also of one that has moved, into `to`, a directory in its `tmp`.
///
/// A ticket that moves on meanwhile may be in it twice, or, if it has ended, not at all: it is in `done` by then. One cannot
/// be missed: while the queue's lock is held no ticket comes back, and the places are gone through in the order in which
/// tickets move on.
///
/// # Errors
/// A failing system call; `Again` when somebody else works in the queue for long.
pub fn take(spool: &Spool, to: &Path) -> Result<()> {
    // First: what was acted on of pushes must not be newer than the tickets that came of it.
    for name in list::names(&spool.at("cache"))?.iter().filter(|name| name.starts_with("seen-")) {
        durable::link(&spool.at("cache").join(name), &to.join("cache").join(name))?;
    }
    let _queue = spool.lock_left_queue(lock::PATIENCE)?;
    ["new", "park", "run"].iter().try_for_each(|name| durable::link_tree(&spool.at(name), &to.join(name)))
}
