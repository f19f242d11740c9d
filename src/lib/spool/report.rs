//! Reporting: how a try ended, with its log and packages; one rename from `run` ends the ticket.

mod ending;

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::product::Product;
use super::{Entry, History, Spool, Stand, list, record};
use crate::base::Result;
use crate::base::durable;
use crate::base::error::readable;
use crate::names::{Arch, Builder, Id, Item, Name, Outcome, Release, Revision, State, Tree, Version};

pub use ending::{Ending, end};
pub(super) use ending::{LONGEST_REST, destination, why_refused, why_unknown};

/// The stage of a try that ended with its lease.
pub(super) const LEASE: &str = "lease";

/// The longest reason why packages are held, bytes.
const LONGEST_REASON: u64 = 64 << 10;

/// How one try ended, as kept in `report/`. Also kept for tickets that nobody ever claimed (epoch 0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this record's shape.
    pub format: u32,
    /// The ticket.
    pub id: Id,
    /// Which claim of it.
    pub epoch: u32,
    /// The tree.
    pub tree: Tree,
    /// The package.
    pub name: Name,
    /// Its version.
    pub version: Version,
    /// Its release.
    pub release: Release,
    /// Its architecture.
    pub arch: Arch,
    /// How it ended.
    pub outcome: Outcome,
    /// What was built.
    pub revision: Revision,
    /// Where in the build it ended: `checkout`, `prepare`, `fetch`, `build`, `check`, `package`, `lease` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Why, in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The exit status of the command, if it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Who built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<Builder>,
    /// On which host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Who ended it, when it was not a builder.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// When it was claimed (master's clock).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When the report was accepted (master's clock).
    pub ended: Timestamp,
    /// Whether a log is kept.
    #[serde(default)]
    pub log: bool,
    /// What it left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Product>,
}

impl Report {
    /// Reads the report file `path`.
    ///
    /// # Errors
    /// Not there or damaged.
    pub fn read(path: &Path) -> Result<Self> {
        record::read(path)
    }

    /// Returns what the ticket asked for.
    pub fn item(&self) -> Item {
        Item {
            name: self.name.clone(),
            version: self.version.clone(),
            release: self.release.clone(),
            arch: self.arch.clone(),
        }
    }

    /// Returns how long the try took; none when nobody claimed it.
    pub fn duration(&self) -> Option<SignedDuration> {
        self.started.map(|started| self.ended.duration_since(started))
    }
}

/// Returns when the try ended that the report `path` is about; none if that is not there or damaged. Much quicker than reading
/// all of it, where there are hundreds of thousands.
///
/// # Errors
/// It cannot be read just now.
pub(super) fn ended_at(path: &Path) -> Result<Option<Timestamp>> {
    let Some(bytes) = readable(durable::read(path, record::LARGEST))? else { return Ok(None) };
    // The last one: a reason of several lines, before it, says what its builder likes.
    let line = bytes.rsplit(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"ended = \""));
    let time = line.and_then(|line| std::str::from_utf8(line.strip_suffix(b"\"")?).ok()?.parse().ok());
    match time {
        Some(time) => Ok(Some(time)),
        // Written by hand, perhaps.
        None => Ok(readable(Report::read(path))?.map(|report| report.ended)),
    }
}

/// Returns a report that says nothing but which try of which ticket ended how and when.
pub(super) fn blank(ticket: &super::Ticket, epoch: u32, outcome: Outcome, ended: Timestamp) -> Report {
    Report {
        format: 1,
        id: ticket.id,
        epoch,
        tree: ticket.tree.clone(),
        name: ticket.name.clone(),
        version: ticket.version.clone(),
        release: ticket.release.clone(),
        arch: ticket.arch.clone(),
        outcome,
        revision: ticket.revision.clone(),
        stage: None,
        reason: String::new(),
        exit: None,
        builder: None,
        host: String::new(),
        by: String::new(),
        started: None,
        ended,
        log: false,
        files: Vec::new(),
    }
}

/// Files a report before the rename that makes it true, and when `owe` the note that somebody may have to be told; until
/// then nothing reads the one, and whoever reads the other looks whether it came true. What is there already comes from
/// an interrupted attempt at the same step and stands.
pub(super) fn file(spool: &Spool, report: &Report, owe: bool) -> Result<()> {
    let (id, epoch, outcome) = (&report.id, report.epoch, report.outcome);
    let mut files = vec![(spool.report(id, epoch, outcome), record::text(report)?.into_bytes())];
    if owe {
        files.push((spool.owed(id, epoch, outcome), Vec::new()));
    }
    durable::put_all(&spool.tmp(), &files)
}

/// Returns the tries whose packages are held: (ticket, epoch).
///
/// # Errors
/// A directory that cannot be read.
pub fn held(spool: &Spool) -> Result<Vec<(Id, u32)>> {
    let parse = |name: String| {
        let (id, epoch) = name.split_once('.')?;
        Some((id.parse().ok()?, epoch.parse().ok()?))
    };
    let mut tries: Vec<(Id, u32)> = list::names(&spool.at("hold"))?.into_iter().filter_map(parse).collect();
    tries.sort_unstable();
    Ok(tries)
}

/// Returns the ended ticket whose end this try was; none if it has not ended with it.
///
/// # Errors
/// A directory that cannot be read.
pub fn ended(spool: &Spool, id: &Id, epoch: u32) -> Result<Option<Entry>> {
    for outcome in Outcome::ALL {
        let Some(report) = readable(Report::read(&spool.report(id, epoch, *outcome)))? else { continue };
        let history = History::of(spool, &report.tree, &report.name)?.of_ids(|own| own == id.as_str());
        let fits = |entry: &Entry| entry.name.epoch == epoch && entry.name.stand == Stand::Done(*outcome);
        if let Some(entry) = history.entries().find(fits) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Returns the built tickets whose packages are still held.
///
/// # Errors
/// A directory that cannot be read.
pub(super) fn unpublished(spool: &Spool) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (id, epoch) in held(spool)? {
        entries.extend(ended(spool, &id, epoch)?.filter(|entry| entry.state() == State::Built));
    }
    Ok(entries)
}

/// Says why the packages of a try are not published; none if nothing has kept them.
///
/// # Errors
/// It cannot be told just now.
pub fn why_held(spool: &Spool, entry: &Entry) -> Result<Option<String>> {
    let (id, epoch) = (&entry.name.id, entry.name.epoch);
    for path in [spool.hold_reason(id, epoch), spool.unwanted_reason(id, epoch)] {
        if let Some(why) = readable(durable::read(&path, LONGEST_REASON))? {
            return Ok(Some(String::from_utf8_lossy(&why).trim().to_owned()));
        }
    }
    Ok(None)
}

/// Returns the notes that somebody may have to be told: (ticket, epoch, outcome), oldest first.
///
/// # Errors
/// A directory that cannot be read.
pub fn owed(spool: &Spool) -> Result<Vec<(Id, u32, Outcome)>> {
    let parse = |name: String| {
        // A fourth part says who is told.
        let mut parts = name.split('.');
        let note = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(note)
    };
    let mut notes: Vec<(Id, u32, Outcome)> =
        list::names(&spool.at("owed"))?.into_iter().filter_map(parse).collect();
    notes.sort_unstable();
    notes.dedup();
    Ok(notes)
}
