//! Asking for builds: what becomes of a request, given what is in the spool already.

use std::path::PathBuf;
use std::time::Duration;

use super::report::{blank, file};
use super::{Entry, Report, Spool, Stand, Ticket, TicketName, list};
use crate::base::durable::{self, Shift};
use crate::base::{Clock, Result};
use crate::names::{Id, Item, Name, Outcome, Priority, Revision, State, Tree, Word};

/// A request to build one version of one package for one architecture.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The tree.
    pub tree: Tree,
    /// What to build.
    pub item: Item,
    /// At which revision.
    pub revision: Revision,
    /// The recipe file, relative to the tree.
    pub path: String,
    /// How urgent.
    pub priority: Priority,
    /// Who asks.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Whom to tell.
    pub maintainer: Option<String>,
    /// What it belongs to.
    pub batch: Option<Word>,
    /// What the recipe makes.
    pub packages: Vec<Name>,
    /// What it needs of its tree.
    pub depends: Vec<Name>,
    /// A change of the recipe is asked for: another revision of the same version is something else. Otherwise
    /// the version is asked for, at whatever revision.
    pub exact: bool,
    /// Although it failed, or is published.
    pub force: bool,
    /// An aborted version stays aborted (nobody in person asks).
    pub spare_aborted: bool,
    /// It is in the package directory already.
    pub published: bool,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A new ticket.
    Made(TicketName),
    /// The ticket that is there already, waiting (perhaps more urgent now) or building.
    There(TicketName),
    /// No ticket; why.
    Refused(String),
}

impl Answer {
    /// Returns the ticket, if there is one.
    pub fn ticket(&self) -> Option<&TicketName> {
        match self {
            Answer::Made(name) | Answer::There(name) => Some(name),
            Answer::Refused(_) => None,
        }
    }
}

/// A ticket of the package that is asked for, as far as the decision needs it.
#[derive(Debug, Clone)]
struct Known {
    entry: Entry,
    revision: Option<Revision>,
}

#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Make(Priority),
    Keep(Id, Option<Priority>),
    Refuse(String),
}

/// The rules of product.md, "Life of a ticket". `known` is in the order waiting, building, ended (oldest first).
fn decide(known: &[Known], ask: &Ask) -> Decision {
    let same = |known: &&Known| {
        known.entry.name.item == ask.item && (!ask.exact || known.revision.as_ref() == Some(&ask.revision))
    };
    let wanted = ask.priority;
    let waiting = || known.iter().filter(|known| known.entry.state() == State::Waiting);
    if let Some(found) = waiting().find(same) {
        let better = wanted < found.entry.name.priority;
        return Decision::Keep(found.entry.name.id.clone(), better.then_some(wanted));
    }
    if let Some(found) = known.iter().filter(|known| known.entry.state() == State::Building).find(same) {
        return Decision::Keep(found.entry.name.id.clone(), None);
    }
    if !ask.force
        && let Some(why) = refusal(known.iter().rev().find(same), ask)
    {
        return Decision::Refuse(why);
    }
    // What takes a waiting ticket's place takes its turn's urgency too.
    let inherited = waiting().map(|known| known.entry.name.priority).min();
    Decision::Make(inherited.map_or(wanted, |priority| priority.min(wanted)))
}

fn refusal(last: Option<&Known>, ask: &Ask) -> Option<String> {
    if ask.published {
        return Some(format!("{} is published already: bump the release", ask.item));
    }
    let last = last?;
    let (id, Stand::Done(outcome)) = (&last.entry.name.id, &last.entry.name.stand) else { return None };
    match outcome {
        Outcome::Built => Some(format!("{} is built already ({id}), not published yet", ask.item)),
        Outcome::Failed => Some(format!("{} failed already ({id}): --force builds it again", ask.item)),
        Outcome::Aborted if ask.spare_aborted => Some(format!("{} was aborted ({id})", ask.item)),
        Outcome::Aborted | Outcome::Superseded | Outcome::Trouble => None,
    }
}

/// Asks for builds, durably and as one batch: when it returns, every ticket of the answers is on the disk.
///
/// # Errors
/// A name too long for a file system; the queue's lock not to be had within `patience`; a failing system call.
pub fn enqueue(spool: &Spool, asks: &[Ask], clock: &Clock, patience: Duration) -> Result<Vec<Answer>> {
    let _lock = spool.lock_queue(patience)?;
    let now = clock.now();
    let mut unfinished = list::waiting(spool)?;
    unfinished.extend(list::building(spool)?);
    let mut ids = Id::batch(now, asks.len()).into_iter();
    let mut work = Work::default();
    let mut answers = Vec::with_capacity(asks.len());
    for ask in asks {
        let Some(id) = ids.next() else { break };
        let known = known_of(spool, &unfinished, ask)?;
        // Newer means asked for later, also when the clock was set back or has not ticked.
        let id = id.after(known.iter().map(|known| &known.entry.name.id).max());
        let answer = match decide(&known, ask) {
            Decision::Refuse(why) => Answer::Refused(why),
            Decision::Keep(id, priority) => work.keep(spool, &known, &id, priority, &mut unfinished)?,
            Decision::Make(priority) => {
                work.make(spool, &known, ask, id, priority, clock, &mut unfinished)?
            }
        };
        answers.push(answer);
    }
    work.finish(spool, clock)?;
    Ok(answers)
}

/// Looked for in `new`, `run` and `done`, in that order: a ticket moves only forward while the lock is held.
fn known_of(spool: &Spool, unfinished: &[Entry], ask: &Ask) -> Result<Vec<Known>> {
    let package = |entry: &&Entry| {
        entry.name.item.name == ask.item.name
            && entry.name.tree == ask.tree
            && entry.name.item.arch == ask.item.arch
    };
    let done = list::done_of(spool, &ask.tree, &ask.item.name)?;
    let known = unfinished.iter().filter(package).chain(done.iter().filter(package));
    known.map(|entry| with_revision(spool, entry, ask)).collect()
}

/// A ticket that moved on since it was listed is followed, lest it pass for one of another revision.
fn with_revision(spool: &Spool, entry: &Entry, ask: &Ask) -> Result<Known> {
    let mut entry = entry.clone();
    if entry.name.item != ask.item || !ask.exact {
        return Ok(Known { entry, revision: None });
    }
    loop {
        match entry.ticket() {
            Err(_) if !entry.path.exists() => {}
            read => return Ok(Known { entry, revision: read.ok().map(|ticket| ticket.revision) }),
        }
        match list::find(spool, &entry.name.id)? {
            Some(moved) => entry = moved,
            None => return Ok(Known { entry, revision: None }),
        }
    }
}

/// What a batch has decided to do: all tickets are put with one flush, then older ones make way.
#[derive(Default)]
struct Work {
    puts: Vec<(PathBuf, Vec<u8>)>,
    supersede: Vec<(Entry, Id)>,
}

impl Work {
    fn keep(
        &mut self,
        spool: &Spool,
        known: &[Known],
        id: &Id,
        priority: Option<Priority>,
        unfinished: &mut [Entry],
    ) -> Result<Answer> {
        let Some(found) = known.iter().find(|known| known.entry.name.id == *id) else {
            return Ok(Answer::Refused("the ticket has vanished".to_owned()));
        };
        // The ticket may have been put by somebody who had no room, or no time, to end those before it.
        let older = |known: &&Known| known.entry.state() == State::Waiting && known.entry.name.id < *id;
        let before = known.iter().filter(older).map(|known| (known.entry.clone(), id.clone()));
        self.supersede.extend(before);
        let mut name = found.entry.name.clone();
        let planned = self.puts.iter().any(|(path, _)| *path == found.entry.path);
        if let Some(priority) = priority.filter(|_| !planned) {
            let better = TicketName { priority, ..name.clone() };
            let path = spool.waiting(&better);
            // If somebody claimed it just now, it needs no better place.
            if durable::shift(&found.entry.path, &path)? == Shift::Moved {
                for entry in unfinished.iter_mut().filter(|entry| entry.name.id == *id) {
                    *entry = Entry { name: better.clone(), builder: None, path: path.clone() };
                }
                name = better;
            }
        } else if !planned {
            confirm(&found.entry)?;
        }
        Ok(Answer::There(name))
    }

    #[expect(clippy::too_many_arguments, reason = "one call, all of it facts of one ticket")]
    fn make(
        &mut self,
        spool: &Spool,
        known: &[Known],
        ask: &Ask,
        id: Id,
        priority: Priority,
        clock: &Clock,
        unfinished: &mut Vec<Entry>,
    ) -> Result<Answer> {
        let ticket = ticket(ask, id, clock);
        let stand = Stand::Waiting(None);
        let name = TicketName {
            priority,
            id: ticket.id.clone(),
            tree: ask.tree.clone(),
            item: ask.item.clone(),
            epoch: 0,
            stand,
        };
        if let Err(error) = name.check_length() {
            return Ok(Answer::Refused(error.to_string()));
        }
        let path = spool.waiting(&name);
        self.puts.push((path.clone(), ticket.text()?.into_bytes()));
        for older in known.iter().filter(|known| known.entry.state() == State::Waiting) {
            self.supersede.push((older.entry.clone(), name.id.clone()));
            unfinished.retain(|entry| entry.name.id != older.entry.name.id);
        }
        unfinished.push(Entry { name: name.clone(), builder: None, path });
        Ok(Answer::Made(name))
    }

    /// New tickets first: between the two steps both wait, which the check (and the next request) mends.
    fn finish(self, spool: &Spool, clock: &Clock) -> Result<()> {
        if !self.puts.is_empty() {
            durable::put_all(&spool.tmp(), &self.puts)?;
        }
        self.supersede.iter().try_for_each(|(entry, by)| supersede(spool, entry, by, clock))
    }
}

fn ticket(ask: &Ask, id: Id, clock: &Clock) -> Ticket {
    Ticket {
        format: 1,
        id,
        tree: ask.tree.clone(),
        name: ask.item.name.clone(),
        version: ask.item.version.clone(),
        release: ask.item.release.clone(),
        arch: ask.item.arch.clone(),
        revision: ask.revision.clone(),
        path: ask.path.clone(),
        priority: ask.priority,
        asked: clock.now(),
        by: ask.by.clone(),
        reason: ask.reason.clone(),
        forced: ask.force,
        maintainer: ask.maintainer.clone(),
        batch: ask.batch.clone(),
        packages: ask.packages.clone(),
        depends: ask.depends.clone(),
    }
}

/// Ends a waiting ticket because a later one asks for the same package. One that was claimed meanwhile goes on.
///
/// # Errors
/// A failing system call.
pub(super) fn supersede(spool: &Spool, entry: &Entry, by: &Id, clock: &Clock) -> Result<()> {
    let Ok(ticket) = entry.ticket() else { return Ok(()) };
    let report = Report {
        reason: format!("{by} asks for a later revision"),
        ..blank(&ticket, entry.name.epoch, Outcome::Superseded, clock.now())
    };
    file(spool, &report)?;
    let ended = entry.name.standing(Stand::Done(Outcome::Superseded));
    durable::shift(&entry.path, &spool.done(&ended)).map(drop)
}

/// A ticket that came back to wait makes way for a later one of its package. The queue's lock is held.
///
/// # Errors
/// A failing system call; the check finishes it then.
pub(super) fn make_way(spool: &Spool, back: &TicketName, clock: &Clock) -> Result<()> {
    let same = |entry: &Entry| entry.name.package() == back.package();
    let waiting: Vec<Entry> = list::waiting_for(spool, &back.item.arch)?.into_iter().filter(same).collect();
    let later = waiting.iter().map(|entry| &entry.name.id).filter(|id| **id > back.id).max();
    match (later, waiting.iter().find(|entry| entry.name.id == back.id)) {
        (Some(later), Some(entry)) => supersede(spool, entry, later, clock),
        (None, _) | (_, None) => Ok(()),
    }
}

/// The ticket may have been put by somebody who died before the fsync; one that has moved on is durable.
fn confirm(entry: &Entry) -> Result<()> {
    match durable::confirm(&entry.path) {
        Err(_) if !entry.path.exists() => Ok(()),
        other => other,
    }
}

/// Tells whether a ticket's name and content speak of the same thing.
pub(super) fn agrees(name: &TicketName, ticket: &Ticket) -> bool {
    name.id == ticket.id && name.tree == ticket.tree && name.item == ticket.item()
}

#[cfg(test)]
mod tests;
