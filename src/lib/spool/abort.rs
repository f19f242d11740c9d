//! Aborting: ends waiting and running tickets. Abort is final: no other outcome is ever shown.

use super::report::{blank, file};
use super::{Entry, History, Report, Spool, Stand, list, waiting};
use crate::base::durable::{self, Shift};
use crate::base::{Clock, Error, Result};
use crate::names::{Id, Item, Name, Outcome, Tree};

/// What is to be aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One ticket.
    Id(Id),
    /// Whatever waits or builds of a package, perhaps of one tree only.
    Name(Option<Tree>, Name),
    /// One version for one architecture.
    Item(Option<Tree>, Item),
}

impl Target {
    /// Returns the targets `text` may mean, likeliest first: an ID, `[TREE/]NAME-VERSION-RELEASE-ARCH`,
    /// `[TREE/]NAME`.
    ///
    /// # Errors
    /// Text that is none of them.
    pub fn readings(text: &str) -> Result<Vec<Self>> {
        if let Ok(id) = text.parse() {
            return Ok(vec![Self::Id(id)]);
        }
        let (tree, rest) = match text.split_once('/') {
            Some((tree, rest)) => (Some(tree.parse()?), rest),
            None => (None, text),
        };
        let name = rest.parse();
        let item = rest.parse().map(|item| Self::Item(tree.clone(), item));
        match (name, item) {
            // "gtk-2-1-x" may be a package of that name or an item; look for both.
            (Ok(name), Ok(item)) => Ok(vec![item, Self::Name(tree, name)]),
            (Ok(name), Err(_)) => Ok(vec![Self::Name(tree, name)]),
            (Err(_), Ok(item)) => Ok(vec![item]),
            (Err(error), Err(_)) => Err(error),
        }
    }

    fn fits(&self, entry: &Entry) -> bool {
        let in_tree = |tree: &Option<Tree>| tree.as_ref().is_none_or(|tree| *tree == entry.name.tree);
        match self {
            Self::Id(id) => entry.name.id == *id,
            Self::Name(tree, name) => in_tree(tree) && entry.name.item.name == *name,
            Self::Item(tree, item) => in_tree(tree) && entry.name.item == *item,
        }
    }
}

/// Returns the tickets that `text` means, by ID, item or name: the unfinished ones, and of those that have ended what
/// `pick` takes.
///
/// # Errors
/// Text that can mean nothing; a directory that cannot be read.
pub fn meant(spool: &Spool, text: &str, pick: fn(&History) -> Vec<Entry>) -> Result<Vec<Entry>> {
    for target in Target::readings(text)? {
        let entries = match &target {
            Target::Id(id) => list::find(spool, id)?.into_iter().collect(),
            Target::Name(tree, name) => {
                list::of_package(spool, tree.as_ref(), name, |history| pick(&history))?
            }
            Target::Item(tree, item) => {
                list::of_package(spool, tree.as_ref(), &item.name, |history| pick(&history.of_item(item)))?
            }
        };
        let fitting: Vec<Entry> = entries.into_iter().filter(|entry| target.fits(entry)).collect();
        if !fitting.is_empty() {
            return Ok(fitting);
        }
    }
    Ok(Vec::new())
}

/// Aborts what `text` means; returns the tickets it ended.
///
/// # Errors
/// `No` when nothing of it waits or builds; wrong use for text that can mean nothing.
pub fn abort(spool: &Spool, text: &str, by: &str, reason: &str, clock: &Clock) -> Result<Vec<Entry>> {
    let mut ended = Vec::new();
    let mut finished = None;
    // A ticket may be claimed, or come back, between our look and our move.
    for _ in 0..3 {
        let mut slipped = false;
        for entry in meant(spool, text, History::last)? {
            match entry.name.stand {
                Stand::Done(outcome) => finished = Some((entry, outcome)),
                Stand::Waiting(_) | Stand::Building(_) => match end(spool, &entry, by, reason, clock)? {
                    Some(entry) => ended.push(entry),
                    None => slipped = true,
                },
            }
        }
        if !ended.is_empty() && !slipped {
            return Ok(ended);
        }
    }
    if !ended.is_empty() {
        return Ok(ended);
    }
    if let Some((entry, Outcome::Aborted)) = &finished {
        // Whoever aborted it may have died before the fsync; the answer must hold after a power cut too.
        durable::confirm(&entry.path)?;
    }
    let shown = crate::base::output::inert(text);
    Err(match finished {
        Some((entry, outcome)) => {
            Error::no(format!("cannot abort {shown}: too late, {} has ended as {outcome}", entry.name.id))
        }
        None => Error::no(format!("cannot abort {shown}: nothing of it waits or builds")),
    })
}

fn end(spool: &Spool, entry: &Entry, by: &str, reason: &str, clock: &Clock) -> Result<Option<Entry>> {
    let ticket = match entry.ticket() {
        Ok(ticket) => ticket,
        Err(_) if !durable::present(&entry.path)? => return Ok(None),
        Err(error) => return Err(error),
    };
    // A copy of a spool that has moved would not know.
    spool.stays()?;
    let started = match &entry.name.stand {
        Stand::Building(hold) => Some(hold.since.0),
        Stand::Waiting(_) | Stand::Done(_) => None,
    };
    let report = Report {
        by: by.to_owned(),
        reason: reason.to_owned(),
        builder: entry.builder.clone(),
        started,
        ..blank(&ticket, entry.name.epoch, Outcome::Aborted, clock.now())
    };
    file(spool, &report, false)?;
    let name = entry.name.standing(Stand::Done(Outcome::Aborted));
    let path = spool.done(&name);
    match durable::shift(&entry.path, &path)? {
        Shift::Moved => {
            let ended = Entry { name, builder: entry.builder.clone(), path };
            waiting::settle(spool, &ended).map(|()| Some(ended))
        }
        Shift::Gone => Ok(None),
    }
}
