//! The invariants of a spool, one function each, and the repair of what has one right answer.

mod account;
mod epochs;
mod leftovers;
mod places;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use leftovers::remove;
pub use leftovers::{stale, sweep};
use places::{Place, places};
use serde::Serialize;

use super::census::{Census, hash, suspects};
use super::index::Index;
use super::place::{DIRECTORIES, TOLERATED, make};
use super::{Entry, Report, Spool, Stand, TicketName, batch, expire, list, queue};
use crate::base::durable::{self, Shift, is_dir};
use crate::base::error::Kind;
use crate::base::{Clock, Result, lock, output};
use crate::names::{Arch, Builder, Id, Name, Tree, Word};

/// The longest name that is kept in `bad/`, bytes.
const LONGEST: usize = 240;

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong, relative to the spool.
    pub path: String,
    /// How.
    pub text: String,
    /// What was done about it.
    pub repaired: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", output::inert(&self.path), self.text)?;
        match &self.repaired {
            Some(done) => write!(f, " ({done})"),
            None => Ok(()),
        }
    }
}

/// Moves a file that cannot be used to `bad/`, with the reason beside it. Nothing is ever deleted.
///
/// # Errors
/// A failing system call.
pub fn quarantine(spool: &Spool, path: &Path, why: &str) -> Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // With room for what is added here to a name as long as names can be.
    let name: String = name.char_indices().take_while(|(at, _)| *at < LONGEST).map(|(_, c)| c).collect();
    let mut target = spool.at("bad").join(&name);
    while target.symlink_metadata().is_ok() {
        target = spool.at("bad").join(format!("{name}.{}", crate::base::random::word(4)));
    }
    let mut why_file = target.clone().into_os_string();
    why_file.push(".why");
    let why_file = PathBuf::from(why_file);
    let from = path.strip_prefix(spool.root()).unwrap_or(path).display();
    let text = format!("{}\nwas {}\n", output::inert(why), output::inert(&from.to_string()));
    // Reason before file: whoever dies in between leaves no file that nobody says anything about.
    durable::put(&spool.tmp(), &why_file, text.as_bytes())?;
    match durable::shift(path, &target)? {
        Shift::Moved => Ok(()),
        Shift::Gone => durable::remove(&why_file),
    }
}

/// Looks at every invariant; with `repair` mends what has one right answer and quarantines the rest.
///
/// # Errors
/// A directory that cannot be read, a repair that fails.
pub fn check(spool: &Spool, repair: bool, clock: &Clock) -> Result<Vec<Problem>> {
    let mut look = Checkup { spool, repair, clock, problems: Vec::new() };
    look.whole()?;
    let _lock = if repair { Some(spool.lock_queue(lock::PATIENCE)?) } else { None };
    // Before anything is added to it.
    look.quarantined()?;
    look.foreign()?;
    let census = look.complete()?;
    if !repair {
        // Whoever is changing the queue now has finished after this (one who may not lock only looks).
        drop(spool.lock_queue(lock::PATIENCE));
    }
    let suspects = suspects(spool, &census)?;
    look.conserved(&suspects)?;
    look.monotonic(&census)?;
    look.superseded(&suspects)?;
    look.known(&census)?;
    look.adds_up()?;
    look.leftovers()?;
    Ok(look.problems)
}

struct Checkup<'a> {
    spool: &'a Spool,
    repair: bool,
    clock: &'a Clock,
    problems: Vec<Problem>,
}

impl Checkup<'_> {
    fn found(
        &mut self,
        path: &Path,
        text: impl Into<String>,
        mend: impl FnOnce() -> Result<String>,
    ) -> Result<()> {
        let shown = path.strip_prefix(self.spool.root()).unwrap_or(path);
        let repaired = if self.repair { Some(mend()?) } else { None };
        let path = shown.to_string_lossy().into_owned();
        self.problems.push(Problem { path, text: text.into(), repaired });
        Ok(())
    }

    fn bad(&mut self, path: &Path, text: &str) -> Result<()> {
        let spool = self.spool;
        self.found(path, text, || quarantine(spool, path, text).map(|()| "moved to bad".to_owned()))
    }

    /// Every directory is there, and belongs to the spool's owner.
    fn whole(&mut self) -> Result<()> {
        for name in DIRECTORIES {
            let (path, root) = (self.spool.at(name), self.spool.root());
            if !is_dir(&path)? {
                self.found(&path, "the directory is missing", || {
                    make(root, name).map(|()| "made".to_owned())
                })?;
            }
        }
        Ok(())
    }

    /// No phantom: what does not match the grammar changes nothing, but somebody should know.
    fn foreign(&mut self) -> Result<()> {
        let root = self.spool.root().to_owned();
        for name in list::names(&root)? {
            let ours = DIRECTORIES.iter().chain(TOLERATED).chain(&["format", "pause"]);
            if !ours.into_iter().any(|ours| *ours == name) {
                self.bad(&root.join(name), "is not a part of a spool")?;
            }
        }
        self.strays::<Arch>("new")?;
        self.strays::<Builder>("run")?;
        self.strays::<Word>("batch")?;
        for place in ["park", "done"] {
            self.strays::<Tree>(place)?;
            for tree in list::directories::<Tree>(&self.spool.at(place))? {
                self.strays::<Name>(&format!("{place}/{tree}"))?;
            }
        }
        for (path, text) in batch::strange(self.spool)? {
            let path = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
            self.problems.push(Problem { path, text: text.to_owned(), repaired: None });
        }
        Ok(())
    }

    /// A ticket moved by hand one directory too high is in no place at all.
    fn strays<T: std::str::FromStr>(&mut self, place: &str) -> Result<()> {
        let directory = self.spool.at(place);
        for name in list::names(&directory)? {
            let path = directory.join(&name);
            if name.parse::<T>().is_err() || !is_dir(&path)? {
                self.bad(&path, "lies where no program looks")?;
            }
        }
        Ok(())
    }

    /// Complete: every file in `new`, `park`, `run`, `done` passes the grammar and parses, and lies where its name
    /// says; an ended one has the report that ended it.
    fn complete(&mut self) -> Result<Census> {
        let (mut census, index) = (Census::default(), Index::open(self.spool));
        for (directory, place) in places(self.spool)? {
            self.nameless(&directory)?;
            let mut here = HashSet::new();
            for text in list::names(&directory)? {
                let Some(entry) = self.entry(&directory, &place, &text)? else { continue };
                if !here.insert(entry.name.id) {
                    census.twice.insert(entry.name.id);
                }
                self.ended(&entry)?;
                census.count(index.as_ref(), entry);
            }
        }
        Ok(census)
    }

    fn entry(&mut self, directory: &Path, place: &Place, text: &str) -> Result<Option<Entry>> {
        let path = directory.join(text);
        match text.parse::<TicketName>() {
            Err(_) if place.is_chunk(text) && is_dir(&path)? => {}
            Err(error) => self.bad(&path, &error.to_string())?,
            Ok(name) if !place.fits(&name) => self.bad(&path, "lies in the wrong directory")?,
            Ok(name) => {
                let entry = Entry { name, builder: place.builder(), path };
                if self.readable(&entry)? {
                    return Ok(Some(entry));
                }
            }
        }
        Ok(None)
    }

    /// No program of ours makes a name that is not UTF-8, and none can speak of one.
    fn nameless(&mut self, directory: &Path) -> Result<()> {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_none() {
                self.bad(&entry.path(), "its name is not UTF-8")?;
            }
        }
        Ok(())
    }

    fn readable(&mut self, entry: &Entry) -> Result<bool> {
        match entry.ticket() {
            Ok(ticket) if queue::agrees(&entry.name, &ticket) => return Ok(true),
            Ok(_) => self.bad(&entry.path, "its name and its content disagree")?,
            // Moved on between the listing and the look.
            Err(_) if !durable::present(&entry.path)? => {}
            Err(error) if error.kind == Kind::Again => return Err(error),
            Err(error) => self.bad(&entry.path, &error.to_string())?,
        }
        Ok(false)
    }

    /// Conserved and exclusive: a ticket is in one place. Of two the furthest on is right: an end is final, a
    /// later epoch fences an earlier one.
    fn conserved(&mut self, entries: &[Entry]) -> Result<()> {
        let mut best: HashMap<&Id, &Entry> = HashMap::new();
        let rank = |entry: &Entry| {
            let place = match entry.name.stand {
                Stand::Waiting(_) => 0,
                Stand::Building(_) => 1,
                Stand::Done(_) => 2,
            };
            (place, entry.name.epoch)
        };
        for entry in entries {
            let kept = best.entry(&entry.name.id).or_insert(entry);
            if rank(entry) > rank(kept) {
                *kept = entry;
            }
        }
        for entry in entries {
            let twice = best.get(&entry.name.id).filter(|kept| kept.path != entry.path);
            if let Some(kept) = twice {
                let other =
                    kept.path.strip_prefix(self.spool.root()).unwrap_or(&kept.path).display().to_string();
                let text = format!("the same ticket is {other}");
                // A copy has one that moved on meanwhile where it was and where it went; what is fenced says no more.
                if entry.name.epoch <= kept.name.epoch && durable::same_bytes(&entry.path, &kept.path)? {
                    self.found(&entry.path, text, || {
                        durable::remove(&entry.path).map(|()| "removed".to_owned())
                    })?;
                } else {
                    self.bad(&entry.path, &text)?;
                }
            }
        }
        Ok(())
    }

    /// Monotonic: what has not ended was claimed no more often than its name says. A copy may have a report, a log or
    /// packages of a claim that came after the ticket was copied: were that epoch given again, they would be taken for its own.
    fn monotonic(&mut self, census: &Census) -> Result<()> {
        for (entry, epoch) in epochs::ahead(self.spool, census)? {
            // It has gone further on, and that was said.
            if !self.repair && census.twice.contains(&entry.name.id) {
                continue;
            }
            let (spool, clock) = (self.spool, self.clock);
            self.found(&entry.path, format!("what it left says that it was claimed {epoch} times"), || {
                let name = TicketName { epoch, ..entry.name.standing(Stand::Waiting(None)) };
                queue::come_back(spool, &entry.path, &name, clock).map(|_| "its name says so now".to_owned())
            })?;
        }
        Ok(())
    }

    /// Of two waiting tickets for one package the later one holds: an enqueue was interrupted.
    fn superseded(&mut self, entries: &[Entry]) -> Result<()> {
        let mut newest = HashMap::new();
        let waiting = || entries.iter().filter(|entry| matches!(entry.name.stand, Stand::Waiting(_)));
        for entry in waiting() {
            let kept = newest.entry(entry.name.package()).or_insert(entry);
            if entry.name.id > kept.name.id {
                *kept = entry;
            }
        }
        for entry in waiting() {
            let Some(later) =
                newest.get(&entry.name.package()).filter(|later| later.name.id != entry.name.id)
            else {
                continue;
            };
            let (spool, clock, id) = (self.spool, self.clock, later.name.id);
            self.found(&entry.path, format!("{id} asks for the same package later"), || {
                queue::supersede(spool, entry, &id, clock).map(|()| "superseded".to_owned())
            })?;
        }
        Ok(())
    }

    /// Final: an ended ticket has the report that ended it.
    fn ended(&mut self, entry: &Entry) -> Result<()> {
        let Stand::Done(outcome) = entry.name.stand else { return Ok(()) };
        let path = self.spool.report(&entry.name.id, entry.name.epoch, outcome);
        let Err(error) = Report::read(&path) else { return Ok(()) };
        if error.kind == Kind::Again {
            return Err(error);
        }
        // It is just going, or whoever let it go was killed.
        if expire::gone(self.spool)?.contains_key(&entry.name.id) {
            return Ok(());
        }
        let path = entry.path.strip_prefix(self.spool.root()).unwrap_or(&entry.path);
        let path = path.to_string_lossy().into_owned();
        self.problems.push(Problem { path, text: format!("has no report: {error}"), repaired: None });
        Ok(())
    }

    /// Whoever looks for a waiting ticket by the name of its package finds it.
    fn known(&mut self, census: &Census) -> Result<()> {
        let index = if self.repair { Some(Index::ready(self.spool)?) } else { Index::open(self.spool) };
        let Some(index) = index else { return Ok(()) };
        for entry in &census.unknown {
            let package = entry.name.package();
            let moved = entry.path.symlink_metadata().is_err();
            if moved || census.rivals.contains(&hash(&package)) || index.knows(&package, entry) {
                continue;
            }
            self.found(&entry.path, "is not found by the name of its package", || {
                index.add(&entry.path, &package).map(|()| "is now".to_owned())
            })?;
        }
        Ok(())
    }

    /// The account adds up: asked = waiting + building + ended + bad + expired. A spool that was restored does not know
    /// what it speaks of any more; as for what comes in of that, people may want to see it.
    fn adds_up(&mut self) -> Result<()> {
        for path in account::lost(self.spool)? {
            let late = self.spool.at("late").join(path.file_name().unwrap_or_default());
            let text = "is of a ticket that is nowhere: the account does not add up";
            self.found(&path, text, || durable::shift(&path, &late).map(|_| "moved to late".to_owned()))?;
        }
        Ok(())
    }

    /// What a killed program left: temporary files, live logs and packages of tries that are over.
    fn leftovers(&mut self) -> Result<()> {
        for (path, text) in stale(self.spool)? {
            let removed = path.clone();
            self.found(&path, text, move || remove(&removed).map(|()| "removed".to_owned()))?;
        }
        Ok(())
    }

    fn quarantined(&mut self) -> Result<()> {
        let bad = self.spool.at("bad");
        for name in list::names(&bad)? {
            let path = bad.join(&name);
            if Path::new(&name).extension().is_some_and(|extension| extension == "why") {
                continue;
            }
            let why = fs::read_to_string(format!("{}.why", path.display())).unwrap_or_default();
            let text = format!("is in quarantine: {}", why.lines().next().unwrap_or("nobody says why"));
            self.problems.push(Problem { path: format!("bad/{name}"), text, repaired: None });
        }
        Ok(())
    }
}
