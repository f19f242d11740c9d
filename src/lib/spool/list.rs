//! Looking: what is in the spool, by file names alone. What does not match the grammar is not there.

use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::look::Look;
use super::shelf::InOrder;
use super::{History, Report, Spool, Stand, Ticket, TicketName};
use crate::base::error::readable;
use crate::base::{Error, Result, durable};
use crate::names::{Builder, Id, Name, Outcome, State, Tree};

/// A ticket where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What its file name says.
    pub name: TicketName,
    /// Who holds it, if it is in `run`.
    pub builder: Option<Builder>,
    /// Where it is (was, if somebody moved it since).
    pub path: PathBuf,
}

impl Entry {
    /// Returns the state.
    pub fn state(&self) -> State {
        self.name.state()
    }

    /// Reads what the ticket says.
    ///
    /// # Errors
    /// Damaged, or moved since.
    pub fn ticket(&self) -> Result<Ticket> {
        Ticket::read(&self.path)
    }

    /// Reads the report that ended it; none for a ticket that has not ended, or if it is missing or damaged.
    ///
    /// # Errors
    /// It cannot be read just now.
    pub fn report(&self, spool: &Spool) -> Result<Option<Report>> {
        let Stand::Done(outcome) = self.name.stand else { return Ok(None) };
        readable(Report::read(&spool.report(&self.name.id, self.name.epoch, outcome)))
    }

    /// Returns since when it has been in this state, as far as the name tells: when asked for, claimed; for an
    /// ended one the report knows better ([`Entry::report`]).
    pub fn since(&self) -> Timestamp {
        match &self.name.stand {
            Stand::Building(hold) => hold.since.0,
            Stand::Waiting(_) | Stand::Done(_) => self.name.id.time(),
        }
    }
}

/// Returns the waiting tickets, parked ones too, in claim order.
///
/// # Errors
/// A directory that cannot be read.
pub fn waiting(spool: &Spool) -> Result<Vec<Entry>> {
    InOrder::all(spool)?.collect()
}

/// Returns the places where tickets are parked: for which package of which tree they wait.
///
/// # Errors
/// A directory that cannot be read.
pub fn parking(spool: &Spool) -> Result<Vec<(Tree, Name, PathBuf)>> {
    let mut places = Vec::new();
    for tree in directories::<Tree>(&spool.at("park"))? {
        for name in directories::<Name>(&spool.at("park").join(&tree))? {
            let directory = spool.parking(&tree, &name);
            places.push((tree.clone(), name, directory));
        }
    }
    Ok(places)
}

/// Returns the waiting ticket with this ID in `directory`.
///
/// # Errors
/// A directory that cannot be read.
pub(super) fn with_id(directory: &Path, id: &Id) -> Result<Option<Entry>> {
    let ours = |text: &&String| text.get(2..28) == Some(id.as_str());
    let named = names(directory)?.iter().filter(ours).find_map(|text| text.parse::<TicketName>().ok());
    let waits = named.filter(|name| matches!(name.stand, Stand::Waiting(_)));
    Ok(waits.map(|name| Entry { path: directory.join(name.to_string()), builder: None, name }))
}

/// Returns the tickets that builders hold.
///
/// # Errors
/// A directory that cannot be read.
pub fn building(spool: &Spool) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for builder in directories::<Builder>(&spool.at("run"))? {
        entries.extend(building_by(spool, &builder)?);
    }
    Ok(entries)
}

/// Returns the tickets that `builder` holds.
///
/// # Errors
/// A directory that cannot be read.
pub fn building_by(spool: &Spool, builder: &Builder) -> Result<Vec<Entry>> {
    tickets(&spool.run_dir(builder), Some(builder), |name| matches!(name.stand, Stand::Building(_)))
}

/// Returns the ended tickets that are `wanted`, by tree, name and age.
///
/// # Errors
/// A directory that cannot be read.
pub fn done(spool: &Spool, wanted: impl Fn(&Entry) -> bool) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (tree, name) in packages(spool)? {
        entries.extend(History::of(spool, &tree, &name)?.entries().filter(&wanted));
    }
    Ok(entries)
}

/// Returns the packages of which something has ended, by tree and name.
///
/// # Errors
/// A directory that cannot be read.
pub fn packages(spool: &Spool) -> Result<Vec<(Tree, Name)>> {
    let mut packages = Vec::new();
    for tree in directories::<Tree>(&spool.at("done"))? {
        let names = directories::<Name>(&spool.at("done").join(&tree))?;
        packages.extend(names.into_iter().map(|name| (tree.clone(), name)));
    }
    Ok(packages)
}

/// Returns the same, and when the directory of each last changed, as [`durable::changed`] says it.
///
/// # Errors
/// A directory that cannot be read.
pub fn changes(spool: &Spool) -> Result<Vec<(Tree, Name, i64)>> {
    let mut changes = Vec::new();
    for tree in directories::<Tree>(&spool.at("done"))? {
        for (name, time) in durable::changes(&spool.at("done").join(&tree))? {
            changes.extend(name.parse().ok().map(|name| (tree.clone(), name, time)));
        }
    }
    Ok(changes)
}

/// Returns every ticket in the spool: waiting, building, ended.
///
/// In this order on purpose: a ticket that moves on meanwhile is met twice rather than missed; the later
/// place is the one that holds.
///
/// # Errors
/// A directory that cannot be read.
pub fn all(spool: &Spool) -> Result<Vec<Entry>> {
    let mut entries = waiting(spool)?;
    entries.extend(building(spool)?);
    entries.extend(done(spool, |_| true)?);
    Ok(latest(entries))
}

/// Of entries of the same ticket keeps the last.
fn latest(entries: Vec<Entry>) -> Vec<Entry> {
    let mut last = std::collections::HashMap::new();
    for (at, entry) in entries.iter().enumerate() {
        last.insert(entry.name.id, at);
    }
    let keep = |(at, entry): (usize, Entry)| (last.get(&entry.name.id) == Some(&at)).then_some(entry);
    entries.into_iter().enumerate().filter_map(keep).collect()
}

/// Returns the tickets of a package, all architectures: waiting, building, and of those that have ended what `pick`
/// takes.
///
/// # Errors
/// A directory that cannot be read.
pub fn of_package(
    spool: &Spool,
    tree: Option<&Tree>,
    name: &Name,
    pick: impl Fn(History) -> Vec<Entry>,
) -> Result<Vec<Entry>> {
    let mut entries = Look::new(spool).named(tree, name)?;
    for known in directories::<Tree>(&spool.at("done"))? {
        if tree.is_none_or(|tree| *tree == known) {
            entries.extend(pick(History::of(spool, &known, name)?));
        }
    }
    Ok(latest(entries))
}

/// Returns the ticket with this ID.
///
/// # Errors
/// A directory that cannot be read.
pub fn find(spool: &Spool, id: &Id) -> Result<Option<Entry>> {
    // Twice: between the look into `new` and the look into `run` it may move on or come back.
    for _ in 0..2 {
        if let Some(entry) = Look::new(spool).by_id(id)? {
            return Ok(Some(entry));
        }
        if let Some(entry) = ended(spool, id)? {
            return Ok(Some(entry));
        }
    }
    for (_, _, directory) in parking(spool)? {
        if let Some(entry) = with_id(&directory, id)? {
            return Ok(Some(entry));
        }
    }
    // It lies elsewhere than it should.
    let mut waiting = InOrder::all(spool)?;
    waiting.find(|entry| entry.as_ref().map_or(true, |entry| entry.name.id == *id)).transpose()
}

/// The most epochs of a ticket whose reports are looked for.
const EPOCHS: u32 = 99;

/// An ended ticket has a report, which says what package's it is.
fn ended(spool: &Spool, id: &Id) -> Result<Option<Entry>> {
    for epoch in 0..=EPOCHS {
        for outcome in Outcome::ALL {
            let Some(report) = readable(Report::read(&spool.report(id, epoch, *outcome)))? else { continue };
            let history = History::of(spool, &report.tree, &report.name)?.of_ids(|own| own == id.as_str());
            if let Some(entry) = history.entries().next() {
                return Ok(Some(entry));
            }
        }
    }
    Ok(None)
}

/// Returns how one ticket's earlier tries ended: the reports of trouble, by epoch.
///
/// # Errors
/// One that cannot be read just now.
pub fn troubles(spool: &Spool, name: &TicketName) -> Result<Vec<Report>> {
    let last = match name.stand {
        Stand::Waiting(_) | Stand::Done(Outcome::Trouble) => name.epoch + 1,
        Stand::Building(_) | Stand::Done(_) => name.epoch,
    };
    (1..last)
        .filter_map(|epoch| {
            readable(Report::read(&spool.report(&name.id, epoch, Outcome::Trouble))).transpose()
        })
        .collect()
}

fn tickets(
    directory: &Path,
    builder: Option<&Builder>,
    fits: impl Fn(&TicketName) -> bool,
) -> Result<Vec<Entry>> {
    let mut names = names(directory)?;
    names.sort_unstable();
    let entry = |text: String| {
        let name = text.parse::<TicketName>().ok().filter(|name| fits(name))?;
        Some(Entry { path: directory.join(text), builder: builder.cloned(), name })
    };
    Ok(names.into_iter().filter_map(entry).collect())
}

/// Returns the words of type `T` among the entries of `directory`, sorted; none if it does not exist.
pub(super) fn directories<T: std::str::FromStr + Ord>(directory: &Path) -> Result<Vec<T>> {
    let mut words: Vec<T> = names(directory)?.iter().filter_map(|text| text.parse().ok()).collect();
    words.sort_unstable();
    Ok(words)
}

/// Returns the names in `directory` that are UTF-8 and no dot files; none if it does not exist.
///
/// # Errors
/// A directory that cannot be read.
pub fn names(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    each_name(directory, |name| names.push(name.to_owned()))?;
    Ok(names)
}

/// Calls `take` with each of the [`names`] in `directory`, which are not kept.
pub(super) fn each_name(directory: &Path, mut take: impl FnMut(&str)) -> Result<()> {
    let failed = |source| Error::io("read", directory, source);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(directory, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    let mut buffer = [const { MaybeUninit::uninit() }; 8 << 10];
    let mut entries = RawDir::new(opened, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            // It was removed, empty, since it was opened.
            Err(Errno::NOENT) => return Ok(()),
            entry => entry.map_err(failed)?,
        };
        if let Some(name) = entry.file_name().to_str().ok().filter(|name| !name.starts_with('.')) {
            take(name);
        }
    }
    Ok(())
}
